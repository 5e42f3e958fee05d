"""What the page is told of the place where a run is to train."""

from __future__ import annotations

import shlex

import yaml

from backends.contract.methods.text_to_image import TextToImageConfig
from studio.web.launch_view import describe_launch
from studio.workspace import open_workspace

CONFIG = TextToImageConfig(resolution=128, num_processes=2)


def test_one_command_for_one_machine_with_the_path_that_the_run_will_have(tmp_path):
    workspace = open_workspace(tmp_path)
    shown = describe_launch(workspace, CONFIG, {}, "Zog 01")
    (command,) = shown["commands"]
    words = shlex.split(command["line"])
    assert words[words.index("accelerate") :][:2] == ["accelerate", "launch"]
    assert words[-1] == str(workspace.runs / "zog-01" / "config.yaml")
    assert (shown["launcher"], shown["many"], shown["faults"], shown["file"]) == ("local", False, [], None)


def test_a_line_for_each_machine_and_none_while_something_is_missing(tmp_path):
    workspace = open_workspace(tmp_path)
    shown = describe_launch(workspace, CONFIG, {"num_machines": "2"}, "zog")
    assert ([f["field"] for f in shown["faults"]], shown["commands"], shown["many"]) == (["main_process_ip"], [], True)
    shown = describe_launch(workspace, CONFIG, {"num_machines": "2", "main_process_ip": "node-1"}, "zog")
    assert [c["title"] for c in shown["commands"]] == ["Machine 0, this one", "Machine 1"]
    assert str(workspace.root) in shown["note"]


def test_what_is_handed_in_is_shown_before_it_is(tmp_path):
    workspace = open_workspace(tmp_path)
    slurm = describe_launch(workspace, CONFIG, {"launcher": "slurm", "gpus_per_machine": "0"}, "zog")
    assert slurm["file"]["name"] == "job.sbatch"
    assert slurm["file"]["text"].startswith("#!/bin/bash\n#SBATCH --job-name=darkroom-zog")
    cloud = describe_launch(workspace, CONFIG, {"launcher": "skypilot"}, "zog")
    assert yaml.safe_load(cloud["file"]["text"])["name"] == "darkroom-zog"
    assert list(workspace.runs.iterdir()) == []


def test_with_settings_that_are_wrong_only_faults_are_told(tmp_path):
    workspace = open_workspace(tmp_path)
    shown = describe_launch(workspace, CONFIG, {"launcher": "slurm", "slurm_time": "soon"}, "zog")
    assert ([f["field"] for f in shown["faults"]], shown["commands"]) == (["slurm_time"], [])
    assert describe_launch(workspace, None, {"launcher": "slurm"}, "zog")["commands"] == []

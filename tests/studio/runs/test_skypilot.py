"""A cloud run: a task that SkyPilot's own schema takes, and a way there and back, tried with a stand-in for the cloud."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from backends.contract.errors import DarkroomError
from backends.contract.launch import Cloud, LaunchSettings, write_launch
from backends.contract.methods.text_to_image import TextToImageConfig
from backends.contract.rundir import complete_checkpoints
from studio.runs.control import find_busy_run, reconcile_run, resume_run, start_run, stop_run
from studio.runs.launchers.sky_task import choose_kinds, format_task
from studio.runs.launchers.skypilot import format_launch
from studio.runs.state import read_job, read_process
from tests.studio.runs.conftest import kill, processes_of, wait_for_state, wait_for_step
from tests.waiting import wait_until

SDXL = TextToImageConfig(pretrained_model_name_or_path="sdxl", mixed_precision="bf16", train_batch_size=1)
STAND_IN = Path(__file__).with_name("sky_stand_in.py")


def find_sky_python() -> str:
    """The interpreter of SkyPilot's own environment: named, or behind the `sky` command."""
    named = os.environ.get("DARKROOM_SKY_PYTHON", "")
    command = shutil.which("sky")
    if named or not command:
        return named
    first = Path(command).read_text("utf-8", "replace").splitlines()[0]
    return first.removeprefix("#!").split()[0] if "python" in first else ""


@pytest.fixture
def prepared(make_run):
    """A run's folder with a manifest, as it is before a start."""
    run = make_run("zog-01")
    rows: list = [{"id": "a", "file": "/pictures/a.png", "mask_file": "/pictures/masks/a.png"}]
    rows += [{"id": "b", "file": "/pairs/after/b.png", "input_file": "/pairs/before/b.png"}]
    run.manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return run


def task_of(run, config=SDXL, **values):
    return yaml.safe_load(format_task(run, config, LaunchSettings(launcher="skypilot", **values), secrets=["HF_TOKEN"]))


def test_the_forecast_decides_which_gpus_will_do(prepared):
    kinds = [one["accelerators"] for one in task_of(prepared)["resources"]["any_of"]]
    assert "L4:1" in kinds and "T4:1" not in kinds  # 18 GB do not fit into 16
    assert "V100-32GB:1" not in kinds  # it has no bf16
    large = SDXL.model_copy(update={"train_batch_size": 6, "num_processes": 8})
    kinds = [one["accelerators"] for one in task_of(prepared, large)["resources"]["any_of"]]
    assert kinds == ["A100-80GB:8", "H100:8", "H200:8", "B200:8"]


def test_what_fits_on_no_gpu_is_told():
    with pytest.raises(DarkroomError, match="needs 400 GB on each GPU; the largest there is has 180 GB"):
        choose_kinds(400)


def test_everything_the_run_needs_is_brought_to_the_same_path(prepared):
    mounts = task_of(prepared)["file_mounts"]
    assert set(mounts) == {"/pictures", "/pictures/masks", "/pairs/after", "/pairs/before", str(prepared.root)}
    assert all(source == target for target, source in mounts.items())


def test_a_file_as_base_model_with_the_folder_of_its_rest_and_a_vae_are_brought_too(prepared, tmp_path):
    file, vae, rest = tmp_path / "part.safetensors", tmp_path / "vae.safetensors", tmp_path / "rest"
    file.touch()
    vae.touch()
    rest.mkdir()
    (rest / "model_index.json").touch()
    base = f"{file} + {rest}"
    config = SDXL.model_copy(update={"pretrained_model_name_or_path": base, "pretrained_vae_model_name_or_path": str(vae)})
    assert {str(file), str(vae), str(rest)} <= set(task_of(prepared, config)["file_mounts"])


@pytest.mark.parametrize(
    ("settings", "package"),
    [
        ({"quantize_base": "nf4"}, "bitsandbytes"),
        ({"quantize_base": "int8"}, "torchao"),
        ({"use_8bit_adam": True}, "bitsandbytes"),
        ({"report_to": "wandb"}, "wandb"),
    ],
)
def test_what_the_settings_need_beside_the_rest_is_installed_there(prepared, settings, package):
    """On this machine it need not be."""
    line = next(line for line in task_of(prepared, SDXL.model_copy(update=settings))["setup"].splitlines() if "requirements.txt" in line)
    assert line.endswith(f"requirements.txt {package}")
    assert task_of(prepared)["setup"].splitlines()[-1].endswith("requirements.txt")


def test_it_asks_for_what_the_person_set(prepared):
    wanted = {"sky_cloud": "aws", "sky_region": "us-east-1", "sky_spot": True, "sky_disk_gb": 500, "sky_accelerators": ["A100:8", "H100"]}
    task = task_of(prepared, SDXL.model_copy(update={"num_processes": 8}), **wanted, sky_setup=["echo ready"])
    assert task["resources"] == {
        "disk_size": 500, "use_spot": True, "infra": "aws/us-east-1", "any_of": [{"accelerators": "A100:8"}, {"accelerators": "H100:8"}]
    }  # fmt: skip
    assert task["setup"].splitlines()[-1] == "echo ready"
    assert "--num_processes 8" in task["run"] and "--multi_gpu" in task["run"]
    assert f"--config {prepared.root}/config.yaml" in task["run"]


def test_secrets_go_by_name_only(prepared, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_planted_secret")
    launch = LaunchSettings(launcher="skypilot")
    text = format_task(prepared, SDXL, launch, secrets=["HF_TOKEN"])
    assert "hf_planted" not in text + format_launch(prepared, launch)
    assert "--secret HF_TOKEN" in format_launch(prepared, launch)


@pytest.mark.slow
def test_skypilots_own_schema_takes_every_task(prepared, tmp_path):
    python = find_sky_python()
    if not python:
        pytest.skip("needs SkyPilot in an environment of its own (DARKROOM_SKY_PYTHON, or sky on the PATH)")
    paths = []
    for cloud in [None, *Cloud.__args__]:
        for number, values in enumerate(({}, {"sky_spot": True, "sky_accelerators": ["A100-80GB:8", "H100"]})):
            path = tmp_path / f"{cloud}-{number}.yaml"
            path.write_text(yaml.safe_dump({**task_of(prepared, sky_cloud=cloud, **values), "file_mounts": {}}))
            paths.append(str(path))
    script = "import sky, sys\nfor path in sys.argv[1:]: print('TAKEN', [str(r) for r in sky.Task.from_yaml(path).resources])"
    done = subprocess.run([python, "-c", script, *paths], capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("TAKEN") == len(paths)
    broken = tmp_path / "broken.yaml"
    broken.write_text(yaml.safe_dump({"resources": {"acelerators": "A100:1"}, "run": "true"}))
    assert subprocess.run([python, "-c", script, str(broken)], capture_output=True, check=False, timeout=200).returncode != 0


@pytest.fixture
def cloud(tmp_path, monkeypatch):
    """Commands `sky` and `rsync` that act on a folder, which is the cloud's disk."""
    if not shutil.which("rsync"):
        pytest.skip("needs rsync")
    folder, commands = tmp_path / "cloud", tmp_path / "bin"
    folder.mkdir()
    commands.mkdir()
    for name in ("sky", "rsync"):
        (commands / name).write_text(f'#!/bin/sh\nSTAND_IN_NAME={name} exec {sys.executable} {STAND_IN} "$@"\n')
        (commands / name).chmod(0o755)
    for key, value in {"CLOUD": folder, "STAND_INS": commands, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}.items():
        monkeypatch.setenv(key, str(value))
    return folder


@pytest.fixture
def make_cloud_run(make_run, cloud, monkeypatch):
    def make(toy: str = "", **launch: object):
        monkeypatch.setenv("TOY", toy)
        run = make_run("zog-01")
        write_launch(run, LaunchSettings(launcher="skypilot", **launch))
        return run

    return make


@pytest.mark.slow
def test_a_run_goes_to_the_cloud_and_comes_back_with_everything(workspace, make_cloud_run, cloud):
    run = make_cloud_run("steps=30", sky_cloud="runpod")
    start_run(workspace, "zog-01")
    wait_until(lambda: read_job(run)["phase"] == "running", "the machine")
    assert find_busy_run(workspace) == ""
    state = wait_for_state(run, "finished", "crashed", "failed", limit_s=60)
    assert (state.state, state.step) == ("finished", 30), f"{state} {run.log.read_text()}"
    assert complete_checkpoints(run) == [10, 20, 30]
    assert (cloud / "down").exists()
    assert "-c darkroom-zog-01 -i 10 --down" in (cloud / "launched").read_text()


@pytest.mark.slow
def test_stop_travels_there_and_a_resume_gets_a_new_machine(workspace, make_cloud_run, cloud):
    run = make_cloud_run()
    start_run(workspace, "zog-01")
    wait_for_step(run, 5)
    stop_run(workspace, "zog-01")
    state = wait_for_state(run, "stopped", "crashed", "failed", limit_s=60)
    assert (state.state, complete_checkpoints(run)[-1]) == ("stopped", state.step), run.log.read_text()
    assert (cloud / "down").exists()
    shutil.rmtree(cloud)
    cloud.mkdir()
    resume_run(workspace, "zog-01")
    wait_for_step(run, state.step + 5)
    stop_run(workspace, "zog-01")
    assert wait_for_state(run, "stopped", "crashed", "failed", limit_s=60).state == "stopped"


@pytest.mark.slow
def test_no_machine_to_be_had_is_told_with_skypilots_words(workspace, make_cloud_run, cloud, monkeypatch):
    monkeypatch.setenv("SKY_HABITS", "refuse")
    run = make_cloud_run()
    start_run(workspace, "zog-01")
    state = wait_for_state(run, "crashed", "failed", limit_s=60)
    assert "no such machine can be had" in state.reason


@pytest.mark.slow
def test_when_everything_here_dies_the_cloud_goes_on_and_is_followed_again(workspace, make_cloud_run, cloud):
    run = make_cloud_run("steps=600")
    start_run(workspace, "zog-01")
    wait_for_step(run, 3)
    kill(int(read_process(run)["supervisor"]["pid"]), *processes_of(run))
    assert not (cloud / "down").exists()
    reconcile_run(workspace, "zog-01")
    wait_until(lambda: "--attach" in read_process(run)["command"], "a new follower")
    state = wait_for_state(run, "finished", "crashed", "failed", limit_s=90)
    assert (state.state, state.step) == ("finished", 600), run.log.read_text()
    assert (cloud / "launched").read_text().count("\n") == 1

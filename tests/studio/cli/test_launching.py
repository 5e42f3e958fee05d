"""A cluster from the command line: a run is handed in, listed, stopped and gone on with as one of this machine is."""

from __future__ import annotations

import pytest

from studio.runs.hardware import Gpu, describe_hardware

SHORT = ["max_train_steps=400", "checkpointing_steps=4", "sample_every=0", "held_out_every=200", "log_every=1", "seed=1", "report_to=none"]
CLUSTER = ["launcher=slurm", "gpus_per_machine=0", "slurm_cpus=1"]


@pytest.fixture
def dataset(studio):
    return studio("dataset", "sample", "zog")[1]["dataset"]


def options(flag, values):
    return [part for value in values for part in (flag, value)]


def test_what_is_wrong_with_the_place_is_told_with_the_rest_at_once(studio, dataset):
    code, value = studio("train", dataset, "-s", "rank=0", "-l", "slurm_time=soon", "-l", "num_machines=0")
    assert code == 2
    assert {"rank", "slurm_time", "num_machines"} <= {f["field"] for f in value["faults"]}
    assert studio("runs", "list")[1] == []


def test_what_this_machine_lacks_is_no_fault_of_a_cluster(studio, dataset, monkeypatch, tmp_path):
    """SDXL needs a GPU; here is none, there are two. What is left to mend is only that this is no machine of a cluster."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("studio.runs.preflight.probe_hardware", lambda: describe_hardware([], 2, 8.0))
    place = ["launcher=slurm", "slurm_gpu_type=a100"]
    settings = ["pretrained_model_name_or_path=sdxl", "resolution=1024", "num_processes=2", "mixed_precision=fp16", "train_batch_size=1"]
    code, value = studio("train", dataset, *options("-s", settings), *options("-l", place))
    assert code == 2
    assert [f["field"] for f in value["faults"] if f["field"] != "pretrained_model_name_or_path"] == ["launcher"]
    assert not any("no GPU" in f["text"] or "there is none" in f["text"] for f in value["faults"])


@pytest.mark.parametrize("place", ["skypilot", "slurm"])
def test_a_base_stored_small_is_no_fault_where_the_gpu_and_the_package_are(studio, dataset, monkeypatch, tmp_path, place):
    """4 bits want a GPU and bitsandbytes; a login node has neither."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("studio.runs.preflight.probe_hardware", lambda: describe_hardware([], 2, 8.0))
    monkeypatch.setattr("studio.runs.preflight.is_installed", lambda package: package != "bitsandbytes")
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    where = {"skypilot": ["launcher=skypilot"], "slurm": ["launcher=slurm", f"slurm_venv={tmp_path}"]}[place]
    code, value = studio("train", dataset, "--preset", "text_to_image/flux_subject_12gb", *options("-l", where))
    assert code == 2 and [f["field"] for f in value["faults"]] == ["launcher"], value
    _, value = studio("train", dataset, "--preset", "text_to_image/flux_subject_12gb", *options("-l", [*where, "gpus_per_machine=0"]))
    assert "nf4, which needs a GPU, and GPUs a machine is 0" in {f["field"]: f["text"] for f in value["faults"]}["quantize_base"]


def test_a_machine_of_several_needs_only_its_share_of_the_gpus(studio, dataset, monkeypatch):
    four = describe_hardware([Gpu("L40S", 48.0, 47.0)] * 4, 32, 128.0)
    for module in ("preflight", "launch_checks"):
        monkeypatch.setattr(f"studio.runs.{module}.probe_hardware", lambda: four)
    code, value = studio("train", dataset, "-s", "num_processes=8", "-l", "num_machines=2")
    assert code == 2
    assert [f["field"] for f in value["faults"]] == ["main_process_ip"]


@pytest.mark.slow
def test_a_run_on_a_cluster_from_start_to_resume(studio, dataset, slurm, monkeypatch):
    for key, value in slurm.environment.items():
        monkeypatch.setenv(key, value)
    code, value = studio("train", dataset, *options("-s", SHORT), *options("-l", CLUSTER), "--name", "far", "--no-wait")
    assert code == 0, value
    run = value["run"]
    (listed,) = studio("runs", "list")[1]
    assert listed["state"] in ("queued", "starting", "running")
    job = studio("runs", "show", run)[1]["job"]
    assert job in slurm.ask("squeue", "-h", "-o", "%i").split()
    code, value = studio("runs", "stop", run)
    assert (code, value["state"]) == (0, "stopped"), value
    assert studio("runs", "resume", run, "--no-wait")[0] == 0
    assert studio("runs", "show", run)[1]["job"] not in (None, job)
    assert studio("runs", "stop", run)[1]["state"] == "stopped"
    assert slurm.ask("squeue", "-h", "-o", "%i").split() == []

"""The batch script and Slurm's words, also where no Slurm is installed."""

from __future__ import annotations

import subprocess

import pytest

from backends.contract.launch import LaunchSettings
from backends.contract.methods.text_to_image import TextToImageConfig
from backends.contract.rundir import RunDir
from studio.runs.launchers.slurm_ask import explain_reason, never_begins
from studio.runs.launchers.slurm_script import format_script, read_seconds

SDXL = TextToImageConfig(pretrained_model_name_or_path="sdxl", num_processes=16, mixed_precision="bf16")


def script_of(folder, config=SDXL, **launch):
    settings = LaunchSettings(launcher="slurm", **launch)
    return format_script(RunDir(folder), config, settings, cache=folder / "cache", name="darkroom-x", resume=False, command=None)


def test_it_asks_for_what_the_settings_say(tmp_path):
    given = {"num_machines": 2, "slurm_partition": "gpu", "slurm_account": "art", "slurm_time": "1-00:00:00", "slurm_memory": "512G"}
    text = script_of(tmp_path, **given, slurm_gpu_type="a100", slurm_cpus=6, slurm_lines=["--qos=high"])
    asked = [line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH")]
    wanted = {"--nodes=2", "--ntasks-per-node=1", "--gpus-per-node=a100:8", "--cpus-per-task=48", "--partition=gpu", "--account=art"}
    assert wanted | {"--time=1-00:00:00", "--mem=512G", "--qos=high", "--signal=B:USR1@120", "--no-requeue"} <= set(asked)


def test_each_machine_gets_its_rank_and_the_address_of_the_first(tmp_path):
    text = script_of(tmp_path, num_machines=2)
    assert '--machine_rank "$SLURM_NODEID" --main_process_port "$MASTER_PORT" --main_process_ip "$MASTER_ADDR"' in text
    assert "--num_processes 16 --num_machines 2" in text
    assert "MASTER_PORT=4000 " in script_of(tmp_path, num_machines=2, main_process_port=4000)


def test_bash_reads_it_whatever_the_folders_are_called(tmp_path):
    folder = tmp_path / 'it\'s "odd" $(touch x) `y`; %j'
    folder.mkdir()
    text = script_of(folder, slurm_setup=["module load cuda"])
    assert subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False).stderr == ""
    assert "%%j" in text.splitlines()[2]  # %j alone would become the job's number


def test_without_gpus_it_asks_for_none_and_trains_on_cpus(tmp_path):
    text = script_of(tmp_path, TextToImageConfig(resolution=128), gpus_per_machine=0)
    assert "gpus-per-node" not in text
    assert "export ACCELERATE_USE_CPU=true" in text and "export HF_HUB_OFFLINE=1" in text


def test_no_secret_of_the_environment_stands_in_it(tmp_path, monkeypatch):
    for name in ("HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "planted-secret")
    assert "planted-secret" not in script_of(tmp_path)


def test_a_short_job_is_warned_later_than_a_long_one(tmp_path):
    assert "--signal=B:USR1@24" in script_of(tmp_path, slurm_time="2")


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [("90", 5400), ("2:30", 150), ("04:00:00", 14_400), ("1-12", 129_600), ("1-00:30", 88_200), ("2-01:00:05", 176_405)],
)
def test_slurms_lengths_of_time(limit, seconds):
    assert read_seconds(limit) == seconds


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("Priority", "Other jobs are before it in the queue."),
        ("ReqNodeNotAvail, UnavailableNodes:n1", "not available now"),
        ("QOSMaxJobsPerUserLimit", "A limit of your account or queue is reached (QOSMaxJobsPerUserLimit)"),
        ("SomethingNew", "Slurm says: SomethingNew."),
    ],
)
def test_reasons_are_told_in_plain_words(code, words):
    assert words in explain_reason(code)


@pytest.mark.parametrize(
    ("code", "never"), [("PartitionTimeLimit", True), ("(BadConstraints)", True), ("Resources", False), ("New", False)]
)
def test_a_job_that_cannot_begin_is_told_from_one_that_waits(code, never):
    assert never_begins(code) is never
    assert ("Take it out" in explain_reason(code)) is never

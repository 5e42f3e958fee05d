"""The command is a list of plain arguments with every flag from the settings."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

from backends.contract.methods.text_to_image import TextToImageConfig
from backends.contract.rundir import COMPLETE
from studio.runs.command import build_command, build_environment, build_resume_command, flags_of, format_command
from studio.runs.hardware import Gpu, describe_hardware

NO_GPU = describe_hardware([], 2, 8.0)
TWO_GPUS = describe_hardware([Gpu("L40S", 48.0, 47.0)] * 2, 32, 128.0)
POCKET = TextToImageConfig(resolution=128)
SDXL = TextToImageConfig(pretrained_model_name_or_path="sdxl", num_processes=2, mixed_precision="bf16")


def flags(command):
    return dict(zip(command, command[1:], strict=False))


def test_without_a_gpu_it_trains_on_the_cpu_with_a_free_port(tmp_path):
    command = build_command(POCKET, tmp_path, hardware=NO_GPU)
    assert "--cpu" in command
    assert flags(command)["--main_process_port"] == "0"
    assert flags(command)["--num_processes"] == "1"
    assert flags(command)["--config"] == str(tmp_path / "config.yaml")


def test_two_gpus_are_two_ranks_in_the_settings_precision(tmp_path):
    command = build_command(SDXL, tmp_path, hardware=TWO_GPUS)
    assert "--multi_gpu" in command
    assert "--cpu" not in command
    assert (flags(command)["--num_processes"], flags(command)["--mixed_precision"]) == ("2", "bf16")


def test_a_cpu_never_gets_a_gpus_precision(tmp_path):
    assert flags(build_command(SDXL, tmp_path, hardware=NO_GPU))["--mixed_precision"] == "no"


def test_resume_is_the_same_command_once_there_is_a_complete_checkpoint(make_run):
    run = make_run()
    plain = build_command(POCKET, run.root, hardware=NO_GPU)
    run.checkpoint(10).mkdir(parents=True)
    assert build_resume_command(POCKET, run.root, hardware=NO_GPU) == plain
    (run.checkpoint(10) / COMPLETE).touch()
    assert build_resume_command(POCKET, run.root, hardware=NO_GPU) == [*plain, "--resume", "latest"]


def test_the_line_to_copy_survives_any_path(tmp_path):
    folder = tmp_path / "my $(touch x) runs; rm"
    line = format_command(build_command(POCKET, folder, hardware=NO_GPU))
    assert line.startswith("accelerate launch ")
    assert shlex.split(line)[-1] == str(folder / "config.yaml")


def test_the_environment_names_the_cache_and_keeps_bundled_models_offline(tmp_path, monkeypatch):
    for name in ("HF_HUB_OFFLINE", "OMP_NUM_THREADS", "ACCELERATE_USE_CPU"):
        monkeypatch.delenv(name, raising=False)
    pocket, sdxl = build_environment(POCKET, tmp_path, NO_GPU), build_environment(SDXL, tmp_path, TWO_GPUS)
    assert pocket["DARKROOM_CACHE"] == str(tmp_path)
    assert (pocket["HF_HUB_OFFLINE"], pocket["OMP_NUM_THREADS"], pocket["ACCELERATE_USE_CPU"]) == ("1", "1", "true")
    assert not {"HF_HUB_OFFLINE", "ACCELERATE_USE_CPU"} & sdxl.keys()
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert build_environment(POCKET, tmp_path, NO_GPU)["OMP_NUM_THREADS"] == "3"


def test_a_persons_own_accelerate_configuration_does_not_turn_the_run(tmp_path):
    """With it a single GPU would train under DeepSpeed, or not at all."""
    own = tmp_path / "home" / "accelerate" / "default_config.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("compute_environment: LOCAL_MACHINE\ndistributed_type: DEEPSPEED\ndeepspeed_config: {zero_stage: 2}\nnum_processes: 4\n")
    script = tmp_path / "script.py"
    script.write_text("import os; print('USE_CPU', os.environ['ACCELERATE_USE_CPU'], 'WORLD', os.environ.get('WORLD_SIZE', '1'))")
    one_gpu = describe_hardware([Gpu("L40S", 48.0, 47.0)], 32, 128.0)
    command = [sys.executable, "-m", "accelerate.commands.launch", *flags_of(POCKET, one_gpu), str(script)]
    environment = {**os.environ, "HF_HOME": str(own.parent.parent)}
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
    assert answer.stdout.strip() == "USE_CPU False WORLD 1", answer.stderr[-2000:]

"""Faults of the launch settings are all found before a start, each with its value, its rule and the way out."""

from __future__ import annotations

import os

import pytest

from backends.contract.launch import LaunchSettings
from backends.contract.methods.text_to_image import FullTextToImageConfig, TextToImageConfig
from studio.runs.hardware import Gpu, describe_hardware
from studio.runs.launch_checks import check_launch, find_gpu_memory, hardware_for

NO_GPU = describe_hardware([], 2, 8.0)
FOUR = describe_hardware([Gpu("L40S", 48.0, 47.0)] * 4, 32, 128.0)


def config(**values):
    return TextToImageConfig(resolution=128, **values)


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A PATH on which sbatch and sky stand."""
    for name in ("sbatch", "sky"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))


@pytest.mark.parametrize(
    ("settings", "launch", "here", "field", "told"),
    [
        ({"num_processes": 4}, {"num_machines": 2, "machine_rank": 2, "main_process_ip": "a"}, FOUR, "machine_rank", "is 2 of 2"),
        ({"num_processes": 2}, {"num_machines": 2}, FOUR, "main_process_ip", "such as 10.0.0.4"),
        (
            {"num_processes": 3},
            {"num_machines": 2, "main_process_ip": "a"},
            FOUR,
            "num_machines",
            "is 3; they must share evenly. Nearest: 4",
        ),
        ({}, {"num_machines": 2, "main_process_ip": "a"}, FOUR, "num_machines", "is 1; they must share evenly. Nearest: 2"),
        ({"num_processes": 16}, {"num_machines": 2, "main_process_ip": "a"}, FOUR, "num_processes", "has 4 GPUs. Set GPUs to 8"),
        ({"num_processes": 8}, {"gpus_per_machine": 4}, FOUR, "gpus_per_machine", "which makes 8 a machine; GPUs a machine is 4"),
        ({"num_processes": 8}, {"gpus_per_machine": 8}, FOUR, "gpus_per_machine", "this one has 4. Set it to 4"),
        ({}, {"distribution": "deepspeed"}, FOUR, "distribution", "by torch’s own fsdp2 and knows no DeepSpeed. Choose fsdp2 where"),
        ({}, {"distribution": "fsdp2"}, FOUR, "distribution", "nothing to divide but its frozen base model. Choose ddp"),
        ({}, {"dynamo_backend": "cudagraphs"}, NO_GPU, "dynamo_backend", "needs a GPU"),
        (
            {"mixed_precision": "fp16"},
            {"launcher": "slurm", "gpus_per_machine": 0},
            NO_GPU,
            "mixed_precision",
            "Choose no, or ask for GPUs",
        ),
        ({}, {"launcher": "slurm", "slurm_venv": "/nowhere"}, NO_GPU, "slurm_venv", "there is no bin/python in it"),
        ({}, {"launcher": "skypilot", "sky_secrets": ["WANDB_NOT_SET"]}, NO_GPU, "sky_secrets", "names WANDB_NOT_SET, not set"),
    ],
)
def test_a_fault_is_told_at_its_field(tools, settings, launch, here, field, told):
    found = check_launch(config(**settings), LaunchSettings(**launch), here)
    assert [f.field for f in found] == [field]
    assert told in found[0].text


def test_all_faults_come_at_once(tools):
    launch = LaunchSettings(num_machines=2, machine_rank=5, distribution="deepspeed")
    assert {f.field for f in check_launch(config(), launch, FOUR)} == {"machine_rank", "num_machines", "main_process_ip", "distribution"}


@pytest.mark.parametrize(("launcher", "program"), [("slurm", "sbatch"), ("skypilot", "sky")])
def test_a_launcher_whose_program_is_not_there_is_refused_with_the_way_out(tmp_path, monkeypatch, launcher, program):
    monkeypatch.setenv("PATH", str(tmp_path))
    (fault,) = check_launch(config(), LaunchSettings(launcher=launcher), NO_GPU)
    assert (fault.field, program in fault.text.lower()) == ("launcher", True)


@pytest.mark.parametrize(
    ("settings", "launch"),
    [
        ({}, {}),
        ({"num_processes": 2}, {}),
        ({"num_processes": 2}, {"num_machines": 2, "main_process_ip": "node-1"}),
        ({"num_processes": 16}, {"launcher": "slurm", "num_machines": 2}),
        ({"num_processes": 8, "mixed_precision": "bf16"}, {"launcher": "skypilot", "sky_accelerators": ["A100:8"]}),
    ],
)
def test_what_can_run_has_no_fault(tools, settings, launch):
    assert check_launch(config(**settings), LaunchSettings(**launch), NO_GPU) == []


def test_the_machine_that_will_train_is_the_clusters_not_this_one():
    assert hardware_for(config(), LaunchSettings(), FOUR) == FOUR
    assert not hardware_for(config(), LaunchSettings(gpus_per_machine=0), FOUR).gpus
    launch = LaunchSettings(launcher="slurm", slurm_gpu_type="nvidia_a100_80gb", num_machines=2, slurm_memory="512G")
    found = hardware_for(config(num_processes=16), launch, NO_GPU)
    assert (len(found.gpus), found.largest_gpu_gb, found.memory_gb) == (8, 80, 512)
    assert not hardware_for(config(), LaunchSettings(launcher="slurm", gpus_per_machine=0), FOUR).gpus


@pytest.mark.parametrize(
    ("name", "memory"), [("A100-80GB", 80), ("a100", 40), ("nvidia_l40s", 48), ("L4", 24), ("RTX4090", 24), ("strange", 0)]
)
def test_cards_are_known_by_the_names_of_clusters_and_clouds(name, memory):
    assert find_gpu_memory(name) == memory


@pytest.mark.parametrize(
    ("settings", "launch", "told"),
    [
        ({"num_processes": 1}, {}, "num_processes) is 1, and one alone shares with nobody. Set it to 2 or more, or choose ddp"),
        ({"optimizer": "prodigy"}, {}, "must see all weights at once. Choose AdamW or schedule_free, or ddp"),
        ({"use_8bit_adam": True}, {}, "8-bit Adam is on"),
        ({"mixed_precision": "fp16"}, {}, "Precision is fp16"),
        ({}, {"dynamo_backend": "inductor"}, "Compiles by is inductor, and a divided model is not compiled. Choose no, or ddp"),
    ],
)
def test_what_cannot_be_divided_is_told_with_the_way_out(settings, launch, told):
    config = FullTextToImageConfig(resolution=128, **{"num_processes": 2, **settings})
    (fault,) = check_launch(config, LaunchSettings(distribution="fsdp2", **launch), FOUR)
    assert fault.field == "distribution" and told in fault.text


@pytest.mark.parametrize("here", [FOUR, NO_GPU])
def test_all_weights_can_be_divided_over_two_processes_or_more(here):
    config = FullTextToImageConfig(resolution=128, num_processes=2)
    assert check_launch(config, LaunchSettings(distribution="fsdp2"), here) == []

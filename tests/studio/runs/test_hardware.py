"""The machine in figures and words, without torch."""

from __future__ import annotations

import subprocess
import sys

from studio.runs.hardware import Gpu, describe_hardware, parse_gpus, probe_hardware


def test_the_cards_are_read_from_the_tools_answer():
    gpus = parse_gpus("NVIDIA GeForce RTX 4090, 24564, 23000\nNVIDIA H100 PCIe, 81559, 81000\nbroken line\nX, [N/A], [N/A]\n")
    assert [g.name for g in gpus] == ["GeForce RTX 4090", "H100 PCIe"]
    assert 25.7 < gpus[0].memory_gb < 25.8


def test_this_machine_has_cores_memory_and_a_sentence():
    found = probe_hardware()
    assert found.cpu_cores >= 1
    assert found.memory_gb > 0.5
    assert found.sentence.endswith(".")
    assert found.device == ("gpu" if found.gpus else "cpu")


def test_what_can_be_trained_depends_on_the_card():
    assert "no GPU" in describe_hardware([], 4, 16.0).sentence
    assert "SDXL needs 12 GB or more" in describe_hardware([Gpu("GTX 1650", 4.3, 4.0)], 4, 16.0).sentence
    assert "SDXL and Pocket" in describe_hardware([Gpu("RTX 4090", 25.7, 25.0)], 4, 16.0).sentence
    assert describe_hardware([Gpu("L40S", 48.0, 1.0)] * 2, 4, 16.0).name == "2 x L40S"


def test_nothing_of_the_runs_side_loads_torch():
    code = (
        "import sys, studio.runs.control, studio.runs.preflight, studio.runs.advice, studio.runs.supervisor; print('torch' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=__import__("pathlib").Path(__file__).parents[3]
    )
    assert answer.stdout.strip() == "False"

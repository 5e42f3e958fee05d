"""Known endings are told in plain words with the way out; unknown ones with the program's own last word."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backends.contract.aitoolkit import AiToolkit
from backends.contract.methods.ai_toolkit import FluxAiToolkitConfig
from backends.external.reasons import explain_failure

FOUND = AiToolkit(Path("/opt/ai-toolkit"), Path("/opt/ai-toolkit/venv/bin/python"), "1", True, True, True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "Not enough memory on the GPU"),
        ("Error running job: OOM during training step 3 times in a row, aborting training", "Not enough memory on the GPU"),
        ("huggingface_hub.errors.GatedRepoError: 401 Client Error.", "Accept it at https://huggingface.co/black-forest-labs/FLUX.1-dev"),
        ("RepositoryNotFoundError: 404 Client Error.", "The hub has no base model"),
        ("OSError: We couldn't connect to 'https://huggingface.co' to load the files", "Connect to the internet"),
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("AssertionError: Torch not compiled with CUDA enabled", "no working CUDA"),
        ("ModuleNotFoundError: No module named 'optimum'", "lacks optimum. Install what it needs: /opt/ai-toolkit/venv/bin/python -m pip"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/models/vae/config.json'", "did not find /models/vae/config.json"),
        ("Error running job: something quite new", "exit code 1. It said: something quite new"),
        ("ValueError: odd", "It said: odd"),
        ("no error at all", "ended with exit code 1. The log has the details."),
    ],
)
def test_an_ending_is_explained(line, words):
    reason = explain_failure(["Running 1 job", line, ""], 1, FluxAiToolkitConfig(), FOUND)
    assert words in reason
    assert reason.endswith(".")
    assert "\n" not in reason


def test_out_of_memory_names_only_levers_that_are_left():
    smallest = FluxAiToolkitConfig(low_vram=True, resolution=512, rank=8)
    assert "use a GPU with more memory" in explain_failure(["CUDA out of memory"], 1, smallest, FOUND)
    large = FluxAiToolkitConfig(quantize_base="none", gradient_checkpointing=False, train_batch_size=4)
    reason = explain_failure(["CUDA out of memory"], 1, large, FOUND)
    assert "batch size to 1" in reason
    assert "Save memory on" in reason


def test_the_driver_needs_no_torch():
    import subprocess

    code = "import sys, backends.external.train; sys.exit(bool({'torch', 'diffusers', 'transformers'} & sys.modules.keys()))"
    root = Path(__file__).resolve().parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0

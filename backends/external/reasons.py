"""Why ai-toolkit failed, for a person: known endings in plain words with the way out, unknown ones with its own last word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from backends.contract.aitoolkit import AiToolkit
from backends.contract.base_models import find_base_model, resolve_source
from backends.contract.methods.ai_toolkit import FluxAiToolkitConfig

_ERROR = re.compile(r"(?:Error running job: |(?:[A-Za-z_][\w.]*)?(?:Error|Exception): )(?P<text>.+)")
_MISSING_PACKAGE = re.compile(r"No module named '(?P<name>[\w.]+)'")
_MISSING_FILE = re.compile(r"No such file or directory: '(?P<name>[^']+)'")


@dataclass(frozen=True)
class _Ending:
    """Words that its output has when it ended so, and the sentence for a person."""

    words: tuple[str, ...]
    text: str


def explain_failure(lines: Sequence[str], code: int, config: FluxAiToolkitConfig, found: AiToolkit) -> str:
    """The reason, from its last lines and its exit code."""
    text = "\n".join(lines)
    low = text.casefold()
    for ending in _endings(config, found):
        if any(words in low for words in ending.words):
            return ending.text
    package = _MISSING_PACKAGE.search(text)
    if package:
        return (
            f"ai-toolkit’s Python lacks {package['name']}. Install what it needs: {found.python} -m pip install -r "
            f"{found.folder / 'requirements.txt'}, then resume."
        )
    file = _MISSING_FILE.search(text)
    if file:
        return f"ai-toolkit did not find {file['name']}. Put it back, or start a new run; the log has the details."
    said = [m["text"].strip() for line in lines if (m := _ERROR.search(line))]
    word = f" It said: {said[-1][:300].rstrip('.')}." if said else ""
    return f"ai-toolkit ended with exit code {code}.{word} The log has the details."


def _endings(config: FluxAiToolkitConfig, found: AiToolkit) -> list[_Ending]:
    source = resolve_source(config.pretrained_model_name_or_path)
    base = find_base_model(config.pretrained_model_name_or_path)
    name = base.name if base else source
    return [
        _Ending(("out of memory", "oom during training", "cublas_status_alloc_failed", "cannot allocate memory"), _advise_memory(config)),
        _Ending(
            ("gated repo", "gatedrepoerror", "is restricted. you must", "401 client error", "403 client error"),
            f"{name} is behind a licence. Accept it at https://huggingface.co/{source}, start Darkroom with your token in HF_TOKEN, "
            "then resume.",
        ),
        _Ending(
            ("repository not found", "repositorynotfounderror", "is not a valid model identifier"),
            f"The hub has no base model {source}. Give owner/name as the hub writes it, or a folder; start a new run.",
        ),
        _Ending(
            ("couldn't connect to", "max retries exceeded", "localentrynotfounderror", "name resolution", "connectionerror"),
            f"{name} is not on this machine and the hub could not be reached. Connect to the internet, then resume.",
        ),
        _Ending(("no space left on device", "disk quota exceeded"), "The disk is full. Free some space, then resume."),
        _Ending(
            ("torch not compiled with cuda", "found no nvidia driver", "no cuda gpus are available", "cuda driver version is insufficient"),
            f"ai-toolkit’s Python ({found.python}) has no working CUDA. Install PyTorch for this GPU’s driver there, then resume.",
        ),
    ]


def _advise_memory(config: FluxAiToolkitConfig) -> str:
    ways = []
    if config.train_batch_size > 1:
        ways.append("set the batch size to 1")
    if not config.gradient_checkpointing:
        ways.append("switch Save memory on")
    if config.quantize_base == "none":
        ways.append("store the base model as float8")
    if not config.low_vram:
        ways.append("make the base small on the CPU")
    if config.resolution > 512:
        ways.append("lower the resolution")
    if config.rank > 8:
        ways.append("lower the rank")
    return f"Not enough memory on the GPU. In a new run {', or '.join(ways[:3]) or 'use a GPU with more memory'}."

"""Loads one base model after another for the tests of the hub: cases come as JSON on stdin, what became of each goes to stdout."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import Any

import diffusers
import torch

from backends.contract.errors import DarkroomError
from backends.families.loading import load_pipeline
from backends.families.protocol import LoadOptions


def load_case(case: dict[str, Any]) -> dict[str, Any]:
    """One case: `options` of the loading, `environment`, and `file_limit` in bytes, which is how a full disk is made."""
    for name, value in case.get("environment", {}).items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (case.get("file_limit", soft), hard))
    kind = getattr(diffusers, case.get("kind", "StableDiffusionXLPipeline"))
    try:
        options = LoadOptions(device=torch.device("cpu"), dtype=torch.float32, **case["options"])
        pipeline = load_pipeline(kind, options, denoiser=case.get("denoiser", "unet"))
    except DarkroomError as error:
        return {"text": error.text, "field": error.field}
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    return {"loaded": type(pipeline).__name__, "parts": sorted(n for n, v in pipeline.components.items() if v is not None)}


def hurry() -> None:
    """The hub's library asks a server in trouble six times over 23 s; here it asks as often and waits less."""
    pause = time.sleep
    time.sleep = lambda seconds: pause(min(seconds, 0.05))


if __name__ == "__main__":
    hurry()
    json.dump([load_case(case) for case in json.load(sys.stdin)], sys.stdout)

"""A program of the shape of the diffusers scripts; the real ones are not part of the repository."""

from __future__ import annotations

from pathlib import Path

PROGRAM = """
import argparse
import json
from pathlib import Path

import torch

{constant}


def parse_args():
    parser = argparse.ArgumentParser()
    for name in {names!r}:
        parser.add_argument("--" + name, nargs="?", const="on")
    return parser.parse_args()


def main({parameter}):
    args = globals()["args"]
    Path(args.output_dir).mkdir()
    (Path(args.output_dir) / "told.json").write_text(json.dumps(vars(args)))
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.AdamW([weight])
    for step in range({steps}):
        weight.sum().backward()
        optimizer.step()
        (Path(args.output_dir) / "steps").write_text(str(step + 1))
    {ending}
"""
ALWAYS = [
    "pretrained_model_name_or_path",
    "output_dir",
    "resolution",
    "train_batch_size",
    "learning_rate",
    "lr_scheduler",
    "max_train_steps",
    "checkpointing_steps",
    "seed",
    "cache_dir",
    "train_data_dir",
]
PAIRED = ["original_image_column", "edit_prompt_column", "edited_image_column", "conditioning_dropout_prob"]


def write_program(
    folder: Path, names: list[str], *, name: str = "program.py", constant: str = "", parameter: str = "", steps: int = 100, ending: str = ""
) -> Path:
    """A script that knows these arguments beside those that each has; after its steps it does what `ending` says."""
    path = folder / name
    text = PROGRAM.format(names=[*ALWAYS, *names], constant=constant, parameter=parameter, steps=steps, ending=ending)
    path.write_text(text)
    return path

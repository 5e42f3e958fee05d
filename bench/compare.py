"""What comparing costs beside pure drawing: 8 checkpoints x 4 prompts on the pocket model, and one switch of the LoRA.

`python -m bench.compare` lets loops take turns in one process, every other round backwards: the generating worker's own path
(settings checked, header checked, numbers copied in, embeddings from the cache, one batch a checkpoint, PNGs written) and the floor
(diffusers' pipeline called with ready embeddings in the same inference mode, one batch a checkpoint, nothing else); and, for the
switch, ours and diffusers' load_lora_weights + set_adapters, whose unloading costs it nothing here. Times are CPU time of this
process; what counts is the ratio within a round.

Goals: comparison at most 1.15 x the floor; switch at most 1/20 of load + set.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from backends.contract import wire
from backends.contract.config import parse_config
from backends.contract.draw import DrawConfig, LoraUse
from backends.generate.adapters import AdapterRack
from backends.generate.worker import GenerateWorker
from bench.turns import Loop, summarize, take_turns
from tests.adapters import EVERYTHING, load_pocket, write_adapter

PROMPTS = ["zog on a red background", "a cat on a blue background", "a red apple", "a robot on a green background"]
CHECKPOINTS, RANK, STEPS, GUIDANCE = 8, 8, 20, 3.0


def make_comparison(adapters: list[Path], folder: Path, *, steps: int = STEPS) -> Loop:
    """The worker's path; each time the cells are written anew."""
    worker = GenerateWorker()
    asked = {"base_model": "pocket-sdxl", "num_inference_steps": steps, "guidance_scale": GUIDANCE, "width": 128, "height": 128}
    settings = parse_config(DrawConfig, asked).model_dump(mode="json")
    columns = [
        {"changes": {"loras": [{"path": str(a), "weight": 1.0}]}, "files": [str(folder / f"{a.stem}_{i}.png") for i in range(len(PROMPTS))]}
        for a in adapters
    ]
    values = {"settings": settings, "rows": [{"prompt": prompt} for prompt in PROMPTS], "columns": columns}
    return repeat(lambda: worker.draw(wire.Request("1", "draw", values, lambda message: None)))


def make_floor(adapters: list[Path], *, steps: int = STEPS) -> Loop:
    """As many batches by diffusers alone, a LoRA in place and the embeddings ready."""
    pipeline = load_pocket()
    pipeline.load_lora_weights(str(adapters[0].parent), weight_name=adapters[0].name, adapter_name="bench_adapter")
    pipeline.unet.eval()
    with torch.inference_mode():
        embeddings = pipeline.encode_prompt(prompt=PROMPTS, do_classifier_free_guidance=True)
    names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
    ready = dict(zip(names, embeddings, strict=True))
    asked = {"guidance_scale": GUIDANCE, "width": 128, "height": 128, "output_type": "np"}

    def draw() -> None:
        for _ in adapters:
            generators = [torch.Generator("cpu").manual_seed(42) for _ in PROMPTS]
            with torch.inference_mode():
                pipeline(**ready, **asked, num_inference_steps=steps, generator=generators)

    return repeat(draw)


def make_switches(adapters: list[Path]) -> tuple[dict[str, Loop], Callable[[], None]]:
    """Our switch and diffusers' way, one checkpoint a step; and what unloads theirs before the next."""
    ours, theirs = load_pocket(), load_pocket()
    rack = AdapterRack(ours, "Pocket", ("unet", "text_encoder", "text_encoder_2"))
    mine, other = itertools.cycle(adapters), itertools.cycle(adapters)

    def switch() -> None:
        rack.use([LoraUse(path=str(next(mine)), weight=1.0)])

    def load() -> None:
        path = next(other)
        theirs.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name="bench_adapter")
        theirs.set_adapters(["bench_adapter"], [1.0])

    def unload() -> None:
        if theirs.get_list_adapters():
            theirs.delete_adapters("bench_adapter")
        gc.collect()

    return {"ours": repeat(switch), "load and set": repeat(load)}, unload


def repeat(work: Callable[[], object]) -> Loop:
    """A loop of which each step is one call."""

    def run(steps: int) -> None:
        for _ in range(steps):
            work()

    return run


def compare(folder: Path, *, checkpoints: int = CHECKPOINTS, steps: int = STEPS, rounds: int = 5) -> list[dict[str, object]]:
    """What both cost and their ratios; a round of the comparison has as many rounds of the switch as checkpoints."""
    adapters = [write_adapter(folder / f"step_{i}.safetensors", i, rank=RANK, layers=EVERYTHING) for i in range(checkpoints)]
    switches, unload = make_switches(adapters)
    switched = take_turns(switches, steps=1, rounds=rounds * checkpoints, warm_up=1, between=unload)
    drawn = {"ours": make_comparison(adapters, folder, steps=steps), "floor": make_floor(adapters, steps=steps)}
    compared = take_turns(drawn, steps=1, rounds=rounds, warm_up=1, between=gc.collect)
    what = f"{checkpoints} checkpoints x {len(PROMPTS)} prompts, {steps} steps"
    return [
        {"what": what, "goal": 1.15, **summarize(compared)},
        {"what": "switching a LoRA", "goal": 0.05, **summarize(switched, digits=2)},
    ]


def main() -> None:
    """Writes one JSON line a comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="Of the comparison, about 40 s each; the switch has eight times as many.")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for told in compare(Path(folder), rounds=given.rounds):
            sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()

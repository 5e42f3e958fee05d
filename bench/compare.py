"""What comparing costs beside pure drawing: 8 checkpoints x 4 prompts on the pocket model, and one switch of the LoRA.

`python -m bench.compare [rounds]` alternates, in one process: the generating worker's own path (settings checked, header
checked, numbers copied in, embeddings from the cache, one batch a checkpoint, PNGs written), the floor (diffusers' pipeline
called with ready embeddings, one batch a checkpoint, nothing else), and, for the switch, diffusers' load_lora_weights +
set_adapters. Times are CPU seconds of this process, so that a busy machine changes them little; ratios are of medians.

Goals: comparison at most 1.15 x the floor; switch at most 1/20 of load + set.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from rich.console import Console
from rich.table import Table

from backends.contract import wire
from backends.contract.config import parse_config
from backends.contract.draw import DrawConfig, LoraUse
from backends.generate.adapters import AdapterRack
from backends.generate.worker import GenerateWorker
from tests.adapters import EVERYTHING, load_pocket, write_adapter

PROMPTS = ["zog on a red background", "a cat on a blue background", "a red apple", "a robot on a green background"]
CHECKPOINTS, RANK = 8, 8


def measure(work: Any) -> float:
    """CPU seconds of one call."""
    gc.collect()
    began = time.process_time()
    work()
    return time.process_time() - began


def make_comparison(adapters: list[Path], folder: Path) -> Any:
    """The worker's path, as a call; each time the cells are written anew."""
    worker = GenerateWorker()
    settings = parse_config(DrawConfig, {"base_model": "pocket-sdxl"}).model_dump(mode="json")
    columns = [
        {"changes": {"loras": [{"path": str(a), "weight": 1.0}]}, "files": [str(folder / f"{a.stem}_{i}.png") for i in range(len(PROMPTS))]}
        for a in adapters
    ]
    values = {"settings": settings, "rows": [{"prompt": prompt} for prompt in PROMPTS], "columns": columns}
    return lambda: worker.draw(wire.Request("1", "draw", values, lambda message: None))


def make_floor(adapter: Path) -> Any:
    """Eight batches by diffusers alone, the LoRA in place and the embeddings ready."""
    pipeline = load_pocket()
    pipeline.load_lora_weights(str(adapter.parent), weight_name=adapter.name, adapter_name="bench_adapter")
    pipeline.unet.eval()
    embeddings = pipeline.encode_prompt(prompt=PROMPTS, do_classifier_free_guidance=True)
    names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
    ready = {name: e.detach() for name, e in zip(names, embeddings, strict=True)}

    def draw() -> None:
        for _ in range(CHECKPOINTS):
            generators = [torch.Generator("cpu").manual_seed(42) for _ in PROMPTS]
            pipeline(**ready, num_inference_steps=20, guidance_scale=3.0, width=128, height=128, generator=generators)

    return draw


def make_switches(adapters: list[Path]) -> tuple[Any, Any]:
    """Our switch and diffusers' way, each over all checkpoints."""
    ours, theirs = load_pocket(), load_pocket()
    rack = AdapterRack(ours, "Pocket", ("unet", "text_encoder", "text_encoder_2"))

    def switch() -> float:
        return measure(lambda: [rack.use([LoraUse(path=str(a), weight=1.0)]) for a in adapters])

    def load() -> float:
        seconds = 0.0
        for adapter in adapters:
            seconds += measure(lambda path=adapter: _load_and_set(theirs, path))
            theirs.delete_adapters("bench_adapter")
        return seconds

    switch()
    load()
    return switch, load


def _load_and_set(pipeline: Any, path: Path) -> None:
    pipeline.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name="bench_adapter")
    pipeline.set_adapters(["bench_adapter"], [1.0])


def main(rounds: int = 5) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        adapters = [write_adapter(folder / f"step_{i}.safetensors", i, rank=RANK, layers=EVERYTHING) for i in range(CHECKPOINTS)]
        switch, load = make_switches(adapters)
        switches = [(switch() / CHECKPOINTS, load() / CHECKPOINTS) for _ in range(rounds)]
        compare, floor = make_comparison(adapters, folder), make_floor(adapters[0])
        compare()
        comparisons = [(measure(compare), measure(floor)) for _ in range(rounds)]
    table = Table("what", "ours (CPU s)", "measure (CPU s)", "ratio", "goal")
    for title, pairs, goal in (
        (f"{CHECKPOINTS} checkpoints x {len(PROMPTS)} prompts", comparisons, "at most 1.15"),
        ("LoRA switch against load_lora_weights + set_adapters", switches, "at most 0.05"),
    ):
        ours, theirs = (statistics.median(p[i] for p in pairs) for i in (0, 1))
        spread = f"{min(a / b for a, b in pairs):.3f} to {max(a / b for a, b in pairs):.3f}"
        table.add_row(title, f"{ours:.4f}", f"{theirs:.4f}", f"{ours / theirs:.3f} ({spread})", goal)
    Console(width=140).print(table)


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backends.contract.events import EventWriter, read_events
from backends.contract.methods.ai_toolkit import FluxAiToolkitConfig
from backends.contract.rundir import RunDir
from backends.engine.recipe import Recipe, describe_dataset
from backends.external.harvest import Harvest
from backends.external.manifest import Picture, read_pictures
from backends.external.tell import Teller
from backends.external.train import About
from backends.external.work import Work

CAPTIONS = ["zog on a hill", "zog in ${HOME}, 1e5", "  zog\nasleep ", "zog held out"]


@pytest.fixture
def work(tmp_path) -> Work:
    """The folders of a run over four pictures, the last one held out."""
    run = RunDir(tmp_path / "workspace" / "runs" / "one")
    run.root.mkdir(parents=True)
    rows = []
    for number, caption in enumerate(CAPTIONS):
        file = tmp_path / f"picture {number}.png"
        Image.new("RGB", (64, 64), (number * 40, 90, 90)).save(file)
        rows.append({"id": str(number), "file": str(file), "caption": caption, "width": 64, "height": 64, "held_out": number == 3})
    run.manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    work = Work(run)
    work.output.mkdir(parents=True)
    return work


@pytest.fixture
def pictures(work) -> list[Picture]:
    return read_pictures(work.run)


@pytest.fixture
def teller(work) -> Teller:
    return Teller(EventWriter(work.run.events))


def told(work: Work, kind: str) -> list[dict]:
    return [e for e in read_events(work.run.events) if e["t"] == kind]


def make_harvest(work: Work, teller: Teller, *, limit: int | None = None, total: int = 100) -> Harvest:
    config, about = FluxAiToolkitConfig(trigger_word="zog"), About("black-forest-labs/FLUX.1-dev", 4)
    pictures = read_pictures(work.run)
    dataset = describe_dataset(pictures, "")
    recipe = Recipe(config, backend="flux/ai_toolkit", family=about, trained=about, items=pictures, dataset=dataset, seed=0, versions={})
    return Harvest(work, recipe, teller, total=total, limit=limit)


def write_lora(path: Path, step: int, *, dtype: str = "F16", bad: bool = False, cut: int = 0) -> Path:
    """A LoRA of one layer as ai-toolkit writes it; `bad` puts something in that is no number, `cut` leaves off its last bytes."""
    kind = {"F16": "<f2", "F32": "<f4", "BF16": "<u2"}[dtype]
    described: dict = {"__metadata__": {"format": "pt", "training_info": json.dumps({"step": step, "epoch": 0})}}
    parts: list[bytes] = []
    for side, shape in (("lora_A", (4, 8)), ("lora_B", (8, 4))):
        values = np.full(shape, 0x3F80 if dtype == "BF16" else 0.5, dtype=kind)
        if bad and side == "lora_B":
            values[3, 1] = 0x7FC0 if dtype == "BF16" else np.inf
        begin = sum(map(len, parts))
        parts.append(values.tobytes())
        key = f"transformer.single_transformer_blocks.0.attn.to_q.{side}.weight"
        described[key] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, begin + len(parts[-1])]}
    header = json.dumps(described).encode()
    data = len(header).to_bytes(8, "little") + header + b"".join(parts)
    path.write_bytes(data[: len(data) - cut])
    return path

"""CPU time of our training step against a bare loop's: `python bench/train_step.py`.

The bare loop has everything that a step cannot do without and nothing else: tensors made beforehand, noise, forward,
loss, backward, fused AdamW, on the same UNet with the same LoRA. Both alternate in one process on one thread, so that
the load of the machine meets both alike; what counts is the ratio of each pair.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from backends.contract.config import parse_config  # noqa: E402
from backends.contract.rundir import RunDir  # noqa: E402
from backends.engine.adapters import Adapters  # noqa: E402
from backends.engine.assembly import assemble  # noqa: E402
from backends.engine.loop import Training, train  # noqa: E402
from backends.engine.reporter import Reporter  # noqa: E402
from backends.families.protocol import LoadOptions  # noqa: E402
from backends.families.sdxl import EMBEDDING, POOLED, TIME_IDS, Sdxl  # noqa: E402
from backends.registry import find_backend  # noqa: E402

BACKEND = "sdxl/text_to_image"
LEARNING_RATE = 8e-4


def build_ours(folder: Path, *, batch_size: int, layers: str) -> Training:
    """Our trainer on the sample pictures, ready to step; nothing but steps and their log is due."""
    backend, run = find_backend(BACKEND), RunDir(folder)
    values = {
        "pretrained_model_name_or_path": "pocket-sdxl",
        "resolution": 128,
        "train_batch_size": batch_size,
        "rank": 8,
        "lora_layers": layers,
        "learning_rate": LEARNING_RATE,
        "seed": 0,
        "sample_every": 0,
        "report_to": "none",
        "train_data_dir": str(ROOT / "assets" / "samples" / "zog"),
        "held_out_share": 0,
        "max_train_steps": 1_000_000,
        "checkpointing_steps": 1_000_000,
        "held_out_every": 100_000,
    }
    from backends.contract.events import EventWriter

    return assemble(run, backend, parse_config(backend.config, values), Reporter(EventWriter(run.events)), resume=None)


def run_ours(training: Training, steps: int) -> None:
    """Steps of the real loop, with its log; the limit is moved on, and nothing is saved."""
    training.cadence.total_steps = training.progress.step + steps
    training.saver._active = False
    train(training)


def build_bare(*, batch_size: int, layers: list[str]) -> Callable[[int], None]:
    """The bare loop as a function of the number of steps."""
    family = Sdxl.load(LoadOptions(source=str(ROOT / "assets/models/pocket-sdxl"), device=torch.device("cpu"), dtype=torch.float32))
    adapters = Adapters(family.adapter_targets(layers, text_encoders=False), rank=8, alpha=8.0, dropout=0.0, seed=0)
    parameters = adapters.parameters()
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, fused=True)
    told = family.encode_prompts(["zog on a red background"] * batch_size)
    added = {"text_embeds": told[POOLED], TIME_IDS: torch.tensor([[128.0, 128, 0, 0, 128, 128]] * batch_size)}
    latents = torch.randn(batch_size, 8, 16, 16)
    timesteps = torch.linspace(10, 990, batch_size).long()
    unet, schedule = family.unet.train(), family.schedule

    def run(steps: int) -> None:
        for _ in range(steps):
            noise = torch.randn_like(latents)
            noisy, target = schedule.add_noise(latents, noise, timesteps), schedule.compute_target(latents, noise, timesteps)
            found = unet(noisy, timesteps, told[EMBEDDING], added_cond_kwargs=added, return_dict=False)[0]
            torch.nn.functional.mse_loss(found, target).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return run


def measure(action: Callable[[], None]) -> float:
    """CPU seconds of this process."""
    began = time.process_time()
    action()
    return time.process_time() - began


def compare(*, batch_size: int, steps: int, rounds: int, layers: str) -> dict[str, object]:
    """Milliseconds of CPU a step and the ratio ours / bare, as least, median and most of the rounds."""
    from backends.contract.text_to_image import LORA_LAYERS

    with tempfile.TemporaryDirectory() as folder:
        training = build_ours(Path(folder), batch_size=batch_size, layers=layers)
        bare = build_bare(batch_size=batch_size, layers=LORA_LAYERS[layers])
        run_ours(training, 5)
        bare(5)
        pairs = []
        for number in range(rounds):
            order = [lambda: run_ours(training, steps), lambda: bare(steps)]
            times = [measure(a) for a in (order if number % 2 == 0 else order[::-1])]
            pairs.append(times if number % 2 == 0 else times[::-1])
    ours, base = ([1000 * p[i] / steps for p in pairs] for i in (0, 1))
    return {
        "batch": batch_size,
        "ours_ms": _spread(ours),
        "bare_ms": _spread(base),
        "ratio": _spread([a / b for a, b in zip(ours, base, strict=True)], digits=3),
    }


def _spread(values: list[float], digits: int = 1) -> list[float]:
    return [round(v, digits) for v in (min(values), statistics.median(values), max(values))]


def main() -> None:
    """Writes one JSON line a batch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--layers", default="everything", choices=["attention", "attention+ff", "everything"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    for batch_size in given.batch:
        found = compare(batch_size=batch_size, steps=given.steps, rounds=given.rounds, layers=given.layers)
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

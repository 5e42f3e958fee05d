"""CPU time of our training step against a bare loop's and the diffusers script's: `python -m bench.train_step`.

The bare loop has everything that a step cannot do without and nothing else: tensors made beforehand, noise, forward,
loss, backward, fused AdamW, on the same UNet with the same LoRA. With a checkout of diffusers in the environment variable
DIFFUSERS_SCRIPT its text-to-image LoRA script for SDXL runs too, on the same pictures; it trains the attention layers
alone, so that all do then. They take turns in one process on one thread, so that the load of the machine meets all alike;
what counts is the ratio within a round.
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
from backends.contract.events import EventWriter  # noqa: E402
from backends.contract.rundir import RunDir  # noqa: E402
from backends.contract.settings.lora import UNET_LORA_LAYERS  # noqa: E402
from backends.engine.adapters import Adapters, AdapterShape  # noqa: E402
from backends.engine.assembly import assemble  # noqa: E402
from backends.engine.loop import Training, train  # noqa: E402
from backends.engine.reporter import Reporter  # noqa: E402
from backends.families.protocol import LoadOptions  # noqa: E402
from backends.families.sdxl import EMBEDDING, POOLED, TIME_IDS, Sdxl  # noqa: E402
from backends.registry import find_backend  # noqa: E402
from bench.diffusers_script import CHECKOUT, DiffusersScript, find_script  # noqa: E402

BACKEND = "sdxl/text_to_image"
LEARNING_RATE = 8e-4
RANK = 8
WARM_UP = 5  # steps
SAMPLES = ROOT / "assets" / "samples" / "zog"
BASE = ROOT / "assets" / "models" / "pocket-sdxl"


def build_ours(folder: Path, *, batch_size: int, layers: str) -> Training:
    """Our trainer on the sample pictures, ready to step; nothing but steps and their log is due."""
    backend, run = find_backend(BACKEND), RunDir(folder)
    values = {
        "pretrained_model_name_or_path": "pocket-sdxl",
        "resolution": 128,
        "train_batch_size": batch_size,
        "rank": RANK,
        "lora_layers": layers,
        "learning_rate": LEARNING_RATE,
        "seed": 0,
        "sample_every": 0,
        "report_to": "none",
        "train_data_dir": str(SAMPLES),
        "held_out_share": 0,
        "max_train_steps": 1_000_000,
        "checkpointing_steps": 1_000_000,
        "held_out_every": 100_000,
    }
    return assemble(run, backend, parse_config(backend.config, values), Reporter(EventWriter(run.events)), resume=None)


def run_ours(training: Training, steps: int) -> None:
    """Steps of the real loop, with its log; the limit is moved on, and nothing is saved."""
    training.cadence.total_steps = training.progress.step + steps
    training.saver._active = False
    train(training)


def build_bare(*, batch_size: int, layers: str) -> Callable[[int], None]:
    """The bare loop as a function of the number of steps."""
    family = Sdxl.load(LoadOptions(source=str(BASE), device=torch.device("cpu"), dtype=torch.float32))
    adapters = Adapters(family.adapter_targets(layers, text_encoders=False), AdapterShape(RANK, float(RANK)), seed=0)
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


def compare(*, batch_size: int, steps: int, rounds: int, layers: str, script: Path | None) -> dict[str, object]:
    """Milliseconds of CPU a step, and ours as a ratio of each other loop's, as least, median and most of the rounds."""
    with tempfile.TemporaryDirectory() as folder:
        training = build_ours(Path(folder) / "ours", batch_size=batch_size, layers=layers)
        loops = {"ours": lambda n: run_ours(training, n), "bare": build_bare(batch_size=batch_size, layers=layers)}
        theirs = None
        if script:
            work = Path(folder) / "script"
            theirs = DiffusersScript(
                script, model=BASE, pictures=SAMPLES, work=work, batch_size=batch_size, rank=RANK, learning_rate=LEARNING_RATE
            )
            loops["script"] = theirs.run
        for run in loops.values():
            run(WARM_UP)
        times: dict[str, list[float]] = {name: [] for name in loops}
        for number in range(rounds):
            names = list(loops) if number % 2 == 0 else list(loops)[::-1]
            for name in names:
                times[name].append(1000 * measure(lambda run=loops[name]: run(steps)) / steps)
        if theirs:
            theirs.close()
    found: dict[str, object] = {"batch": batch_size, "layers": layers} | {f"{name}_ms": _spread(t) for name, t in times.items()}
    for name in list(times)[1:]:
        found[f"ours/{name}"] = _spread([a / b for a, b in zip(times["ours"], times[name], strict=True)], digits=3)
        found[f"ours/{name}, all rounds"] = round(sum(times["ours"]) / sum(times[name]), 3)
    return found


def _spread(values: list[float], digits: int = 1) -> list[float]:
    return [round(v, digits) for v in (min(values), statistics.median(values), max(values))]


def main() -> None:
    """Writes one JSON line a batch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5, help="Of each loop in a turn; short turns meet the same load.")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--layers", choices=list(UNET_LORA_LAYERS), help="Default: everything; attention beside the script.")
    given, script = parser.parse_args(), find_script()
    if script and given.layers not in (None, "attention"):
        parser.error(f"--layers is {given.layers}; the script trains the attention layers alone. Leave {CHECKOUT} or --layers out.")
    layers = given.layers or ("attention" if script else "everything")
    torch.set_num_threads(1)
    for batch_size in given.batch:
        found = compare(batch_size=batch_size, steps=given.steps, rounds=given.rounds, layers=layers, script=script)
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

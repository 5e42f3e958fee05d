"""The trainer where ai-toolkit trains: `python -m backends.external.train --config RUN/config.yaml [--resume latest]`.

It starts ai-toolkit in its own environment and turns what that writes into the run's events, samples and checkpoints; torch is
never imported, so it needs no GPU memory. Exit codes are those of `backends.train`. ai-toolkit goes on from what it finds; without
`--resume` too, where a checkpoint is there.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from backends.contract.aitoolkit import AiToolkit, check_run_folder, find_ai_toolkit
from backends.contract.base_models import resolve_source
from backends.contract.config import parse_config, read_config_document
from backends.contract.events import EventWriter, read_events
from backends.contract.methods.ai_toolkit import FluxAiToolkitConfig
from backends.contract.rundir import LORA, RunDir, complete_checkpoints
from backends.engine.recipe import Recipe, describe_dataset
from backends.engine.whole import sweep
from backends.external.curve import Curve
from backends.external.document import count_steps, link_pictures, write_document
from backends.external.drive import Drive
from backends.external.harvest import Harvest, restore
from backends.external.manifest import Picture, read_pictures
from backends.external.reasons import explain_failure
from backends.external.tell import Teller
from backends.external.work import Work
from backends.train import explain

log = logging.getLogger("darkroom.aitoolkit")


@dataclass(frozen=True)
class About:
    """What the header of a LoRA says of its base model and of itself."""

    source: str
    rank: int

    def metadata(self) -> dict[str, str]:
        """Keys that ComfyUI and the model spec read."""
        name = Path(self.source).name if Path(self.source).is_absolute() else self.source
        return {"ss_base_model_version": "flux1", "ss_sd_model_name": name, "modelspec.architecture": "flux-1-dev"} | {
            "modelspec.implementation": "diffusers"
        }

    def notes(self) -> dict[str, str]:
        """Its file has no alphas, and alpha is the rank."""
        return {"ss_network_module": "networks.lora", "ss_network_dim": str(self.rank), "ss_network_alpha": str(self.rank)}


@dataclass
class Wishes:
    """What is asked of this process by file or by signal."""

    run: RunDir
    signalled: bool = False

    def listen(self) -> None:
        """Takes SIGTERM and SIGINT as a wish to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def is_stop_wanted(self) -> bool:
        """Whether it was asked to stop."""
        return self.signalled or self.run.stop_request.exists()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.signalled = True


@dataclass
class Attempt:
    """Everything that one attempt is made of."""

    run: RunDir
    config: FluxAiToolkitConfig
    found: AiToolkit
    pictures: list[Picture]
    total: int
    teller: Teller
    wishes: Wishes
    curve: Curve
    harvest: Harvest
    began: float = field(default_factory=time.monotonic)


def main(arguments: list[str] | None = None) -> int:
    """Trains the run whose settings `--config` names; gives the exit code."""
    parser = argparse.ArgumentParser(prog="backends.external.train", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the run's config.yaml; its folder is the run's folder")
    parser.add_argument("--resume", default=None, help="latest; ai-toolkit goes on from the newest checkpoint in any case")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    run = RunDir(given.config.resolve().parent)
    writer = EventWriter(run.events)
    teller = Teller(writer)
    try:
        return _train(run, teller)
    except Exception as error:  # noqa: BLE001 - the edge of the process: every fault becomes one plain sentence
        log.exception("The training failed")
        teller.write("state", state="failed", step=max(complete_checkpoints(run), default=0), reason=explain(error))
        return 1
    finally:
        writer.close()


def _train(run: RunDir, teller: Teller) -> int:
    begin = max(complete_checkpoints(run), default=0)
    teller.write("state", state="running", step=begin, reason="")
    teller.phase("starting")
    wishes = Wishes(run)
    wishes.listen()
    attempt = _prepare(run, teller, wishes)
    if wishes.is_stop_wanted():
        teller.write("state", state="stopped", step=attempt.curve.step, reason="Stopped before the first step.")
        return 0
    drive = Drive(
        Work(run),
        attempt.config,
        attempt.found,
        teller=teller,
        curve=attempt.curve,
        harvest=attempt.harvest,
        total=attempt.total,
        is_stop_wanted=wishes.is_stop_wanted,
    )
    code = drive.run()
    return _conclude(attempt, drive, code)


def _prepare(run: RunDir, teller: Teller, wishes: Wishes) -> Attempt:
    """Settings, pictures and the step to go on from, laid out for ai-toolkit."""
    document = read_config_document(run.config)
    config = parse_config(FluxAiToolkitConfig, document["config"])
    check_run_folder(run.root)
    found = find_ai_toolkit(run.root.parent.parent)
    work, pictures = Work(run), read_pictures(run)
    seed = 0 if config.seed is None else config.seed
    total = count_steps(config, pictures)
    about = About(resolve_source(config.pretrained_model_name_or_path), config.rank)
    recipe = Recipe(
        config,
        backend=str(document["backend"]),
        family=about,
        trained=about,
        items=pictures,
        dataset=describe_dataset(pictures, str((document.get("versions") or {}).get("dataset_sha256", ""))),
        seed=seed,
        versions={"ai-toolkit": found.version},
    )
    sweep(run)
    harvest = Harvest(work, recipe, teller, total=total, limit=config.checkpoints_total_limit)
    harvest.skip_old()
    harvest.take_weights(lambda step: None, None, ended=True)  # saved when nobody looked any more
    begin = max(complete_checkpoints(run), default=0)
    restore(work, begin)
    link_pictures(work, pictures)
    write_document(work, config, pictures, seed)
    _tell_differences(teller, found, judging=sum(p.held_out for p in pictures))
    num_held_out = sum(p.held_out for p in pictures)
    curve = Curve(work, config, teller, begin=begin, num_training=len(pictures) - num_held_out, num_held_out=num_held_out)
    return Attempt(run, config, found, pictures, total, teller, wishes, curve, harvest)


def _tell_differences(teller: Teller, found: AiToolkit, *, judging: int) -> None:
    """What a person should know who has seen runs of our own trainer."""
    name = f"ai-toolkit {found.version}".strip()
    teller.notice(f"{name} trains. Its Resume repeats a step, so it comes near to an unbroken run, not to the bit.")
    if judging and found.judges:
        teller.notice(
            "The held-out loss is ai-toolkit’s own, at four noise levels and the weights before averaging: compare it within this run, "
            "not with runs of another trainer. It does not say by itself whether it has learnt."
        )
    elif judging:
        teller.notice(
            "This ai-toolkit cannot judge on held-out pictures; versions from July 2026 on can (git pull). Whether it has learnt, "
            "the samples tell.",
            "warning",
        )
    if not found.saves_on_request:
        teller.notice(
            "This ai-toolkit cannot save on request: Stop goes back to the last checkpoint. Versions from June 2026 on can (git pull).",
            "warning",
        )


def _conclude(attempt: Attempt, drive: Drive, code: int) -> int:
    """Writes the LoRA, the result and how it ended; the exit code."""
    newest = max(complete_checkpoints(attempt.run), default=0)
    step = max(attempt.curve.step, newest)
    if code == 0 and newest >= attempt.total:
        return _finish(attempt, "finished", attempt.total, "")
    if drive.was_stopped or code == 0:
        kept = f"Its last checkpoint is step {newest:,}." if newest else "Nothing had been saved."
        reason = "" if newest >= attempt.curve.step else kept
        return _finish(attempt, "stopped", step, reason)
    if code < 0:
        _end_alike(-code)  # who watches over the run tells memory, kill and crash apart by it
    said = [f"Error: {drive.state.info}"] if drive.state.status == "error" else []
    reason = explain_failure([*drive.lines, *said], code, attempt.config, attempt.found)
    attempt.teller.write("state", state="failed", step=step, reason=reason)
    return 1


def _finish(attempt: Attempt, state: str, step: int, reason: str) -> int:
    attempt.teller.phase("exporting")
    if attempt.harvest.export():
        attempt.teller.write("result", **_compute_result(attempt, step))
    attempt.teller.write("state", state=state, step=step, reason=reason)
    return 0


def _compute_result(attempt: Attempt, step: int) -> dict[str, Any]:
    """What the run came to. Whether it has learnt nobody has calibrated for these figures, so that stays open."""
    judged = _read_judgements(attempt.run)
    start, end = (judged[min(judged)], judged[max(judged)]) if judged else (None, None)
    return {
        "lora": LORA,
        "steps": step,
        "seconds": round(time.monotonic() - attempt.began, 2),
        "steps_per_s": round(attempt.curve.steps_per_s, 4),
        "heldout_loss_start": start,
        "heldout_loss_end": end,
        "heldout_loss_ratio": end / start if start and end is not None else None,
        "best_step": min(judged, key=judged.__getitem__) if judged else None,
        "learned": None,
    }


def _read_judgements(run: RunDir) -> dict[int, float]:
    """Held-out losses by step over all attempts; what a Resume went back behind counts no more."""
    found: dict[int, float] = {}
    for event in read_events(run.events):
        if event["t"] == "state" and event["state"] == "running":
            found = {step: loss for step, loss in found.items() if step <= event["step"]}
        elif event["t"] == "eval":
            found[event["step"]] = event["loss"]
    return found


def _end_alike(number: int) -> None:
    signal.signal(number, signal.SIG_DFL) if number not in (signal.SIGKILL, signal.SIGSTOP) else None
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    sys.exit(main())

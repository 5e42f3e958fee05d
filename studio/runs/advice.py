"""What a run's curves say, computed from its events: one sentence for now, and what to do differently next time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from backends.contract.base_models import is_bundled
from backends.contract.config import plain_number
from backends.contract.settings.lora import trains_lora
from studio.runs.command import OWN_TRAINER, trainer_of
from studio.runs.shift import Shift, find_best, is_clear_rise, read_shifts

Event = dict[str, Any]
FALLING, RISING = 0.02, 0.08  # smaller changes are no news: few pictures are held out
LEARNT_RATIO = 0.9
LAST_TRY_RATE = 2e-4


@dataclass(frozen=True)
class Advice:
    """`kind` is good, more, less, quality, memory or broken; `text` what was seen, `action` what to do about it."""

    kind: str
    text: str
    action: str = ""


@dataclass(frozen=True)
class Curve:
    """The held-out losses in the order of their steps; a step that was judged twice (after a resume) counts once."""

    steps: tuple[int, ...]
    losses: tuple[float, ...]

    @property
    def best(self) -> int:
        """Index of the lowest."""
        return min(range(len(self.losses)), key=self.losses.__getitem__)

    @property
    def rise(self) -> float:
        """How far the end lies above the lowest stretch, as a share; of three judgements each, for one alone is noisy."""
        smooth = [fmean(self.losses[max(0, i - 2) : i + 1]) for i in range(len(self.losses))]
        return smooth[-1] / min(smooth) - 1 if min(smooth) > 0 else 0.0

    def before(self, step: int) -> int:
        """Index of the last judgement at or before `step`."""
        return max((i for i, s in enumerate(self.steps) if s <= step), default=0)


def read_curve(events: Sequence[Event]) -> Curve:
    """The held-out curve in a run's events."""
    found = {int(e["step"]): float(e["loss"]) for e in events if e.get("t") == "eval" and e.get("loss") is not None}
    ordered = sorted(found.items())
    return Curve(tuple(s for s, _ in ordered), tuple(x for _, x in ordered))


def compute_sentence(events: Sequence[Event]) -> str:
    """The one sentence above the curve; empty before there is anything to say."""
    curve = read_curve(events)
    if len(curve.steps) < 2:
        steps = [e for e in events if e.get("t") == "step"]
        return f"The first steps: train loss is {steps[-1]['loss']:.3f}; the held-out pictures have not judged it yet." if steps else ""
    shifts = read_shifts(events)
    if shifts and min(curve.losses) > LEARNT_RATIO * curve.losses[0]:
        return _tell_shift(shifts, curve.losses[-1])
    last, best = len(curve.steps) - 1, curve.best
    now, lowest = curve.losses[last], curve.losses[best]
    if best < last - 1 and curve.rise > RISING and now > lowest:
        up = _percent(now / lowest - 1)
        return f"Rising again: held-out loss is {now:.3f}, up {up} since its lowest at step {curve.steps[best]:,}."
    reference = min(last - 1, curve.before(int(curve.steps[last] * 0.75)))
    change = 1 - now / curve.losses[reference] if curve.losses[reference] > 0 else 0.0
    if change >= FALLING:
        return f"Still getting better: held-out loss is {now:.3f}, down {_percent(change)} since step {curve.steps[reference]:,}."
    if best == last:
        return f"Levelling off: held-out loss is {now:.3f}, its lowest so far."
    return f"Levelling off: held-out loss is {now:.3f}; the lowest was {lowest:.3f} at step {curve.steps[best]:,}."


def _tell_shift(shifts: Sequence[Shift], loss: float) -> str:
    now = shifts[-1]
    if is_clear_rise(shifts):
        return f"Rising again: held-out loss is {loss:.3f}; it was lower at step {find_best(shifts).step:,}."
    if not now.is_clear:
        return f"No clear change yet: since before training the held-out loss {now.words}."
    return f"{'Better' if now.change < 0 else 'Worse'} than before training: the held-out loss {now.words}."


def compute_advice(events: Sequence[Event], config: Any) -> list[Advice]:
    """What to do next time, the most helpful first; empty while there is too little to judge by.

    Args:
        events: All events of the run.
        config: Its settings; advice names only levers that are not pulled already.
    """
    state = next((e for e in reversed(events) if e.get("t") == "state"), {})
    reason = str(state.get("reason") or "")
    if state.get("state") == "failed" and "memory" in reason.lower():
        return [advise_memory(config)]
    found = [_advise_broken(config, reason)] if state.get("state") == "failed" and _is_not_finite(reason) else []
    curve = read_curve(events)
    if len(curve.steps) < 3 or curve.losses[0] <= 0:
        return found
    ratio = curve.losses[-1] / curve.losses[0]
    if curve.losses[curve.best] / curve.losses[0] > LEARNT_RATIO:
        if _is_calibrated(config):
            return [*found, _advise_not_learnt(curve, config)]
        shifts = read_shifts(events)
        return [*found, _advise_by_shift(shifts, curve, events, config)] if shifts else found
    if ratio <= LEARNT_RATIO:
        little = any(e.get("t") == "result" and e.get("learned") is False for e in events)
        found.append(_praise(curve, ratio, events, little=little))
    if _is_overfit(curve, events):
        return [*found, _advise_overfit(curve, events, config)]
    return found + _advise_length(curve, config)


def advise_memory(config: Any) -> Advice:
    """The levers that save memory and are not pulled yet."""
    ways = []
    if config.train_batch_size > 1:
        ways.append("batch size 1")
    if config.gradient_accumulation_steps < 8:
        ways.append("accumulation 8")
    if trains_lora(config) and config.rank > 8:
        ways.append("rank 8")
    for name, words in (("gradient_checkpointing", "Save memory on"), ("use_8bit_adam", "8-bit Adam on")):
        if not getattr(config, name):
            ways.append(words)
    if not config.cache_latents:
        ways.append("Keep encoded pictures on")
    action = f"Next time: {_list(ways)}." if ways else "Lower the resolution, or use a machine with more memory."
    return Advice("memory", "It ran out of memory.", action)


def _advise_broken(config: Any, reason: str) -> Advice:
    return Advice("broken", reason, f"Next time: learning rate {plain_number(config.learning_rate / 4)}, and bf16 rather than fp16.")


def _is_not_finite(reason: str) -> bool:
    return any(word in reason.lower() for word in ("nan", "not finite", "infinite", "not a number"))


def _is_calibrated(config: Any) -> bool:
    """Whether it is known how far the loss falls when something was learnt: of our own trainer, on a bundled base (docs/learning.md)."""
    return trainer_of(config) == OWN_TRAINER and is_bundled(config.pretrained_model_name_or_path)


def _advise_not_learnt(curve: Curve, config: Any) -> Advice:
    gone = curve.losses[curve.best] / curve.losses[0] - 1
    moved = f"moved by {_percent(abs(gone))}" if abs(gone) >= 0.005 else "did not move"
    text = f"It has not learnt: over {curve.steps[-1]:,} steps the held-out loss {moved} ({curve.losses[0]:.3f} to {curve.losses[-1]:.3f})."
    return Advice("more", text, _advise_more(curve, config))


def _advise_more(curve: Curve, config: Any) -> str:
    faster = config.learning_rate * 2 if config.learning_rate >= LAST_TRY_RATE else LAST_TRY_RATE
    longer = max(1500, 2 * curve.steps[-1]) if config.resolution >= 512 else 2 * curve.steps[-1]
    return f"Look first {_first_look(config)}. Then: learning rate {plain_number(faster)} and {longer:,} steps."


def _first_look(config: Any) -> str:
    word = getattr(config, "trigger_word", None)
    if word is None:  # edit pairs have none
        return "whether the instructions say what changes"
    return f"whether every caption has “{word}”" if word else "whether the captions say what is in the pictures"


def _advise_by_shift(shifts: Sequence[Shift], curve: Curve, events: Sequence[Event], config: Any) -> Advice:
    """For a large base: by how clear the change is, not by how large."""
    now = shifts[-1]
    on = "On pictures it never saw the loss"
    if is_clear_rise(shifts):
        better, best = _name_better(curve, events), find_best(shifts).step
        text = f"{on} {now.words} since before training, and was lower at step {best:,}: it began to copy, or to forget.{better}"
        return Advice("less", text, f"Next time: fewer steps, or learning rate {_slower(config)}, and more varied pictures.")
    if now.is_clear and now.change < 0:
        text = f"{on} {now.words}. A large model knows nearly everything, so a small fall is usual; this one is too clear to be chance."
        return Advice(
            "good", text, "Compare the checkpoints: whether it is your subject or your style, the pictures tell better than a number."
        )
    text = f"No clear change: on pictures it never saw the loss {now.words} since before training."
    return Advice(
        "more", text, f"Look at the samples: they show a likeness before this number does. Is there none? {_advise_more(curve, config)}"
    )


def _is_overfit(curve: Curve, events: Sequence[Event]) -> bool:
    """Held-out loss rises from its lowest while the train loss goes on falling."""
    if len(curve.steps) - 1 - curve.best < 2 or curve.rise < RISING:
        return False
    steps = [(int(e["step"]), float(e["loss"])) for e in events if e.get("t") == "step" and e.get("loss") is not None]
    turn, end = curve.steps[curve.best], curve.steps[-1]
    around = [x for s, x in steps if turn - (end - turn) / 2 <= s <= turn]
    late = [x for s, x in steps if s > end - (end - turn) / 2]
    return bool(around and late) and fmean(late) < fmean(around)


def _advise_overfit(curve: Curve, events: Sequence[Event], config: Any) -> Advice:
    turn, up = curve.steps[curve.best], curve.losses[-1] / curve.losses[curve.best] - 1
    better = _name_better(curve, events)
    text = f"It began to copy: since step {turn:,} the held-out loss rose by {_percent(up)} while the train loss went on falling.{better}"
    return Advice("less", text, f"Next time: {turn:,} steps, learning rate {_slower(config)}, and more varied pictures.")


def _name_better(curve: Curve, events: Sequence[Event]) -> str:
    """A sentence about an earlier checkpoint, where there is one."""
    kept = _best_checkpoint(curve, events)
    return f" The checkpoint at step {kept:,} may be the better one." if kept and kept != curve.steps[-1] else ""


def _slower(config: Any) -> str:
    return plain_number(float(f"{config.learning_rate / 2:.1e}"))


def _best_checkpoint(curve: Curve, events: Sequence[Event]) -> int | None:
    """The saved step with the lowest held-out loss."""
    saved = sorted({int(e["step"]) for e in events if e.get("t") == "checkpoint"})
    return min(saved, key=lambda s: (curve.losses[curve.before(s)], s), default=None)


def _praise(curve: Curve, ratio: float, events: Sequence[Event], *, little: bool) -> Advice:
    """`little`: below what this training usually learns, as the run's result says."""
    kept = _best_checkpoint(curve, events)
    text = (
        f"It has learnt{' a little' if little else ''}: on pictures it never saw the loss fell "
        f"from {curve.losses[0]:.3f} to {curve.losses[-1]:.3f}, to {_percent(ratio)}."
    )
    lowest = f"The lowest, {curve.losses[curve.best]:.3f}, was at step {curve.steps[curve.best]:,}."
    action = f"{lowest} Of the checkpoints, step {kept:,} is the nearest to it: compare it first." if kept else lowest
    return Advice("more" if little else "good", text, action)


def _advise_length(curve: Curve, config: Any) -> list[Advice]:
    """Whether the run was cut short, or went on long after nothing happened any more."""
    last, middle = curve.losses[-1], curve.losses[curve.before(int(curve.steps[-1] * 0.75))]
    if curve.best == len(curve.steps) - 1 and last < middle * (1 - FALLING):
        text = f"The held-out loss was still falling at the end, by {_percent(1 - last / middle)} in the last quarter."
        return [Advice("more", text, f"Next time: {_round_up(curve.steps[-1] * 1.5):,} steps.")]
    early = next(s for s, x in zip(curve.steps, curve.losses, strict=True) if x <= curve.losses[curve.best] * (1 + FALLING))
    if 0 < early <= curve.steps[-1] * 0.6:
        text = f"After step {early:,} the held-out loss fell by no more than {_percent(FALLING)}."
        action = f"Details still missing? {_more_room(config)} help more than steps; else {early:,} steps are enough."
        return [Advice("quality", text, action)]
    return []


def _more_room(config: Any) -> str:
    """What gives details a place; all weights of a model have one already."""
    if not trains_lora(config):
        return "Better pictures"
    rank = min(256, max(32, config.rank * 2) if config.resolution >= 512 else config.rank * 2)
    return f"Rank {rank} or better pictures"


def _round_up(value: float) -> int:
    size = 50 if value < 1000 else 100
    return int(-(-value // size) * size)


def _percent(share: float) -> str:
    """A share as a person says it; a positive one never as 0 %."""
    return f"{max(1, round(100 * share))} %"


def _list(words: list[str]) -> str:
    return ", ".join(words[:-1]) + (" and " if len(words) > 1 else "") + words[-1]

"""Loops measured in turns in one process, so that the load of the machine meets all alike; what counts is the ratio within a round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Loop = Callable[[int], None]
"""Runs so many steps."""


@dataclass(frozen=True)
class Spent:
    """Milliseconds a step: of this process's CPU time, which other programs hardly change, and of the clock."""

    cpu: float
    wall: float


def measure(loop: Loop, steps: int, finish: Callable[[], None] = lambda: None) -> Spent:
    """What `steps` cost; `finish` waits for a device that works on its own."""
    finish()
    cpu, wall = time.process_time(), time.perf_counter()
    loop(steps)
    finish()
    return Spent(1000 * (time.process_time() - cpu) / steps, 1000 * (time.perf_counter() - wall) / steps)


def take_turns(
    loops: dict[str, Loop], *, steps: int, rounds: int, warm_up: int, between: Callable[[], object] = lambda: None
) -> dict[str, list[Spent]]:
    """Each loop's cost in each round; every other round goes backwards, so that none always follows the same one.

    Args:
        loops: By name; the first is ours.
        steps: Of each in a turn.
        rounds: How often all take their turn.
        warm_up: Steps of each beforehand.
        between: What is done before each turn and costs nobody anything.
    """
    for loop in loops.values():
        between()
        loop(warm_up)
    found: dict[str, list[Spent]] = {name: [] for name in loops}
    for number in range(rounds):
        names = list(loops) if number % 2 == 0 else list(loops)[::-1]
        for name in names:
            between()
            found[name].append(measure(loops[name], steps))
    return found


def summarize(found: dict[str, list[Spent]], *, digits: int = 1) -> dict[str, list[float] | float]:
    """Milliseconds, to so many digits, of each loop and the first one's ratio to each other, as least, median and most of the rounds.

    By CPU time, `…, all rounds` is the ratio of what all rounds cost together, `…, least` that of the least ones: the one nearest to
    what an idle machine would say, since neighbours only ever add.
    """
    first, *others = found
    told: dict[str, list[float] | float] = {}
    for name, spent in found.items():
        told[f"{name} cpu ms"] = spread([s.cpu for s in spent], digits)
        told[f"{name} wall ms"] = spread([s.wall for s in spent], digits)
    for name in others:
        pairs = list(zip(found[first], found[name], strict=True))
        told[f"{first}/{name}"] = spread([a.cpu / b.cpu for a, b in pairs], digits=3)
        told[f"{first}/{name}, all rounds"] = round(sum(a.cpu for a, _ in pairs) / sum(b.cpu for _, b in pairs), 3)
        told[f"{first}/{name}, least"] = round(min(a.cpu for a, _ in pairs) / min(b.cpu for _, b in pairs), 3)
        told[f"{first}/{name}, wall"] = spread([a.wall / b.wall for a, b in pairs], digits=3)
    return told


def spread(values: list[float], digits: int = 1) -> list[float]:
    """Least, median and most."""
    return [round(v, digits) for v in (min(values), statistics.median(values), max(values))]

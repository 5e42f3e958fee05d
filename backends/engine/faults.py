"""Failpoints: named places where a test makes this very process die, fail or be asked to stop.

`DARKROOM_FAULT="save.after_adapter=kill9@2"` kills the process with signal 9 the second time that it passes
`save.after_adapter`; `#1` behind it means only on rank 1; commas separate several. Without the variable a failpoint
costs one look into an empty dict.
"""

from __future__ import annotations

import errno
import os
import re
import signal
from dataclasses import dataclass

_FORM = re.compile(r"(?P<place>[\w.]+)=(?P<action>\w+)(@(?P<count>\d+))?(#(?P<rank>\d+))?")


@dataclass
class _Fault:
    action: str
    count: int
    rank: int | None
    seen: int = 0


def parse_faults(text: str) -> dict[str, _Fault]:
    """The faults that the variable's text asks for, by place.

    Raises:
        ValueError: When a part has not the form place=action[@count][#rank].
    """
    faults = {}
    for part in filter(None, text.split(",")):
        match = _FORM.fullmatch(part.strip())
        if not match or match["action"] not in _ACTIONS:
            raise ValueError(f"DARKROOM_FAULT: {part} is not of the form place=action@count#rank with one of {', '.join(_ACTIONS)}")
        faults[match["place"]] = _Fault(match["action"], int(match["count"] or 1), int(match["rank"]) if match["rank"] else None)
    return faults


def pass_failpoint(place: str) -> None:
    """Does here what the environment asks for, mostly nothing."""
    fault = _faults.get(place)
    if fault is None or (fault.rank is not None and fault.rank != int(os.environ.get("RANK", "0"))):
        return
    fault.seen += 1
    if fault.seen == fault.count:
        _ACTIONS[fault.action](place)


def arm(text: str | None = None) -> None:
    """Reads the faults anew, from `text` or the environment (tests that fork call it in the child)."""
    _faults.clear()
    _faults.update(parse_faults(os.environ.get("DARKROOM_FAULT", "") if text is None else text))


def _kill(place: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _terminate(place: str) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _interrupt(place: str) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def _raise(place: str) -> None:
    raise RuntimeError(f"fault asked for at {place}")


def _disk_full(place: str) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def _memory(place: str) -> None:
    raise MemoryError(f"fault asked for at {place}")


_ACTIONS = {"kill9": _kill, "term": _terminate, "int": _interrupt, "raise": _raise, "enospc": _disk_full, "oom": _memory}
_faults: dict[str, _Fault] = {}
arm()

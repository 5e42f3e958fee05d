"""How well each training picture is learnt, for the Monitor page: the trainer's figures beside thumbnail and caption."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from backends.contract import files
from backends.contract.rundir import RunDir
from studio.datasets.rows import whole_id
from studio.runs.manifest import read_manifest

STANDS_OUT = 1.25  # times the median of all
AND_BY = 4.0  # median distances from it


def describe_pictures(run: RunDir, run_id: str, known: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """`step` and a row a picture: name, caption, start, mean, now, `learnt`, `src` of its thumbnail, `odd`.

    `learnt` is by what share the mean lies below the start.

    `odd` is “hard” where it is far harder than the others: mostly its caption speaks of something else. It is “unlearnt” where far less
    of it was learnt: mostly it shows something else, which may well be easy. Else it is empty.

    Args:
        run: The run's folder.
        run_id: For the thumbnails' addresses.
        known: Id in the manifest -> id and name in the data set, of what it still has; only that is linked.
    """
    document = files.read_json(run.picture_losses) or {}
    rows = [{**row, "learnt": 1 - row["mean"] / row["start"] if row["start"] > 0 else 0.0} for row in document.get("pictures", [])]
    told = _read_manifest(run)
    hard = find_odd({row["id"]: row["mean"] for row in rows})
    unlearnt = find_odd({row["id"]: 1 - row["learnt"] for row in rows})
    described = []
    for row in rows:
        identity = row["id"].partition("+")[0]
        number, caption = told.get(identity, (None, ""))
        src = f"/media/run/{run_id}/picture/{number}.webp" if number is not None else ""
        own, name = known.get(identity) or known.get(whole_id(identity)) or ("", row["name"])
        odd = "hard" if row["id"] in hard else "unlearnt" if row["id"] in unlearnt else ""
        described.append({**row, "name": name, "caption": caption, "src": src, "odd": odd, "link": own})
    return {"step": document.get("step", 0), "pictures": described}


def find_odd(values: dict[str, float]) -> set[str]:
    """Those that are far above the others: by a quarter, and by four times the usual distance from the middle."""
    if len(values) < 4:
        return set()
    middle = statistics.median(values.values())
    usual = statistics.median(abs(value - middle) for value in values.values())
    return {key for key, value in values.items() if value > STANDS_OUT * middle and value - middle > AND_BY * usual}


def _read_manifest(run: RunDir) -> dict[str, tuple[int, str]]:
    """Id -> (number among those that are trained on, caption)."""
    training = [row for row in read_manifest(run) if not row.get("held_out")]
    return {str(row["id"]): (number, str(row.get("caption", ""))) for number, row in enumerate(training)}

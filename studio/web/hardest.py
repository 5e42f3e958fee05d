"""How well each training picture is learnt, for the Monitor page: the trainer's figures beside thumbnail and caption."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from typing import Any

from backends.contract import files
from backends.contract.rundir import RunDir

STANDS_OUT = 1.25  # times the median of all
AND_BY = 4.0  # median distances from it


def describe_pictures(run: RunDir, run_id: str, known: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """`step` and a row a picture: name, caption, start, mean, now, `left` (mean over start), `src` of its thumbnail, `odd`.

    `odd` is “hard” where it is far harder than the others: mostly its caption speaks of something else. It is “unlearnt” where far less
    of it was learnt: mostly it shows something else, which may well be easy. Else it is empty.

    Args:
        run: The run's folder.
        run_id: For the thumbnails' addresses.
        known: Id in the manifest -> id and name in the data set, of what it still has; only that is linked.
    """
    document = files.read_json(run.picture_losses) or {}
    rows = [{**row, "left": row["mean"] / row["start"] if row["start"] > 0 else 1.0} for row in document.get("pictures", [])]
    told = _read_manifest(run)
    hard, unlearnt = (find_odd({row["id"]: row[name] for row in rows}) for name in ("mean", "left"))
    described = []
    for row in rows:
        identity = row["id"].partition("+")[0]
        number, caption = told.get(identity, (None, ""))
        src = f"/media/run/{run_id}/picture/{number}.webp" if number is not None else ""
        own, name = known.get(identity, ("", row["name"]))
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
    if not run.manifest.is_file():
        return {}
    lines = [json.loads(line) for line in run.manifest.read_text("utf-8").splitlines() if line.strip()]
    training = [line for line in lines if not line.get("held_out")]
    return {str(line["id"]): (number, str(line.get("caption", ""))) for number, line in enumerate(training)}

"""The frozen data set of a run: its manifest, read, or built where the studio has not written one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from backends.contract import files
from backends.contract.chance import mix_seed
from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from backends.engine.gather import gather_rows
from backends.methods.protocol import Row

_KNOWN = {"id", "file", "caption", "width", "height", "held_out"}


def read_manifest(path: Path, *, streamed: bool = False) -> list[Row]:
    """The rows of a manifest; where samples are `streamed` from shards, those that judge, if any.

    Raises:
        DarkroomError: When it is empty or a line is not what it should be; names the line.
    """
    rows = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            rows.append(
                Row(
                    id=str(value["id"]),
                    file=Path(value["file"]),
                    caption=str(value["caption"]),
                    width=int(value["width"]),
                    height=int(value["height"]),
                    held_out=bool(value["held_out"]),
                    extra={k: v for k, v in value.items() if k not in _KNOWN},
                )
            )
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise DarkroomError(f"Line {number} of {path.name} cannot be read ({error}). Start a new run from the data set.") from None
    if not rows and not streamed:
        raise DarkroomError("The run has no pictures. Add some to the data set, then start a new run.", field="train_data_dir")
    return rows


def ensure_manifest(run: RunDir, config: Any, *, held_out_share: float) -> None:
    """Builds the manifest where the studio has not written one, from the settings' folder or data set.

    Rows that say `held_out` there judge, and no others; where none does, a share of all by their hashes.

    Raises:
        DarkroomError: When the settings name neither, nothing is found there, or all of it would judge.
    """
    if run.manifest.is_file():
        return
    gathered = gather_rows(run, config)
    rows = sorted({row["id"]: row for row in gathered}.values(), key=lambda row: row["file"])
    chosen = {row["id"] for row in gathered if row["held_out"]}  # the same picture twice judges where one of them says so
    if chosen and len(chosen) == len(rows):
        raise DarkroomError(
            f"All {len(rows):,} pictures say held_out, and what judges is never learnt from. Take it away from some of them, or add others."
        )
    judging = chosen or set(choose_held_out([row["id"] for row in rows], held_out_share))
    for row in rows:
        row["held_out"] = row["id"] in judging
    files.write_text(run.manifest, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def choose_held_out(ids: list[str], share: float) -> list[str]:
    """The ids that judge: the given share, at least one, by the order of their hashes; none of a single picture."""
    if share <= 0 or len(ids) < 2:
        return []
    return sorted(ids)[: max(1, round(share * len(ids)))]


def limit_rows(rows: list[Row], limit: int | None, seed: int) -> list[Row]:
    """At most `limit` training rows, drawn by the seed; those held out all stay."""
    training = [row for row in rows if not row.held_out]
    if limit is None or len(training) <= limit:
        return rows
    chosen = {row.id for row in sorted(training, key=lambda row: mix_seed(seed, "limit", row.id))[:limit]}
    return [row for row in rows if row.held_out or row.id in chosen]


def compute_dataset_hash(rows: Iterable[Row]) -> str:
    """Changes when a picture, a caption or who is held out does; not with the folder they lie in."""
    lines = sorted(json.dumps([r.id, r.caption, r.held_out]) for r in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()

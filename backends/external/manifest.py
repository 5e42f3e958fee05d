"""The frozen data set of a run, as another program is given it. Torch-free."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir

READABLE = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Picture:
    """One picture with its words; `held_out` ones only judge."""

    file: Path
    caption: str
    held_out: bool

    @property
    def captions(self) -> dict[str, str]:
        """By role, as a recipe counts them."""
        return {"": self.caption}


def read_pictures(run: RunDir) -> list[Picture]:
    """The pictures of the run's manifest.

    Raises:
        DarkroomError: When there is none to learn from, one is gone, or one is of a kind that ai-toolkit would pass over.
    """
    try:
        rows = [json.loads(line) for line in run.manifest.read_text("utf-8").splitlines() if line.strip()]
        pictures = [Picture(Path(row["file"]), str(row["caption"]), bool(row["held_out"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DarkroomError(f"{run.manifest.name} cannot be read ({error}). Start a new run from the data set.") from None
    if not any(not p.held_out for p in pictures):
        raise DarkroomError("The run has no pictures to learn from. Add some to the data set, then start a new run.")
    gone = [p.file.name for p in pictures if not p.file.is_file()]
    if gone:
        raise DarkroomError(f"{len(gone)} of {len(pictures)} pictures are gone: {', '.join(gone[:3])}. Start a new run from the data set.")
    other = [p.file.name for p in pictures if p.file.suffix.lower() not in READABLE]
    if other:
        raise DarkroomError(f"ai-toolkit reads {', '.join(READABLE)} only, not {', '.join(other[:3])}. Add them to the data set as PNG.")
    return pictures

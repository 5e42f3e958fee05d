"""The generator as the studio uses it: pictures, grids and strips, drawn in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.contract.draw import DrawConfig, LoraUse
from studio.workers.client import Call, Worker
from studio.workspace import Workspace


@dataclass(frozen=True)
class Column:
    """What a column draws otherwise than the settings say, and where the picture of each row goes; None leaves that one out.

    `changes` are values of `DrawConfig`; a column of results has `loras`.
    """

    changes: dict[str, Any]
    files: tuple[Path | None, ...]


def mixing(*loras: LoraUse) -> dict[str, Any]:
    """The changes of a column that draws with these results."""
    return {"loras": [lora.model_dump() for lora in loras]}


class Generator:
    """Draws pictures. Every call returns at once; iterate over it for the replies listed in `backends.generate.worker`."""

    def __init__(self, workspace: Workspace | None = None, *, idle_s: float = 600) -> None:
        log_path = workspace.cache / "workers" / "generator.log" if workspace else None
        self.worker = Worker("backends.generate.worker", name="The generator", log_path=log_path, idle_s=idle_s)

    def load(self, base_model: str) -> Call:
        """Loads the base model ahead of the first picture."""
        return self.worker.request("load", base_model=base_model)

    def generate(self, config: DrawConfig, file: Path) -> Call:
        """Draws one picture to `file` (PNG, its settings inside)."""
        return self.grid(config, [{}], [Column({}, (file,))])

    def grid(self, config: DrawConfig, rows: Sequence[dict[str, Any]], columns: Sequence[Column]) -> Call:
        """Draws rows x columns; the columns come in the order given, rows that differ in words and picture only in one batch.

        Args:
            config: What all cells share.
            rows: Changes of each row (prompt, image, width, height).
            columns: Changes of each column, and its files.
        """
        told = [{"changes": c.changes, "files": [str(f) if f else None for f in c.files]} for c in columns]
        return self.worker.request("draw", settings=config.model_dump(mode="json"), rows=list(rows), columns=told)

    def strip(self, config: DrawConfig, weights: list[float], files: list[Path]) -> Call:
        """Draws the prompt at each weight of the first result; the others keep theirs."""
        first, rest = config.loras[:1], config.loras[1:]
        mixes = [[*(lora.model_copy(update={"weight": weight}) for lora in first), *rest] for weight in weights]
        return self.grid(config, [{}], [Column(mixing(*mix), (file,)) for mix, file in zip(mixes, files, strict=True)])

    def release(self) -> None:
        """Frees its memory, for a run."""
        self.worker.release()

"""The generator as the studio uses it: pictures, grids and strips, drawn in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backends.contract.draw import DrawConfig, LoraUse
from studio.workers.client import Call, Worker
from studio.workspace import Workspace


@dataclass(frozen=True)
class Column:
    """One mix of LoRAs, and where the picture of each prompt goes; None leaves that one out."""

    loras: tuple[LoraUse, ...]
    files: tuple[Path | None, ...]


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
        return self.grid(config, [config.prompt], [Column(config.loras, (file,))])

    def grid(self, config: DrawConfig, prompts: list[str], columns: list[Column]) -> Call:
        """Draws prompts x columns at one seed; the columns come in the order given, a column's prompts in one batch."""
        told = [{"loras": [lora.model_dump() for lora in c.loras], "files": [str(f) if f else None for f in c.files]} for c in columns]
        return self.worker.request("draw", settings=config.model_dump(mode="json"), prompts=prompts, columns=told)

    def strip(self, config: DrawConfig, weights: list[float], files: list[Path]) -> Call:
        """Draws the prompt at each weight of the first LoRA; the others keep theirs."""
        first, rest = config.loras[:1], config.loras[1:]
        mixes = [tuple(lora.model_copy(update={"weight": weight}) for lora in first) + rest for weight in weights]
        return self.grid(config, [config.prompt], [Column(mix, (file,)) for mix, file in zip(mixes, files, strict=True)])

    def release(self) -> None:
        """Frees its memory, for a run."""
        self.worker.release()

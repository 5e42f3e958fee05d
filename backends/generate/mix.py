"""What draws beside the base model: at most one whole model in its place, and LoRAs on top."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backends.contract.draw import LoraUse
from backends.contract.errors import DarkroomError
from backends.contract.result_file import ResultFacts, read_result
from backends.families.protocol import Drawing
from backends.generate.adapters import AdapterRack
from backends.generate.tensors import Identity, identify
from backends.generate.whole import WholeWeights

_REMEMBERED = 256


class Mix:
    """The results of trainings in one loaded base model; `use` makes exactly the given ones active."""

    def __init__(self, family: Drawing, base_name: str, base_model: str) -> None:
        self._rack = AdapterRack(family.pipeline, base_name, family.adapted)
        self._whole = WholeWeights(family, base_name, base_model)
        self._known: dict[Identity, ResultFacts] = {}

    @property
    def base_edits(self) -> bool:
        """Whether the base model edits pictures as it came."""
        return self._whole.base_edits

    def check(self, uses: Sequence[LoraUse]) -> bool:
        """Whether all of them fit, before anything is drawn; whether one of them edits pictures.

        Raises:
            DarkroomError: At the first that does not.
        """
        edits = False
        for use in uses:
            header, facts = read_result(Path(use.path))
            if facts.whole:
                self._whole.check(Path(use.path), header, use.weight)
            else:
                self._rack.check(Path(use.path), header)
            edits = edits or facts.kind == "edit"
        self._split(uses)
        return edits

    def use(self, uses: Sequence[LoraUse]) -> tuple:
        """Puts them in place.

        Returns:
            What decides the prompt embeddings beside the prompt.

        Raises:
            DarkroomError: When one does not fit or is damaged.
        """
        whole, loras = self._split(uses)
        if self._whole.will_widen(self._facts(whole).kind if whole else None):
            self._rack.clear()
        self._whole.use(whole)
        return self._rack.use(loras)

    def _split(self, uses: Sequence[LoraUse]) -> tuple[LoraUse | None, list[LoraUse]]:
        wholes = [use for use in uses if self._facts(use).whole]
        if len(wholes) > 1:
            names = " and ".join(f"“{Path(use.path).name}”" for use in wholes[:2])
            raise DarkroomError(
                f"{names} each hold all weights of a model; only one of them can stand in the base model's place. Switch one off.",
                field="loras",
            )
        return wholes[0] if wholes else None, [use for use in uses if use not in wholes]

    def _facts(self, use: LoraUse) -> ResultFacts:
        key = identify(Path(use.path))
        if key not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = read_result(Path(use.path))[1]
        return self._known[key]

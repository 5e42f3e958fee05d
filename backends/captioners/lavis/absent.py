"""Stands in for packages that LAVIS imports for its trainings and evaluations, and that captioning never calls.

Without it the environment would have to hold twelve more packages, among them a torchvision whose compiled half has to fit torch.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

NEVER_CALLED = (
    "cv2", "decord", "fairscale", "matplotlib", "pandas", "plotly", "pycocoevalcap", "pycocotools", "scipy", "skimage", "spacy",
    "torchvision", "webdataset",
)  # fmt: skip


class _Absent(ModuleType):
    """A module in which every name is there and stands for nothing: it can be imported, called, decorated with and inherited from."""

    __path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = _Absent(f"{self.__name__}.{name}")
        setattr(self, name, value)
        return value

    def __call__(self, *values: Any, **named: Any) -> Any:
        return values[0] if len(values) == 1 and callable(values[0]) else self

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (object,)


class _Finder(MetaPathFinder, Loader):
    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if name.split(".")[0] in self._names else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Absent(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is to be run."""


def stand_in_for_absent() -> None:
    """From now on `import` finds the packages of `NEVER_CALLED`, those that are not installed as empty ones."""
    missing = frozenset(name for name in NEVER_CALLED if importlib.util.find_spec(name) is None)
    if missing:
        sys.meta_path.append(_Finder(missing))

"""What every route and page is given: the workspace, its stores, and the workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from studio.workspace import Workspace


@dataclass(frozen=True)
class Settings:
    """How the app is reached. An empty `password` means that nobody is asked; only loopback may do that."""

    host: str = "127.0.0.1"
    port: int = 7860
    password: str = field(default="", repr=False)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the app."""
        return self.host in LOOPBACK


LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Context:
    """The one object that routes and pages share."""

    workspace: Workspace
    settings: Settings
    datasets: Any
    runs: Any
    jobs: Any
    generator: Any


def build_context(workspace: Workspace, settings: Settings) -> Context:
    """Stores and workers of a workspace. Nothing is started: workers begin on first use."""

    def first(module: str, name: str, *args: Any) -> Any:
        import importlib

        try:
            return getattr(importlib.import_module(module), name)(*args)
        except ImportError:
            return None

    datasets = first("studio.datasets.store", "DatasetStore", workspace)
    runs = first("studio.runs.store", "RunStore", workspace)
    generator = first("studio.workers.generator", "Generator", workspace)
    return Context(workspace, settings, datasets, runs, None, generator)

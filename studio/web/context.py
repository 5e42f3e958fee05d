"""What every route and page is given: the workspace, its stores, and the workers."""

from __future__ import annotations

from dataclasses import dataclass, field

from studio.datasets.caption_job import CaptionJobs
from studio.datasets.data_jobs import DataJobs
from studio.datasets.store import DatasetStore
from studio.runs.store import RunStore
from studio.workers.captioner import Captioner
from studio.workers.generator import Generator
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
    datasets: DatasetStore
    runs: RunStore
    jobs: CaptionJobs
    generator: Generator
    work: DataJobs


def build_context(workspace: Workspace, settings: Settings) -> Context:
    """Stores and workers of a workspace. Nothing is started: workers begin on first use."""
    return Context(
        workspace=workspace,
        settings=settings,
        datasets=DatasetStore(workspace),
        runs=RunStore(workspace),
        jobs=CaptionJobs(workspace, Captioner(workspace)),
        generator=Generator(workspace),
        work=DataJobs(workspace.temporary),
    )

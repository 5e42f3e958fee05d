"""What a launcher is: something that starts a run somewhere and keeps what disk says in line with what lives there.

The rest is the same for all of them. A run's state is read from its folder (`studio.runs.state`). Stop is the file
`control/stop`: the trainer sees it and saves; whoever follows the run sees it and ends it by force after a while. Resume
is a start with `resume`, which goes on from the newest complete checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from backends.contract.config import Config
from backends.contract.launch import LaunchSettings
from backends.contract.rundir import RunDir, complete_checkpoints
from studio.runs.state import read_state
from studio.workspace import Workspace


@dataclass(frozen=True)
class Order:
    """One start, or one going on.

    Args:
        workspace: Where the run lies.
        run: Its folder.
        config: Its training settings.
        launch: Its launch settings.
        grace_s: How long Stop waits before it ends by force; None for what suits the launcher.
        command: What to start instead of the trainer that the settings ask for.
        resume: Go on from the newest complete checkpoint, where there is one.
    """

    workspace: Workspace
    run: RunDir
    config: Config
    launch: LaunchSettings
    grace_s: float | None = None
    command: list[str] | None = None
    resume: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether there is a checkpoint to go on from, and that is wanted."""
        return self.resume and bool(complete_checkpoints(self.run))

    @property
    def seconds_before(self) -> float:
        """How long the run went on before."""
        return read_state(self.run).seconds if self.resume else 0.0

    def clear_requests(self) -> None:
        """Wishes of an earlier attempt are no wishes now."""
        self.run.control.mkdir(exist_ok=True)
        self.run.stop_request.unlink(missing_ok=True)
        self.run.sample_request.unlink(missing_ok=True)


class Launcher(Protocol):
    """Starts runs in one kind of place."""

    def start(self, order: Order) -> None:
        """Starts the run; comes back when somebody follows it.

        Raises:
            DarkroomError: When it cannot be started; then the run stands as before.
        """

    def tend(self, run: RunDir, process: dict[str, Any]) -> None:
        """Brings process.json in line where nobody follows the run any more. Never signals anything.

        Args:
            run: Folder of the run.
            process: What process.json says; not ended, and its follower is gone.
        """

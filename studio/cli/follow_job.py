"""A captioning or scoring job as a bar, until it ends."""

from __future__ import annotations

from typing import Any

from backends.contract.errors import DarkroomError
from studio.cli.output import bar, escape
from studio.datasets.caption_job import ACTIVE, CaptionJobs

_POLL_S = 0.2


def follow_job(jobs: CaptionJobs, dataset_id: str, what: str, *, quiet: bool) -> dict[str, Any]:
    """Shows how far the job is and how long it takes; its last status. Ctrl C stops it after the picture under way.

    Raises:
        DarkroomError: When it failed, with its reason; what was written stays.
    """
    try:
        with bar(quiet=quiet) as progress:
            status = jobs.status(dataset_id)
            task = progress.add_task(what, total=status["total"])
            while status["state"] in ACTIVE:
                status = jobs.wait(dataset_id, _POLL_S)
                progress.update(task, completed=status["done"], description=escape(status["phase"] or what))
            progress.update(task, completed=status["done"], description=what)
    except KeyboardInterrupt:
        jobs.cancel(dataset_id)
        jobs.wait(dataset_id)
        raise
    if status["state"] == "failed":
        raise DarkroomError(status["reason"])
    return status

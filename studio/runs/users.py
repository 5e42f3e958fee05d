"""Who is at work on a data set: a training that reads it, or a captioner that writes into it."""

from __future__ import annotations

from backends.contract.errors import DarkroomError
from studio.datasets.caption_job import ACTIVE as CAPTIONING
from studio.datasets.caption_job import CaptionJobs
from studio.runs.state import ACTIVE
from studio.runs.store import RunStore


def refuse_in_use(runs: RunStore, captions: CaptionJobs, dataset_id: str) -> None:
    """Nothing is put away under somebody's hands.

    Raises:
        DarkroomError: With the name of who is at work, and what to do.
    """
    for run in runs.list():
        if run.dataset_id == dataset_id and run.state in ACTIVE:
            raise DarkroomError(f"“{run.name}” is training with these pictures. Stop it first, then delete the data set.")
    if captions.status(dataset_id)["state"] in CAPTIONING:
        raise DarkroomError(
            "Captions are being written for these pictures. Stop that first, on the Captions page, then delete the data set."
        )

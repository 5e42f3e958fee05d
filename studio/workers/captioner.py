"""The captioner as the studio uses it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from studio.workers.client import Call, Worker
from studio.workspace import Workspace

DEFAULT_CAPTIONER = "pocket-blip"


@dataclass(frozen=True)
class CaptionReply:
    """What came of one picture: its caption, or why there is none."""

    index: int
    text: str
    error: str = ""


class Captioner:
    """Writes captions in a process of its own."""

    def __init__(self, workspace: Workspace | None = None, *, idle_s: float = 600) -> None:
        log_path = workspace.cache / "workers" / "captioner.log" if workspace else None
        self.worker = Worker("backends.captioners.worker", name="The captioner", log_path=log_path, idle_s=idle_s)

    def request(self, captioner: str, files: list[Path], *, num_beams: int = 1, offline: bool = False) -> Call:
        """The request itself, for those who want its phases or may cancel it from another thread."""
        paths = [str(f) for f in files]
        return self.worker.request("caption", captioner=captioner, files=paths, num_beams=num_beams, offline=offline)

    def caption(self, captioner: str, files: list[Path], *, num_beams: int = 1, offline: bool = False) -> Iterator[CaptionReply]:
        """One reply a picture, as soon as it is there. Leaving the loop stops the rest.

        Raises:
            DarkroomError: When the captioner cannot be had or died; replies that came before stay good.
        """
        yield from caption_replies(self.request(captioner, files, num_beams=num_beams, offline=offline))

    def release(self) -> None:
        """Frees its memory, for a run."""
        self.worker.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def caption_replies(call: Call) -> Iterator[CaptionReply]:
    """The pictures' replies of a request, without its phases."""
    for reply in call:
        if reply["kind"] == "caption":
            yield CaptionReply(int(reply["index"]), str(reply["text"]))
        elif reply["kind"] == "broken":
            yield CaptionReply(int(reply["index"]), "", str(reply["text"]))

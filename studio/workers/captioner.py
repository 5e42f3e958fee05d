"""The captioner as the studio uses it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from backends.contract.captioning import BUNDLED, LAVIS, Wording
from backends.contract.errors import DarkroomError
from studio.workers.client import Call, Worker
from studio.workers.lavis_home import find_lavis
from studio.workspace import Workspace

DEFAULT_CAPTIONER = BUNDLED
MODULE = "backends.captioners.worker"


@dataclass(frozen=True)
class CaptionReply:
    """What came of one picture: its caption and the candidates, or its score, or why there is none.

    `guess`: the captioner learnt from nothing like this picture.
    """

    index: int
    text: str
    error: str = ""
    candidates: tuple[str, ...] = ()
    score: float = 0.0
    guess: bool = False


class Captioner:
    """Writes and scores captions, in processes of their own: one in the studio's Python, one in that of LAVIS where it is asked for."""

    def __init__(self, workspace: Workspace | None = None, *, idle_s: float = 600) -> None:
        self._workspace, self._idle_s = workspace, idle_s
        self.worker = Worker(MODULE, name="The captioner", log_path=self._log("captioner"), idle_s=idle_s)
        self._lavis: Worker | None = None

    def request(self, captioner: str, files: Sequence[Path], wording: Wording | None = None, *, offline: bool = False) -> Call:
        """Begins to caption these files; for those who want the phases or may cancel from another thread.

        Raises:
            DarkroomError: When a LAVIS model is asked for and LAVIS is not set up.
        """
        values = {"files": [str(f) for f in files], "wording": dataclasses.asdict(wording or Wording())}
        return self._worker_of(captioner).request("caption", captioner=captioner, offline=offline, **values)

    def request_scores(self, scorer: str, files: Sequence[Path], texts: Sequence[str], others: Sequence[Path]) -> Call:
        """Begins to score how well each text fits its file; `others` are pictures of the same data set to compare with."""
        values = {"files": [str(f) for f in files], "texts": list(texts), "others": [str(f) for f in others]}
        return self._worker_of(scorer).request("score", captioner=scorer, **values)

    def caption(
        self, captioner: str, files: Sequence[Path], wording: Wording | None = None, *, offline: bool = False
    ) -> Iterator[CaptionReply]:
        """One reply a picture, as soon as it is there. Leaving the loop stops the rest.

        Raises:
            DarkroomError: When the captioner cannot be had or died; replies that came before stay good.
        """
        yield from caption_replies(self.request(captioner, files, wording, offline=offline))

    def release(self) -> None:
        """Frees its memory, for a run."""
        for worker in filter(None, (self.worker, self._lavis)):
            worker.release()

    def _worker_of(self, name: str) -> Worker:
        if not name.startswith(LAVIS):
            return self.worker
        if self._workspace is None:
            raise DarkroomError("LAVIS lives in a workspace; there is none here.", field="captioner")
        python = str(find_lavis(self._workspace))
        if self._lavis is None:
            self._lavis = Worker(MODULE, name="LAVIS", log_path=self._log("lavis"), idle_s=self._idle_s, python=python)
        return self._lavis

    def _log(self, name: str) -> Path | None:
        return self._workspace.cache / "workers" / f"{name}.log" if self._workspace else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def caption_replies(call: Call, on_phase: Callable[[str], None] = lambda text: None) -> Iterator[CaptionReply]:
    """The pictures' replies of a request; what it is loading or downloading goes to `on_phase`."""
    for reply in call:
        if reply["kind"] == "caption":
            texts, guess = tuple(reply.get("candidates", ())), bool(reply.get("guess", False))
            yield CaptionReply(int(reply["index"]), str(reply["text"]), candidates=texts, guess=guess)
        elif reply["kind"] == "score":
            yield CaptionReply(int(reply["index"]), "", score=float(reply["score"]))
        elif reply["kind"] == "broken":
            yield CaptionReply(int(reply["index"]), "", str(reply["text"]))
        elif reply["kind"] == "phase":
            on_phase(str(reply["text"]))

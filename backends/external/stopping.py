"""Stop: first it is asked to save, then to stop, then told to by signals, each with time to answer and none in the middle of a save."""

from __future__ import annotations

import logging
import signal
import subprocess
from dataclasses import dataclass

from backends.external.job import Job

SAVE_S, STOP_S, INTERRUPT_S = 12.0, 6.0, 6.0
"""How long each of them may take; the studio ends everything 30 s after Stop."""
log = logging.getLogger("darkroom.aitoolkit")


@dataclass
class Stopping:
    """One stop, from the wish to the last signal. Called again and again until the process is gone."""

    process: subprocess.Popen[bytes]
    job: Job
    stage: str = ""
    since: float = 0.0

    def press(self, now: float, *, listens: bool, can_save: bool, saves: bool, busy: bool) -> None:
        """Takes the next stage when it is time.

        Args:
            now: Seconds of a clock that never goes back.
            listens: It looks at what is asked of it; else only a signal is heard.
            can_save: It trains, and there is something to save.
            saves: It has begun to save since it was asked to; asked to stop now, it does so behind the save.
            busy: It saves at this moment, or is about to end by itself; no signal then.
        """
        waited = now - self.since
        if not self.stage:
            if not listens:
                self._enter("interrupt", now)
                self.process.send_signal(signal.SIGINT)
            elif can_save:
                self._enter("save", now)
                self.job.ask_to_save()
            else:
                self._enter("stop", now)
                self.job.ask_to_stop()
        elif self.stage == "save" and (saves or waited > SAVE_S):
            self._enter("stop", now)
            self.job.ask_to_stop()
        elif self.stage == "stop" and waited > STOP_S and not busy:
            self._enter("interrupt", now)
            self.process.send_signal(signal.SIGINT)
        elif self.stage == "interrupt" and waited > INTERRUPT_S and not busy:
            self._enter("terminate", now)
            self.process.terminate()

    def _enter(self, stage: str, now: float) -> None:
        log.info("Stop: %s", stage)
        self.stage, self.since = stage, now

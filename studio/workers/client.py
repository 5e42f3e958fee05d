"""A worker seen from the studio: one long-lived child, started on first use, stopped when idle or when a run needs the machine."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backends.contract.errors import DarkroomError
from backends.contract.wire import LAST_KINDS

log = logging.getLogger(__name__)
REPOSITORY = Path(__file__).resolve().parents[2]
_alive: weakref.WeakSet[Worker] = weakref.WeakSet()


class Cancelled(DarkroomError):
    """The request was taken back before it was finished."""

    def __init__(self) -> None:
        super().__init__("It was stopped.")


class Call:
    """One request under way. Iterating gives its replies up to `done`, which is the last; a failure raises DarkroomError."""

    def __init__(self, number: str, silence_s: float, on_cancel: Any, on_silence: Any) -> None:
        self.id = number
        self._silence_s, self._on_cancel, self._on_silence = silence_s, on_cancel, on_silence
        self._replies: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._finished = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The replies as they come; leaving the loop early cancels the request."""
        try:
            while not self._finished:
                reply = self._next()
                if reply["kind"] == "failed":
                    raise DarkroomError(str(reply["text"]), field=reply.get("field"))
                if reply["kind"] == "cancelled":
                    raise Cancelled
                yield reply
        finally:
            if not self._finished:
                self.cancel()

    def result(self) -> dict[str, Any]:
        """The last reply, after waiting for it.

        Raises:
            DarkroomError: When the request failed, was cancelled, or the worker died.
        """
        last: dict[str, Any] = {}
        for reply in self:
            last = reply
        return last

    def cancel(self) -> None:
        """Asks the worker to leave this request at its next step; the replies end with `Cancelled`."""
        self._on_cancel(self.id)

    def put(self, reply: dict[str, Any]) -> None:
        """Hands over a reply; called by the worker's reader."""
        self._replies.put(reply)

    def _next(self) -> dict[str, Any]:
        try:
            reply = self._replies.get(timeout=self._silence_s)
        except queue.Empty:
            self._on_silence()
            text = f"The worker gave no answer for {self._silence_s / 60:.0f} minutes and was stopped. Try again."
            reply = {"kind": "failed", "text": text}
        self._finished = reply["kind"] in LAST_KINDS
        return reply


class Worker:
    """Speaks with `python -m module`. Safe to use from many threads; requests are answered one after the other.

    Args:
        module: The worker's module.
        name: What the person calls it, for messages: “The captioner”.
        log_path: Where its stderr goes; begun anew at each start.
        idle_s: After so many seconds without a request the child is stopped and its memory free again.
        silence_s: A request without any answer for so long counts as hung. Long enough for a download of a base model.
        python: The Python that runs it, where that is not the studio's own.
    """

    def __init__(
        self, module: str, *, name: str, log_path: Path | None = None, idle_s: float = 600, silence_s: float = 3600, python: str = ""
    ) -> None:
        self._command = [python or sys.executable, "-m", module]
        self._name, self._log_path = name, log_path
        self._idle_s, self._silence_s = idle_s, silence_s
        self._lock = threading.RLock()
        self._child: _Child | None = None
        self._numbers = itertools.count(1)
        self._idle: threading.Timer | None = None
        _alive.add(self)

    @property
    def pid(self) -> int | None:
        """Process id of the child, or None while there is none."""
        with self._lock:
            return self._child.process.pid if self._child and self._child.usable else None

    @property
    def busy(self) -> bool:
        """Whether a request waits or runs."""
        with self._lock:
            return bool(self._child and self._child.calls)

    def request(self, op: str, **values: Any) -> Call:
        """Sends a request; starts the child where there is none. Returns at once."""
        with self._lock:
            self._stop_clock()
            if not self._child or not self._child.usable:
                self._child = _Child(self._command, self._name, self._log_path, self._on_end)
            child, number = self._child, str(next(self._numbers))
            call = Call(number, self._silence_s, child.cancel, lambda: child.stop("was stopped because it hung"))
            child.send(call, {"id": number, "op": op, **values})
            return call

    def release(self, reason: str = "was stopped to make room for a training run") -> None:
        """Stops the child and frees its memory; returns when it is gone. What was under way fails with `reason`."""
        with self._lock:
            self._stop_clock()
            child, self._child = self._child, None
        if child:
            child.stop(reason)

    def _on_end(self) -> None:
        """A request ended: with none left, the clock to the idle stop starts."""
        with self._lock:
            self._stop_clock()
            if self._child and self._child.usable and not self._child.calls:
                self._idle = threading.Timer(self._idle_s, self._stop_idle)
                self._idle.daemon = True
                self._idle.start()

    def _stop_idle(self) -> None:
        with self._lock:
            if not self.busy:
                self.release("was stopped because nobody used it")

    def _stop_clock(self) -> None:
        if self._idle:
            self._idle.cancel()
            self._idle = None


class _Child:
    """One life of the process, with the calls that wait for it."""

    def __init__(self, command: list[str], name: str, log_path: Path | None, on_end: Any) -> None:
        self._name, self._on_end = name, on_end
        self.calls: dict[str, Call] = {}
        self.usable = True
        self._reason = ""
        self._lock = threading.Lock()
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._log_path = log_path
        self.process = self._start(command)
        threading.Thread(target=self._write, name=f"{command[-1]} writer", daemon=True).start()
        threading.Thread(target=self._read, name=f"{command[-1]} reader", daemon=True).start()

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
        if (os.cpu_count() or 1) <= 4:
            environment.setdefault("OMP_NUM_THREADS", "1")  # spinning threads cost more than they bring on small shared machines
        if self._log_path:
            self._log_path.parent.mkdir(parents=True, exist_ok=True)
        errors = self._log_path.open("wb") if self._log_path else subprocess.DEVNULL
        try:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                cwd=REPOSITORY, env=environment, start_new_session=True)  # fmt: skip
        except OSError as error:
            raise DarkroomError(f"{self._name} could not be started: {error.strerror}.") from None
        finally:
            if not isinstance(errors, int):
                errors.close()

    def send(self, call: Call, message: dict[str, Any]) -> None:
        with self._lock:
            self.calls[call.id] = call
            alive = self.usable
        if not alive:  # it died between the look and now
            self._end_all()
        self._outbox.put(json.dumps(message, ensure_ascii=False).encode("utf-8") + b"\n")

    def cancel(self, number: str) -> None:
        if number in self.calls:
            self._outbox.put(json.dumps({"op": "cancel", "id": number}).encode() + b"\n")

    def stop(self, reason: str) -> None:
        """Ends the process (it has nothing half-written to lose) and waits for it."""
        self._reason = self._reason or reason
        self.usable = False
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=30)

    def _write(self) -> None:
        assert self.process.stdin
        while (line := self._outbox.get()) is not None:
            try:
                self.process.stdin.write(line)
                self.process.stdin.flush()
            except (BrokenPipeError, ValueError):
                break
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            try:
                reply = json.loads(line)
                number, kind = str(reply["id"]), str(reply["kind"])
            except (ValueError, KeyError, TypeError):
                log.warning("%s wrote a line that is no reply: %r", self._name, line[:200])
                continue
            call = self.calls.get(number)
            if call and kind in LAST_KINDS:
                with self._lock:
                    self.calls.pop(number, None)
                self._on_end()
            if call:
                call.put(reply)
        self._end_all()

    def _end_all(self) -> None:
        """The pipe is closed: every call that waits is told why."""
        self.usable = False
        self._outbox.put(None)
        try:
            code = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            code = self.process.wait()
        with self._lock:
            calls, self.calls = list(self.calls.values()), {}
        for call in calls:
            call.put({"id": call.id, "kind": "failed", "text": self._explain(code)})
        self._on_end()

    def _explain(self, code: int) -> str:
        if self._reason:
            return f"{self._name} {self._reason}. Start it again when you like."
        if code == -signal.SIGKILL:
            return f"{self._name} was ended by the system, most likely because memory ran out. Close other programs and try again."
        how = f"by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"with exit code {code}"
        return f"{self._name} ended unexpectedly {how}. Try again; it starts anew by itself.{self._last_words()}"

    def _last_words(self) -> str:
        if not self._log_path or not self._log_path.is_file():
            return ""
        lines = self._log_path.read_text("utf-8", errors="replace").strip().splitlines()
        return f" Its last line was: {lines[-1][:200]}" if lines else ""


def make_room(*, busy: bool) -> None:
    """Frees the memory of this studio's workers for a run: of the idle ones, and with `busy` of those at work too."""
    for worker in list(_alive):
        if worker.pid and (busy or not worker.busy):
            worker.release()


def _stop_all() -> None:
    for worker in list(_alive):
        worker.release("was stopped with the studio")


atexit.register(_stop_all)

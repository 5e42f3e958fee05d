"""Watches over one run from a session of its own: `python -m studio.runs.supervisor RUN_ROOT`.

It starts the launcher, writes down who runs (process.json), ends everything on request, and says how it ended. It
outlives the app, and no pipe ties the two together: what the trainer prints goes to log.txt.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from backends.contract import files
from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir, complete_checkpoints
from studio.runs.advice import advise_memory
from studio.runs.attempts import describe_attempt
from studio.runs.processes import TOKEN, Identity, end_members, identify, is_alive, read_identity
from studio.runs.progress import read_progress
from studio.runs.speeds import record_run
from studio.runs.state import is_training, read_process, read_run_config
from studio.workspace import Workspace

POLL_S = 0.1
GRACE_S = 30.0
LOG_TAIL_BYTES = 20_000
_SIGNALLED = re.compile(r"died with <Signals\.\w+: (\d+)>|exitcode\s*:\s*-(\d+)|Signal (\d+) \(SIG\w+\) received")


class Supervisor:
    """One attempt at a run, from the launcher's start to the last process's end."""

    def __init__(self, run: RunDir, plan: dict[str, Any]) -> None:
        self.run = run
        self.plan = plan
        self.grace_s = float(plan.get("grace_s", GRACE_S))
        self.launcher: subprocess.Popen[bytes] | None = None
        self.record: dict[str, Any] = {}
        self.stop_seen: float | None = None
        self.ended_by_us = False

    def start(self) -> None:
        """Starts the launcher in a new session and writes process.json."""
        own = identify(os.getpid())
        assert own is not None
        token = secrets.token_hex(8)
        seconds, device = float(self.plan.get("seconds_before", 0.0)), str(self.plan.get("device", ""))
        attempt = describe_attempt(self.run, token=token, command=self.plan["command"], device=device, seconds_before=seconds)
        self.record = {"supervisor": own.as_json(), **attempt, "out_of_memory_kills": count_memory_kills()}
        self.record["launched_by"] = self.plan.get("launched_by", "local")
        self._write()
        environment = {**self.plan["environment"], TOKEN: token}
        with self.run.log.open("ab") as log:
            self.launcher = subprocess.Popen(
                self.plan["command"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self.plan["cwd"],
                start_new_session=True,
                pass_fds=self.plan.get("locks", ()),
            )
        launcher = identify(self.launcher.pid) or Identity(self.launcher.pid, -1.0, own.boot_id)
        self.record |= {"launcher": launcher.as_json(), "session": launcher.pid}
        self._write()

    def adopt(self) -> None:
        """Takes over a run whose supervisor is gone while its trainer still works."""
        own = identify(os.getpid())
        assert own is not None
        self.record = {**read_process(self.run), "supervisor": own.as_json()}
        self._write()

    def watch(self) -> None:
        """Waits for the end, and hastens it where a stop was asked for."""
        while self._running():
            if self.run.stop_request.exists():
                self.stop_seen = self.stop_seen or time.monotonic()
                if time.monotonic() - self.stop_seen > self._patience():
                    self.ended_by_us = True
                    break
            self._wait()
        self._conclude(self._clear())

    def on_terminate(self) -> None:
        """This machine goes down: the run saves first."""
        self.run.stop_request.touch()

    def _patience(self) -> float:
        """Seconds between a wish to stop and the end by force."""
        return self.grace_s

    def _running(self) -> bool:
        if self.launcher:
            return self.launcher.poll() is None
        return is_training(self.record)

    def _wait(self) -> None:
        if self.launcher:
            try:
                self.launcher.wait(POLL_S)
            except subprocess.TimeoutExpired:
                return
        else:
            time.sleep(POLL_S)

    @property
    def _session(self) -> int:
        """The launcher's session; 0 where its number may belong to strangers by now."""
        mine = self.launcher is not None or is_alive(read_identity(self.record.get("launcher")))
        return int(self.record.get("session", 0)) if mine else 0

    @property
    def _token(self) -> str:
        return str(self.record.get("token", "-"))

    def _clear(self) -> int | None:
        """Nothing of the run stays behind: the launcher's death alone does not end its trainer. Gives its exit code, if known."""
        code = self.launcher.poll() if self.launcher else None
        left = end_members(self._session, self._token)
        if left:
            self.record["left"] = left
        return self.launcher.wait() if code is None and self.launcher else code

    def _conclude(self, code: int | None) -> None:
        for lock in self.plan.get("locks", ()):
            os.close(lock)  # before the end is told: whoever reads it may start the next run at once
        state, reason = self._explain(code)
        self.record |= {"ended": round(time.time(), 3), "exit_code": code, "state": state, "reason": reason}
        self.record["step"] = read_progress(self.run.events).step
        self.record["checkpoint"] = max(complete_checkpoints(self.run), default=0)
        self.run.stop_request.unlink(missing_ok=True)
        self._write()
        self._file_speed()

    def _file_speed(self) -> None:
        """Files how fast it was under this machine's name, where it was this machine."""
        if self.record.get("launched_by", "local") == "local":
            record_run(Workspace(self.run.root.parent.parent), self.run)

    def _explain(self, code: int | None) -> tuple[str, str]:
        """State and reason, from the trainer's last word, else from the way it ended."""
        progress = read_progress(self.run.events)
        said = progress.state if progress.state_offset >= int(self.record["events_offset"]) else {}
        word, step = said.get("state"), progress.step
        saved = self._saved()
        if word in ("finished", "stopped") and code in (0, None):
            return str(word), str(said.get("reason") or "")
        if self.ended_by_us:
            return "stopped", f"It did not answer to Stop within {self.grace_s:g} s and was ended at step {step}. {saved}"
        if word == "failed":
            return "failed", str(said.get("reason") or "It did not say why; see its log.")
        if self.stop_seen is not None and step == 0:
            return "stopped", "Stopped before the first step."
        tail = _read_tail(self.run.log, int(self.record.get("log_offset", 0)))
        number = _find_signal(code, tail)
        if number:
            return "crashed", f"crashed (signal {number}) at step {step}. {self._meaning(number, starved=self._starved())}{saved}"
        if code is None:
            return "crashed", f"ended without a word at step {step}. {saved}"
        how = f"exit code {code}" if code else "it ended without saying how"
        return "crashed", f"crashed ({how}) at step {step}. {_last_line(tail)}{saved}"

    def _starved(self) -> bool:
        """Whether a process was ended because memory had run out."""
        return count_memory_kills() > int(self.record.get("out_of_memory_kills", 0))

    def _saved(self) -> str:
        last = max(complete_checkpoints(self.run), default=0)
        return f"The last checkpoint is step {last}." if last else "No checkpoint had been saved."

    def _meaning(self, number: int, *, starved: bool) -> str:
        """What the signal says about the cause, with the way out where memory was it."""
        if number != signal.SIGKILL:
            return "It broke inside. " if number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL) else ""
        if not starved:
            return "It was ended from outside. "
        return f"This machine ran out of memory. {self._advice()} "

    def _advice(self) -> str:
        try:
            return advise_memory(read_run_config(self.run)).action
        except DarkroomError:
            return ""

    def _write(self) -> None:
        files.write_json(self.run.process, self.record)


def _read_tail(log: Path, begin: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(begin, log.stat().st_size - LOG_TAIL_BYTES))
            return file.read(LOG_TAIL_BYTES).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _find_signal(code: int | None, tail: str) -> int:
    """The signal that ended the launcher itself, or by the launcher's own account its trainer."""
    if code is not None and code < 0:
        return -code
    found = [next(filter(None, m.groups())) for m in _SIGNALLED.finditer(tail)]
    return int(found[-1]) if found and code else 0


def count_memory_kills() -> int:
    """How many processes the kernel has ended since the machine's start because memory ran out; 0 where it does not tell."""
    try:
        words = Path("/proc/vmstat").read_text("ascii").split()
        return int(words[words.index("oom_kill") + 1])
    except (OSError, ValueError, IndexError):
        return 0


def _last_line(tail: str) -> str:
    """The last thing an exception said; the launcher's own traceback stands behind it and says nothing new."""
    own = tail.split("subprocess.CalledProcessError")[0]
    lines = [x.strip() for x in own.splitlines() if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt)\b", x.strip())]
    return f"It said: {lines[-1][:300]} " if lines else ""


def serve(argv: list[str], kind: type[Supervisor]) -> int:
    """Runs as a process of its own. The plan (command, environment) comes on stdin; an empty one means: adopt."""
    run = RunDir(Path(argv[0]))
    plan = json.loads(sys.stdin.buffer.read() or b"{}")
    ready = int(plan.get("ready_fd", -1))
    if os.fork():
        os._exit(0)  # whoever started it need not wait for its end, nor leave a zombie
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    supervisor = kind(run, plan)
    signal.signal(signal.SIGTERM, lambda *_: supervisor.on_terminate())
    if plan.get("command"):
        try:
            supervisor.start()
        except OSError as error:
            supervisor.record |= {"ended": time.time(), "state": "failed", "reason": f"The trainer cannot be started: {error}"}
            files.write_json(run.process, supervisor.record)
            return 1
    elif is_alive(read_identity(read_process(run).get("supervisor"))):
        return 0
    else:
        supervisor.adopt()
    if ready >= 0:
        os.write(ready, b"1")
        os.close(ready)
    supervisor.watch()
    return 0


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:], Supervisor))

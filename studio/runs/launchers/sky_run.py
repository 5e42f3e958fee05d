"""One run in a cloud, from here: `python -m studio.runs.launchers.sky_run [--attach] RUN_ROOT`, under the run's supervisor.

It asks SkyPilot for a machine, brings the run's results here every few seconds, takes requests there, and gives the
machine back at the end. What SkyPilot and the trainer print goes to the run's log.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from backends.contract import files
from backends.contract.launch import LaunchSettings, read_launch
from backends.contract.rundir import RunDir
from studio.runs.launchers.sky_task import name_cluster
from studio.runs.launchers.skypilot import launch_command

PULL_S = 10.0
LOOK_S = 0.5
DONE, NOT_FINISHED = 0, 101  # exit codes of `sky logs --status`
TRIES = 20  # that SkyPilot may fail to answer in a row
HERE = (
    "control",
    "log.txt",
    "process.json",
    "job.json",
    "run.json",
    "kept.json",
    "config.yaml",
    "launch.yaml",
    "manifest.jsonl",
    "task.yaml",
)


class CloudRun:
    """The run on its machine, and its copy here."""

    def __init__(self, run: RunDir, launch: LaunchSettings) -> None:
        self.run, self.launch, self.name = run, launch, name_cluster(run)
        self._logs: subprocess.Popen[bytes] | None = None

    def begin(self) -> int:
        """Gets a machine and starts the run there; gives SkyPilot's exit code."""
        return subprocess.run(launch_command(self.run, self.launch), check=False).returncode

    def follow(self) -> int:
        """Until the run has ended there; gives 0 where it ended well."""
        self._tell("running")
        silent, status = 0, NOT_FINISHED
        self._show_log("1000")
        while status == NOT_FINISHED or (silent and silent < TRIES):
            self.exchange()
            self._wait()
            status = self._status()
            silent = 0 if status in (DONE, NOT_FINISHED, 100, 102, 103) else silent + 1
            if status == NOT_FINISHED and self._logs and self._logs.poll() is not None:
                self._show_log("0")  # the connection was lost
        if self._logs:
            self._logs.terminate()
        self.exchange()
        return status

    def exchange(self) -> None:
        """Requests there, results here. A checkpoint is listed whole before it is fetched, and put in place at once."""
        root = f"{self.run.root}/"
        subprocess.run(["rsync", "-az", f"{root}control/", f"{self.name}:{root}control/"], check=False)
        kept = [f"--exclude=/{name}" for name in (*HERE, "events.jsonl")]
        subprocess.run(["rsync", "-az", "--no-inc-recursive", "--delay-updates", *kept, f"{self.name}:{root}", root], check=False)
        # Written to in place: whoever reads it here goes on from where they were.
        subprocess.run(["rsync", "-az", "--inplace", f"{self.name}:{root}events.jsonl", f"{root}events.jsonl"], check=False)

    def give_back(self) -> None:
        """The machine costs money as long as it is there. SkyPilot's own timer does the same ten minutes later."""
        subprocess.run(["sky", "down", "-y", self.name], check=False)

    def leave(self, number: int, frame: FrameType | None) -> None:
        """A stop that was not answered in time: the machine is given back by a process that outlives this one."""
        subprocess.Popen(["sky", "down", "-y", self.name], start_new_session=True)
        sys.exit(1)

    def _status(self) -> int:
        return subprocess.run(["sky", "logs", self.name, "--status"], check=False, stdout=subprocess.DEVNULL).returncode

    def _show_log(self, tail: str) -> None:
        self._logs = subprocess.Popen(["sky", "logs", self.name, "--tail", tail])

    def _wait(self) -> None:
        """Until it is time again, or a request lies here."""
        end = time.monotonic() + PULL_S
        asked = self.run.stop_request.exists()
        while time.monotonic() < end and self.run.stop_request.exists() == asked and not (self._logs and self._logs.poll() is not None):
            time.sleep(LOOK_S)

    def _tell(self, phase: str) -> None:
        where = self.launch.sky_cloud or "cloud"
        files.write_json(self.run.job, {"launcher": "skypilot", "id": self.name, "phase": phase, "nodes": where, "words": ""})


def main(argv: list[str]) -> int:
    """Gets the machine (unless it has one already), follows the run, gives the machine back."""
    run = RunDir(Path(argv[-1]))
    cloud = CloudRun(run, read_launch(run))
    signal.signal(signal.SIGTERM, cloud.leave)
    if "--attach" not in argv:
        code = cloud.begin()
        if code:
            cloud.give_back()
            return code
    code = cloud.follow()
    cloud.give_back()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

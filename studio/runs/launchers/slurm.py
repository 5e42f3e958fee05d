"""Runs on a cluster: a batch script is handed in to Slurm, and a process of its own follows the job."""

from __future__ import annotations

import secrets
import time
from typing import Any

from backends.contract import files
from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from studio.runs.attempts import describe_attempt
from studio.runs.launchers import slurm_ask
from studio.runs.launchers.following import launch_follower
from studio.runs.launchers.protocol import Order
from studio.runs.launchers.slurm_script import write_script

GRACE_S = 120.0  # a shared disk shows a new file to another machine late, and a large model saves slowly
SUBMITTING_S = 60.0
FOLLOWER = "studio.runs.launchers.slurm_follow"


class SlurmLauncher:
    """Hands runs in to Slurm. The workspace must lie on a disk that all machines of the cluster see at the same place."""

    def start(self, order: Order) -> None:
        """Writes job.sbatch, hands it in, and starts the process that follows the job.

        Raises:
            DarkroomError: With Slurm's own words, when it does not take the job.
        """
        run, token = order.run, secrets.token_hex(4)
        name = f"darkroom-{run.root.name}-{token}"
        cache = order.workspace.cache / "latents"
        cache.mkdir(parents=True, exist_ok=True)
        order.clear_requests()
        script = write_script(run, order.config, order.launch, cache=cache, name=name, resume=order.goes_on, command=order.command)
        before = files.read_json(run.process)
        attempt = describe_attempt(run, token=token, command=["sbatch", str(script)], device="", seconds_before=order.seconds_before)
        grace_s = GRACE_S if order.grace_s is None else order.grace_s
        record = attempt | {"launched_by": "slurm", "job_name": name, "grace_s": grace_s}
        run.job.unlink(missing_ok=True)
        files.write_json(run.process, record)  # before the job is handed in: by its name it is found again after a crash
        try:
            job_id = slurm_ask.submit(script)
        except DarkroomError:
            _put_back(run, before)
            raise
        files.write_json(run.process, record | {"job_id": job_id})
        files.write_json(run.job, {"launcher": "slurm", "id": job_id, "phase": "queued", "words": slurm_ask.explain_reason("None")})
        launch_follower(run, {}, module=FOLLOWER)

    def tend(self, run: RunDir, process: dict[str, Any]) -> None:
        """Starts a new follower, which asks Slurm how the job stands. A job that is being handed in is left alone."""
        if "job_id" not in process and time.time() - float(process.get("began", 0.0)) < SUBMITTING_S:
            return
        launch_follower(run, {}, module=FOLLOWER)


def _put_back(run: RunDir, before: Any) -> None:
    if isinstance(before, dict):
        files.write_json(run.process, before)
    else:
        run.process.unlink(missing_ok=True)

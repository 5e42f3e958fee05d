"""Runs on this machine: one at a time on its device, under a supervisor of their own."""

from __future__ import annotations

import time
from typing import Any

from backends.contract import files
from backends.contract.rundir import RunDir, complete_checkpoints
from studio.runs.command import REPOSITORY, build_command, build_environment
from studio.runs.hardware import probe_hardware
from studio.runs.launch_checks import hardware_for
from studio.runs.launchers.following import launch_follower
from studio.runs.launchers.protocol import Order
from studio.runs.locks import device_lock, held
from studio.runs.progress import read_progress
from studio.runs.state import explain_gone, is_training, is_watched, read_process
from studio.runs.supervisor import GRACE_S
from studio.workers.client import make_room


class LocalLauncher:
    """Starts the trainer's processes here."""

    def start(self, order: Order) -> None:
        """Takes the device and starts the supervisor with the command.

        Raises:
            DarkroomError: When another run has the device.
        """
        run, workspace = order.run, order.workspace
        hardware = hardware_for(order.config, order.launch, probe_hardware())
        device = hardware.device
        place = "GPU" if device == "gpu" else "machine"
        refusal = f"The run “{{holder}}” is training on this {place}. One run at a time: stop it, or wait until it has ended."
        cache = workspace.cache / "latents"
        cache.mkdir(parents=True, exist_ok=True)
        command = order.command or build_command(order.config, run.root, hardware=hardware, launch=order.launch)
        plan = {
            "command": [*command, *(["--resume", "latest"] if order.goes_on else [])],
            "environment": build_environment(order.config, cache, hardware),
            "cwd": str(REPOSITORY),
            "device": device,
            "grace_s": GRACE_S if order.grace_s is None else order.grace_s,
            "seconds_before": order.seconds_before,
        }
        with held(device_lock(workspace, device), run.root.name, refusal) as lock:
            order.clear_requests()
            make_room(busy=device == "gpu")
            launch_follower(run, plan, keep=(lock,))

    def tend(self, run: RunDir, process: dict[str, Any]) -> None:
        """Adopts what still trains; writes down the end of what is gone."""
        if is_training(process):
            launch_follower(run, {})
            return
        process = read_process(run)
        if process.get("ended") or is_watched(process):
            return
        state, reason = explain_gone(process, read_progress(run.events))
        last = max(complete_checkpoints(run), default=0)
        process |= {"ended": round(time.time(), 3), "exit_code": None, "state": state, "reason": reason, "checkpoint": last}
        files.write_json(run.process, process)
        run.stop_request.unlink(missing_ok=True)

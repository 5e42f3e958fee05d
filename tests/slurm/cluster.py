"""A real Slurm on one machine, all of it in one folder and on ports of its own: munged, slurmctld and two slurmd.

It needs Debian's packages (`apt-get install slurm-wlm munge`) and touches nothing of a Slurm that the machine may have.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
from pathlib import Path

from tests.ports import free_ports
from tests.waiting import wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "srun")
CONFIGURATION = """
ClusterName=darkroom
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2
ReturnToService=2
MpiDefault=none
KillWait=5
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=4000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes=n1,n2 MaxTime=5 State=UP
"""


def find_missing() -> str:
    """Why no Slurm can be started here, or an empty text."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    missing = [name for name in PROGRAMS if not shutil.which(name, path=path)]
    return f"needs Slurm (apt-get install slurm-wlm munge); missing: {', '.join(missing)}" if missing else ""


class Cluster:
    """Starts on `start`, ends with everything it started on `stop`. `environment` leads Slurm's commands to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        for name in ("state", "spool/n1", "spool/n2"):
            (self.folder / name).mkdir(parents=True)
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        host = socket.gethostname().split(".")[0]
        text = CONFIGURATION.format(host=host, user=getpass.getuser(), folder=self.folder, ports=free_ports(3))
        (self.folder / "slurm.conf").write_text(text)
        names = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munged.pid", "log-file": "munged.log"}
        flags = [f"--{flag}={self.folder / name}" for flag, name in {**names, "seed-file": "munged.seed"}.items()]
        self._spawn("munged", "--foreground", "--force", *flags)
        wait_until((self.folder / "munge.socket").exists, limit_s=120)
        self.start_controller()
        for node in ("n1", "n2"):
            self._spawn("slurmd", "-D", "-N", node)
        wait_until(lambda: self.ask("sinfo", "-h", "-N", "-p", "main", "-o", "%T").split() == ["idle", "idle"], limit_s=180)

    def start_controller(self) -> None:
        """The part that answers squeue and sbatch."""
        self._controller = self._spawn("slurmctld", "-D")

    def stop_controller(self) -> None:
        """As when the cluster's head is restarted: jobs go on, nobody answers."""
        _end(self._controller)

    def stop(self) -> None:
        if self._started:
            self.ask("scancel", "--user", getpass.getuser())
            wait_until(lambda: not self.ask("squeue", "-h").strip() or self._controller.poll() is not None, limit_s=30)
        for process in reversed(self._started):
            _end(process)

    def ask(self, *command: str) -> str:
        """What one of Slurm's commands prints."""
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60).stdout

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
        program = shutil.which(command[0], path=path)
        assert program
        with (self.folder / "daemons.log").open("ab") as log:
            environment = {**os.environ, **self.environment, "PATH": path}
            process = subprocess.Popen([program, *command[1:]], stdout=log, stderr=log, env=environment)
        self._started.append(process)
        return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

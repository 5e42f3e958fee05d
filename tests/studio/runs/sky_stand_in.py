"""Stands in for `sky` and for rsync's way to a cloud machine: behaves like the published commands, on a folder of this machine.

Its name says which it is. CLOUD is the folder that plays the machine's disk; the toy trainer plays the trainer there.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import yaml

CLOUD = Path(os.environ["CLOUD"])
TOY = Path(__file__).resolve().with_name("toy_trainer.py")


def there(path: str) -> Path:
    return CLOUD / path.lstrip("/")


def launch(arguments: list[str]) -> int:
    (CLOUD / "launched").open("a").write(" ".join(arguments) + "\n")
    if "refuse" in os.environ.get("SKY_HABITS", ""):
        sys.stderr.write("sky.exceptions.ResourcesUnavailableError: no such machine can be had\n")
        return 1
    task = yaml.safe_load(Path(arguments[-1]).read_text())
    for target, source in task["file_mounts"].items():
        shutil.copytree(source, there(target), dirs_exist_ok=True)
    (CLOUD / "code").unlink(missing_ok=True)
    config = there(task["run"].split("--config ")[1].split()[0])
    resume = " --resume latest" if "--resume latest" in task["run"] else ""
    line = f"{sys.executable} {TOY} --config {config}{resume}; echo $? > {CLOUD}/code.part; mv {CLOUD}/code.part {CLOUD}/code"
    with (CLOUD / "job.log").open("ab") as log:
        environment = {k: v for k, v in os.environ.items() if k != "DARKROOM_RUN_TOKEN"}  # another machine inherits nothing of here
        job = subprocess.Popen(["bash", "-c", line], stdout=log, stderr=log, env=environment, start_new_session=True)
    (CLOUD / "pid").write_text(str(job.pid))
    return 0


def logs(arguments: list[str]) -> int:
    code = CLOUD / "code"
    if "--status" in arguments:
        return 101 if not code.exists() else 0 if code.read_text().strip() == "0" else 100
    pause = threading.Event()
    while not code.exists():
        pause.wait(0.1)
    sys.stdout.write((CLOUD / "job.log").read_text())
    return 0


def down() -> int:
    (CLOUD / "down").touch()
    try:
        os.killpg(int((CLOUD / "pid").read_text()), signal.SIGKILL)
    except (OSError, ValueError):
        return 0
    return 0


def rsync(arguments: list[str]) -> int:
    path = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if Path(p) != Path(os.environ["STAND_INS"]))
    words = [str(there(a.split(":", 1)[1])) + ("/" if a.endswith("/") else "") if a.startswith("darkroom-") else a for a in arguments]
    real = shutil.which("rsync", path=path)
    assert real
    return subprocess.run([real, *words], check=False).returncode


def main() -> int:
    name, arguments = Path(os.environ["STAND_IN_NAME"]).name, sys.argv[1:]
    if name == "rsync":
        return rsync(arguments)
    return {"launch": launch, "logs": logs}.get(arguments[0], lambda _: down())(arguments[1:])


if __name__ == "__main__":
    sys.exit(main())

"""A real server, and how the browser in front of it is started: for the pages' photographs, for measuring and for the tests."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from studio.workspace import Workspace, open_workspace

ROOT = Path(__file__).resolve().parents[2]
APP = (str(ROOT / "app.py"),)
BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--force-color-profile=srgb",
]


@dataclass(frozen=True)
class Server:
    """A running app: its address and the workspace that it serves."""

    address: str
    workspace: Workspace
    process: subprocess.Popen[bytes]


def start_server(folder: Path, *flags: str, program: tuple[str, ...] = APP) -> Server:
    """`python app.py` on the workspace in `folder`, on a port that the system chooses; waits for the line that says it is ready.

    Raises:
        RuntimeError: When it did not start; shows what it said.
    """
    workspace = open_workspace(folder)
    command = [sys.executable, *program, "--port", "0", "--no-browser", "--workspace", str(workspace.root), *flags]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log)
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        if "http://" not in line:
            process.kill()
            process.wait()
            log.seek(0)
            raise RuntimeError(f"The app did not start.\n{line}{log.read().decode('utf-8', 'replace')}")
    return Server(line[line.index("http://") :].split()[0], workspace, process)


def stop_server(server: Server) -> None:
    """Ends it, by force where it does not listen."""
    server.process.terminate()
    try:
        server.process.wait(15)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server on the workspace in `folder`; it ends with the block."""
    server = start_server(folder)
    try:
        yield server
    finally:
        stop_server(server)

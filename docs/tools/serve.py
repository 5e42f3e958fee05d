"""A real server on a free port for the tools that photograph and measure the pages."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--force-color-profile=srgb",
]


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serve(workspace: Path) -> Iterator[str]:
    """The address of a server on `workspace`; it ends with the block."""
    port = free_port()
    command = [sys.executable, "app.py", "--port", str(port), "--workspace", str(workspace), "--no-browser"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                httpx.get(address, timeout=30)
                break
            except httpx.TransportError:
                if process.poll() is not None:
                    raise SystemExit(f"The app ended with code {process.returncode}.") from None
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()

"""From the flags to a listening server: the checks before it, the lock on the workspace, the address that is printed."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from backends.contract.errors import DarkroomError
from backends.contract.hub_token import use_token_file
from studio.datasets.store import DatasetStore
from studio.datasets.trash import clear_leftovers
from studio.runs.control import reconcile
from studio.web.context import LOOPBACK, Settings
from studio.workspace import Workspace, open_workspace

DEFAULT_PORT, TRIED_PORTS, MIN_PASSWORD = 7860, 20, 8


@dataclass(frozen=True)
class Launch:
    """What a person asked for. `port` None means: 7860, or the next free one."""

    host: str = "127.0.0.1"
    port: int | None = None
    workspace: Path | str | None = None
    password: str = field(default="", repr=False)
    open_browser: bool = True


def launch(asked: Launch) -> None:
    """Serves until it is stopped.

    Raises:
        DarkroomError: When it may not or cannot start: no password beyond loopback, port taken, workspace in use.
    """
    _check_password(asked)
    workspace = open_workspace(asked.workspace)
    use_token_file(workspace.root)
    with _lock(workspace), _listen(asked.host, asked.port) as listener:
        port = listener.getsockname()[1]
        settings = Settings(asked.host, port, asked.password)
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        for chatty in ("httpx", "uvicorn.access", "uvicorn.error"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        from studio.web.server import build_app  # after the checks: a refusal should not wait for Gradio to load

        app = build_app(workspace, settings)
        reconcile(workspace)  # runs that died or went on while no app was open
        threading.Thread(target=clear_leftovers, args=(DatasetStore(workspace),), daemon=True).start()
        address = f"http://{'127.0.0.1' if asked.host in ('0.0.0.0', '::') else _bracket(asked.host)}:{port}"
        _announce(workspace, address, asked.port)
        if asked.open_browser:
            threading.Timer(0.4, webbrowser.open, [address]).start()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3))
        server.run(sockets=[listener])


def _announce(workspace: Workspace, address: str, asked_port: int | None) -> None:
    port = int(address.rsplit(":", 1)[1])
    moved = f" (port {DEFAULT_PORT} is taken)" if asked_port is None and port != DEFAULT_PORT else ""
    sys.stdout.write(f"Darkroom is ready: {address}{moved}\nWorkspace: {workspace.root}\nStop with Ctrl+C; trainings go on.\n")
    sys.stdout.flush()


def _check_password(asked: Launch) -> None:
    if asked.password and len(asked.password) < MIN_PASSWORD:
        raise DarkroomError(f"The password has {len(asked.password)} characters; it must have {MIN_PASSWORD} or more.", field="password")
    if asked.host not in LOOPBACK and not asked.password:
        raise DarkroomError(
            f"Listening on {asked.host} lets other machines in, and no password is set. "
            "Give one with --password or DARKROOM_PASSWORD, or leave --host out to keep Darkroom to this machine.",
            field="password",
        )


@contextlib.contextmanager
def _lock(workspace: Workspace) -> Iterator[None]:
    """Holds the workspace; the system lets go of it however this process ends."""
    path = workspace.root / "app.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        other = os.read(handle, 100).decode("utf-8", "replace").strip()
        os.close(handle)
        raise DarkroomError(
            f"Another Darkroom (process {other or 'unknown'}) is open on the workspace {workspace.root}. "
            "Use that one, stop it first, or give another folder with --workspace."
        ) from None
    try:
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _listen(host: str, port: int | None) -> Iterator[socket.socket]:
    """A bound socket, so that the port that is printed is the port that is served."""
    first = DEFAULT_PORT if port is None else port
    if not 0 <= first <= 65535:
        raise DarkroomError(f"The port is {first}; it must be from 1 to 65535.", field="port")
    for candidate in range(first, min(first + TRIED_PORTS, 65536)):
        bound = _bind(host, candidate)
        if bound is None:
            continue
        if port not in (None, 0, candidate):
            bound.close()
            raise DarkroomError(f"Port {port} is taken by another program. Port {candidate} is free: use --port {candidate}.", field="port")
        with bound:
            yield bound
        return
    raise DarkroomError(f"Ports {first} to {first + TRIED_PORTS - 1} are all taken. Give another one with --port.", field="port")


def _bind(host: str, port: int) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(128)
    except OSError as error:
        bound.close()
        if isinstance(error, PermissionError):
            raise DarkroomError(f"Port {port} needs more rights than you have. Give one above 1023 with --port.", field="port") from None
        if isinstance(error, socket.gaierror) or error.errno == 99:
            raise DarkroomError(f"“{host}” is not an address of this machine. Leave --host out, or give 0.0.0.0.", field="host") from None
        return None
    return bound


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host

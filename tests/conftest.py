"""A real server on a workspace of its own, and a real browser in front of it; both are shared by a whole test run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from studio.workspace import Workspace, open_workspace
from tests.browser.find_chromium import find_chromium
from tests.slurm.cluster import Cluster, find_missing

ROOT = Path(__file__).resolve().parents[1]
BROWSER_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@dataclass(frozen=True)
class Server:
    """A running app: its address and the workspace that it serves."""

    address: str
    workspace: Workspace
    process: subprocess.Popen


def start_server(folder: Path, *flags: str, program: tuple[str, ...] = (str(ROOT / "app.py"),)) -> Server:
    """`python app.py` on a free port with its workspace in `folder`; waits for the line that says it is ready."""
    workspace = open_workspace(folder / "workspace")
    log = (folder / "server.log").open("wb")
    command = [sys.executable, *program, "--port", "0", "--no-browser", "--workspace", str(workspace.root), *flags]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    line = process.stdout.readline().decode()
    assert "http://" in line, (folder / "server.log").read_text("utf-8", "replace")
    return Server(line[line.index("http://") :].split()[0], workspace, process)


def stop_server(server: Server) -> None:
    server.process.terminate()
    try:
        server.process.wait(15)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    """One server for all browser tests. Each test makes the data sets and runs that it needs, under names of its own."""
    running = start_server(tmp_path_factory.mktemp("server"))
    yield running
    stop_server(running)


@pytest.fixture
def own_server(tmp_path) -> Iterator[Server]:
    """A server for one test alone: where the workspace has to be empty, or is locked or broken."""
    running = start_server(tmp_path)
    yield running
    stop_server(running)


@pytest.fixture(scope="session")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    path = find_chromium()
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=BROWSER_ARGUMENTS)
        sync_api.expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong
        yield started
        started.close()


@pytest.fixture(scope="session")
def slurm(tmp_path_factory) -> Iterator[Cluster]:
    """A real Slurm, where its packages are installed; the same for all tests."""
    missing = find_missing()
    if missing:
        pytest.skip(missing)
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def page(browser, request):
    """A fresh page. The test fails when a script raised an error, or when anything outside this machine was asked for.

    `@pytest.mark.parametrize("page", [{"viewport": ..., "color_scheme": ...}], indirect=True)` changes the browser's settings.
    """
    settings = {"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce", **(getattr(request, "param", None) or {})}
    context = browser.new_context(**settings)
    context.set_default_timeout(20_000)
    faults: list[str] = []
    opened = context.new_page()
    opened.on("pageerror", lambda error: faults.append(f"script error: {error}"))
    opened.on("request", lambda r: None if _local(r.url) else faults.append(f"outside request: {r.url}"))
    yield opened
    context.close()
    assert not faults


def _local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "http://localhost:", "data:", "blob:", "about:"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Side by side, a file's tests run in one process, and those of the browser all in one: they share a server and trained LoRAs.

    (`--dist loadgroup` would do it by marks, but pytest-xdist 3.8 writes them where pytest 9.2 no longer looks.)
    """
    from xdist.scheduler import LoadFileScheduling

    class ByPlace(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "browser" if nodeid.startswith("tests/browser/") else super()._split_scope(nodeid)

    return ByPlace(config, log)

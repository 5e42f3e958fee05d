"""A real server on a workspace of its own, and a real browser in front of it; both are shared by a whole test run."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.tools import serve
from docs.tools.serve import APP, BROWSER_ARGUMENTS, ROOT, Server, stop_server
from tests.browser.find_chromium import find_chromium
from tests.side_by_side import find_part, rank_part
from tests.slurm.cluster import Cluster, find_missing

__all__ = ["ROOT", "Server", "start_server", "stop_server"]


def start_server(folder: Path, *flags: str, program: tuple[str, ...] = APP) -> Server:
    """`python app.py` with its workspace in a folder of `folder`."""
    return serve.start_server(folder / "workspace", *flags, program=program)


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


def pytest_collection_modifyitems(items):
    """What takes longest begins first; within a part of the suite nothing moves."""
    items.sort(key=lambda item: rank_part(find_part(item.nodeid)))


def pytest_collection_finish():
    """The million objects of what was imported are looked through no more whenever Python looks for what can go."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Side by side, a part of the suite runs in one process.

    (`--dist loadgroup` would do it by marks, but pytest-xdist 3.8 writes them where pytest 9.2 no longer looks.)
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByPart(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return find_part(nodeid)

    config.option.loadscopereorder = False  # in our order, not by how many tests a part has
    return ByPart(config, log)

"""The app starts light, says clearly why it cannot, and shares its workspace with nobody."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import httpx
import psutil
import pytest

from tests.conftest import ROOT, start_server, stop_server

HEAVY = ("torch", "diffusers", "transformers", "peft", "accelerate")


def run_app(*flags):
    return subprocess.run(
        [sys.executable, str(ROOT / "app.py"), "--no-browser", *flags], capture_output=True, text=True, timeout=240, cwd=ROOT
    )


def test_the_whole_app_loads_no_torch(tmp_path):
    code = (
        "import sys; from studio.web.server import build_app; from studio.web.context import Settings\n"
        f"from studio.workspace import open_workspace; import app; build_app(open_workspace({str(tmp_path)!r}), Settings())\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, cwd=ROOT)
    assert done.stdout.strip().splitlines()[-1:] == ["[]"], done.stdout + done.stderr


@pytest.mark.slow
def test_a_started_app_serves_its_pages_in_less_than_300_mb(own_server):
    for path in ("/", "/dataset", "/captions", "/check", "/train", "/monitor", "/compare", "/generate"):
        answer = httpx.get(own_server.address + path)
        assert answer.status_code == 200
        assert 'lang="en"' in answer.text[:200]
        assert "/js/rail.js" in answer.text
    assert psutil.Process(own_server.process.pid).memory_info().rss < 300e6


def test_beyond_this_machine_it_starts_with_a_password_only(tmp_path):
    for flags in (["--host", "0.0.0.0"], ["--host", "0.0.0.0", "--password", "short"]):
        done = run_app(*flags, "--workspace", str(tmp_path))
        assert done.returncode == 2
        assert "password" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_taken_port_that_was_asked_for_names_the_next_free_one(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run_app("--port", str(port), "--workspace", str(tmp_path))
    assert done.returncode == 2
    assert f"Port {port} is taken" in done.stderr
    assert "--port" in done.stderr


def test_an_address_of_another_machine_is_explained(tmp_path):
    done = run_app("--host", "192.0.2.1", "--password", "long enough", "--port", "0", "--workspace", str(tmp_path))
    assert done.returncode == 2
    assert "192.0.2.1" in done.stderr


@pytest.mark.slow
def test_a_second_app_on_the_workspace_is_told_so_and_a_killed_one_frees_it(tmp_path):
    first = start_server(tmp_path)
    try:
        done = run_app("--port", "0", "--workspace", str(first.workspace.root))
        assert done.returncode == 2
        assert f"process {first.process.pid}" in done.stderr
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        second = start_server(tmp_path)
        stop_server(second)
    finally:
        stop_server(first)


@pytest.mark.slow
def test_the_default_port_gives_way_to_the_next_one(tmp_path, monkeypatch):
    from studio.web import launch

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setattr(launch, "DEFAULT_PORT", other.getsockname()[1])
        with launch._listen("127.0.0.1", None) as listener:
            assert listener.getsockname()[1] > launch.DEFAULT_PORT

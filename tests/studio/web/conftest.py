"""The server in this process, without a port: quick enough for hundreds of requests."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from studio.web.context import Settings
from studio.web.server import build_app
from studio.workspace import open_workspace

ADDRESS = "http://127.0.0.1:7860"


def make_client(folder, password=""):
    app = build_app(open_workspace(folder), Settings(password=password))
    # As in the real server, a surprise becomes an answer; it must not reach the test as an exception.
    return TestClient(app, base_url=ADDRESS, raise_server_exceptions=False, follow_redirects=False)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with make_client(tmp_path_factory.mktemp("workspace")) as made:
        yield made


@pytest.fixture
def context(client):
    return client.app.state.context

"""A captioner that comes from a hub: a server of this machine that answers as the hub does, with a tiny model of a real kind."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlparse

import pytest

from backends.contract.captioning import Wording
from backends.contract.errors import DarkroomError
from studio.workers.captioner import Captioner, caption_replies
from studio.workers.client import Cancelled
from studio.workspace import open_workspace
from tests.backends.captioners import tiny
from tests.learning import SAMPLES

FILES = sorted((SAMPLES / "zog").glob("*.png"))[:2]
SHA, NAME = "a" * 40, "someone/tiny-blip"


class Hub(ThreadingHTTPServer):
    """Serves one model's folder; the weights stop half way until `go_on` is set."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = {p.name: p.read_bytes() for p in folder.iterdir()}
        self.files |= {"tf_model.h5": b"never asked for", "README.md": b"nor this"}
        self.asked: list[str] = []
        self.half_way, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *values):
        """Quiet."""

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, *, body):
        hub, path = self.server, unquote(urlparse(self.path).path)
        name = path.rsplit("/", 1)[-1]
        if path.startswith(f"/api/models/{NAME}/revision/"):
            self.send_json({"id": NAME, "sha": SHA, "siblings": [{"rfilename": n} for n in hub.files]})
        elif path.startswith(f"/api/models/{NAME}/tree/"):
            self.send_json([{"type": "file", "path": n, "size": len(d), "oid": hashlib.sha1(d).hexdigest()} for n, d in hub.files.items()])
        elif not path.startswith(f"/{NAME}/resolve/") or name not in hub.files:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound" if NAME not in path else "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.send_file(name, hub.files[name], body=body)

    def send_json(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def send_file(self, name, data, *, body):
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0] or 0)
        self.send_response(206 if begin else 200)
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", SHA)
        self.send_header("Content-Length", str(len(data) - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if body:
            self.send_body(name, data, begin)

    def send_body(self, name, data, begin):
        self.server.asked.append(name)
        if name.endswith(".safetensors"):
            half = (begin + len(data)) // 2
            self.wfile.write(data[begin:half])
            self.wfile.flush()
            self.server.half_way.set()
            self.server.go_on.wait(60)
            begin = half
        self.wfile.write(data[begin:])


@pytest.fixture
def hub(tmp_path, monkeypatch):
    server = Hub(tiny.make_blip(tmp_path / "model"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield server
    server.go_on.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def captioner(hub, tmp_path):
    with Captioner(open_workspace(tmp_path / "workspace")) as made:
        yield made


@pytest.mark.slow
def test_it_comes_with_only_what_is_needed_is_told_meanwhile_and_is_there_without_the_hub(captioner, hub):
    told: list[str] = []
    replies = list(caption_replies(captioner.request(NAME, FILES, Wording(max_new_tokens=6)), told.append))
    assert len(replies) == 2 and not any(r.error for r in replies)
    assert "model.safetensors" in hub.asked and not {"tf_model.h5", "README.md"} & set(hub.asked)
    assert any(text.startswith(f"Downloading {NAME}: ") and "GB, about" in text and text.endswith("left") for text in told), told
    hub.asked.clear()
    again = list(captioner.caption(NAME, FILES, Wording(max_new_tokens=6), offline=True))
    assert again == replies and hub.asked == []


@pytest.mark.slow
def test_a_download_that_is_stopped_ends_and_the_next_try_brings_it(captioner, hub):
    hub.go_on.clear()
    call = captioner.request(NAME, FILES, Wording(max_new_tokens=6))
    assert hub.half_way.wait(60)
    call.cancel()
    hub.go_on.set()
    with pytest.raises(Cancelled):
        list(call)
    assert len(list(captioner.caption(NAME, FILES, Wording(max_new_tokens=6)))) == 2


@pytest.mark.slow
def test_a_name_that_the_hub_does_not_know_is_told(captioner):
    with pytest.raises(DarkroomError, match="There is no captioner “nobody/nothing” on huggingface.co"):
        list(captioner.caption("nobody/nothing", FILES))


@pytest.mark.slow
def test_a_hub_that_is_gone_is_told_and_not_thrown(captioner, hub):
    hub.shutdown()
    hub.server_close()
    with pytest.raises(DarkroomError, match="is not on this machine and huggingface.co cannot be reached"):
        list(captioner.caption(NAME, FILES))

"""A small stand-in for the hub on this machine: the few routes that loading a model asks, with the hub's own headers for refusals."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GOOD_TOKEN = "hf_" + "good" * 8
_RESOLVE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
_API = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(/(?P<what>revision|tree)/(?P<revision>[^/?]+))?")


@dataclass
class Hub:
    """What the server offers: repository -> folder on disk; `gated` ones want `GOOD_TOKEN`, `broken` ones fail with a status."""

    repositories: dict[str, Path] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    broken: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    address: str = ""


@contextmanager
def serve_hub(hub: Hub) -> Iterator[Hub]:
    """Serves until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # noqa: N802
            _answer(self, hub)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(request: BaseHTTPRequestHandler, hub: Hub) -> None:
    path = unquote(urlsplit(request.path).path)
    token = (request.headers.get("Authorization") or "").removeprefix("Bearer ")
    hub.asked.append((request.command, path, token))
    match = _RESOLVE.fullmatch(path) or _API.fullmatch(path)
    repo = match["repo"] if match else ""
    if repo in hub.broken:
        return _send(request, hub.broken[repo], b"")
    if token and token != GOOD_TOKEN and repo not in hub.gated:
        return _send(request, 401, b"", {"X-Error-Message": "Invalid credentials in Authorization header"})
    if repo not in hub.repositories:
        return _send(request, 404 if token else 401, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
    resolve = _RESOLVE.fullmatch(path)
    if repo in hub.gated and token != GOOD_TOKEN and resolve:
        return _send(request, 403 if token else 401, b"", {"X-Error-Code": "GatedRepo"})
    assert match
    if match["revision"] not in (None, "main", COMMIT):
        return _send(request, 404, b"", {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
    root = hub.repositories[repo]
    if not resolve:
        return _send(request, 200, json.dumps(_describe(repo, root, match["what"])).encode(), {"Content-Type": "application/json"})
    file = root / resolve["path"]
    if not file.is_file():
        return _send(request, 404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
    data = file.read_bytes()
    return _send(request, 200, data, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT})


def _describe(repo: str, root: Path, what: str | None) -> object:
    files = sorted(p for p in root.rglob("*") if p.is_file())
    if what == "tree":
        return [{"type": "file", "path": p.relative_to(root).as_posix(), "size": p.stat().st_size, "oid": COMMIT} for p in files]
    siblings = [{"rfilename": p.relative_to(root).as_posix()} for p in files]
    return {"_id": "1", "id": repo, "modelId": repo, "sha": COMMIT, "private": False, "gated": False, "tags": [], "siblings": siblings}


def _send(request: BaseHTTPRequestHandler, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
    request.send_response(status)
    for name, value in (headers or {}).items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    if request.command == "GET":
        request.wfile.write(data)

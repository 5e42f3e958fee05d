"""A small stand-in for the hub on this machine: the few routes that loading a model and moving a data set ask, with the hub's own
headers for refusals. What is pushed is kept as files in the repository's folder.
"""

from __future__ import annotations

import base64
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
CONVERTED_COMMIT = "c" * 40
GOOD_TOKEN = "hf_" + "good" * 8
_RESOLVE = re.compile(r"/(?P<datasets>datasets/)?(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
_API = re.compile(r"/api/(?P<kind>models|datasets)/(?P<repo>[^/]+/[^/]+)(/(?P<what>revision|tree|preupload|commit)/(?P<revision>[^/?]+))?")
_BATCH = re.compile(r"/datasets/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
_BLOB = re.compile(r"/blobs/(?P<oid>[0-9a-f]{64})")


@dataclass
class Hub:
    """What the server offers: repository -> folder on disk; `gated` ones want `GOOD_TOKEN`, `broken` ones fail with a status.

    `converted` is what the hub made of a data set of another layout: repository -> folder. A data set that is pushed goes into a
    folder of `pushed`; names that begin with `me/` may be written.
    """

    repositories: dict[str, Path] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    broken: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    address: str = ""
    converted: dict[str, Path] = field(default_factory=dict)
    pushed: Path | None = None
    private: dict[str, bool] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)


@contextmanager
def serve_hub(hub: Hub) -> Iterator[Hub]:
    """Serves until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # noqa: N802
            _answer(self, hub)

        do_HEAD = do_GET  # noqa: N815

        def do_POST(self) -> None:  # noqa: N802
            _write(self, hub)

        do_PUT = do_POST  # noqa: N815

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


def _token(request: BaseHTTPRequestHandler) -> str:
    return (request.headers.get("Authorization") or "").removeprefix("Bearer ")


def _answer(request: BaseHTTPRequestHandler, hub: Hub) -> None:
    path, token = urlsplit(request.path).path, _token(request)
    hub.asked.append((request.command, unquote(path), token))
    resolve = _RESOLVE.fullmatch(path)
    match = resolve or _API.fullmatch(path)
    repo = match["repo"] if match else ""
    if repo in hub.broken:
        return _send(request, hub.broken[repo], b"")
    if token and token != GOOD_TOKEN and repo not in hub.gated:
        return _send(request, 401, b"", {"X-Error-Message": "Invalid credentials in Authorization header"})
    if repo not in hub.repositories or (hub.private.get(repo) and token != GOOD_TOKEN):
        return _send(request, 404 if token else 401, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
    if repo in hub.gated and token != GOOD_TOKEN and resolve:
        return _send(request, 403 if token else 401, b"", {"X-Error-Code": "GatedRepo"})
    assert match
    is_converted = unquote(match["revision"] or "") in ("refs/convert/parquet", CONVERTED_COMMIT) and repo in hub.converted
    if match["revision"] not in (None, "main", COMMIT) and not is_converted:
        return _send(request, 404, b"", {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
    root, commit = (hub.converted[repo], CONVERTED_COMMIT) if is_converted else (hub.repositories[repo], COMMIT)
    if not resolve:
        value = _describe(repo, root, match["what"], commit)
        return _send(request, 200, json.dumps(value).encode(), {"Content-Type": "application/json"})
    file = root / unquote(resolve["path"])
    if not file.is_file():
        return _send(request, 404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
    data = file.read_bytes()
    return _send(request, 200, data, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": commit})


def _write(request: BaseHTTPRequestHandler, hub: Hub) -> None:
    """Making a repository, and the steps of a commit: what goes how, the large files' places and contents, the list of all."""
    path, token = unquote(urlsplit(request.path).path), _token(request)
    body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
    hub.asked.append((request.command, path, token))
    blob = _BLOB.fullmatch(path)
    if blob:  # whoever knows the address may write there, as with signed addresses
        hub.blobs[blob["oid"]] = body
        return _send(request, 200, b"")
    if token != GOOD_TOKEN:
        return _send(request, 401, b"", {"X-Error-Message": "Invalid credentials in Authorization header"})
    if path == "/api/repos/create":
        return _create(request, hub, json.loads(body))
    if path == "/api/validate-yaml":
        return _send_json(request, {"errors": [], "warnings": []})
    match = _BATCH.fullmatch(path) or _API.fullmatch(path)
    assert match, path
    if _BATCH.fullmatch(path):
        objects = [_place(hub, one) for one in json.loads(body)["objects"]]
        return _send_json(request, {"transfer": "basic", "objects": objects}, "application/vnd.git-lfs+json")
    if match["what"] == "preupload":
        files = [
            {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith(".parquet") else "regular", "shouldIgnore": False}
            for f in json.loads(body)["files"]
        ]
        return _send_json(request, {"files": files})
    _commit(hub, hub.repositories[match["repo"]], [json.loads(line) for line in body.splitlines()])
    address = f"{hub.address}/datasets/{match['repo']}/commit/{COMMIT}"
    return _send_json(request, {"success": True, "commitOid": COMMIT, "commitUrl": address})


def _create(request: BaseHTTPRequestHandler, hub: Hub, asked: dict[str, object]) -> None:
    repo = f"{asked.get('organization') or 'me'}/{asked['name']}"
    if not repo.startswith("me/"):
        return _send(request, 403, b"", {"X-Error-Message": "You don't have the rights to create a dataset under this namespace"})
    if repo in hub.repositories:
        there = json.dumps({"url": f"{hub.address}/datasets/{repo}"}).encode()
        return _send(request, 409, there, {"X-Error-Message": "You already created this dataset repo"})
    assert hub.pushed is not None
    hub.repositories[repo] = hub.pushed / repo
    hub.repositories[repo].mkdir(parents=True)
    hub.private[repo] = bool(asked.get("private")) or asked.get("visibility") == "private"
    return _send_json(request, {"url": f"{hub.address}/datasets/{repo}"})


def _place(hub: Hub, one: dict[str, object]) -> dict[str, object]:
    return {**one, "actions": {"upload": {"href": f"{hub.address}/blobs/{one['oid']}"}}}


def _commit(hub: Hub, root: Path, lines: list[dict[str, dict[str, str]]]) -> None:
    for line in lines:
        value = line["value"]
        if line["key"] == "lfsFile":
            data = hub.blobs[value["oid"]]
            assert hashlib.sha256(data).hexdigest() == value["oid"]
        elif line["key"] == "file":
            data = base64.b64decode(value["content"])
        else:
            if line["key"] == "deletedFile":
                (root / value["path"]).unlink()
            continue
        (root / value["path"]).parent.mkdir(parents=True, exist_ok=True)
        (root / value["path"]).write_bytes(data)


def _describe(repo: str, root: Path, what: str | None, commit: str) -> object:
    files = sorted(p for p in root.rglob("*") if p.is_file())
    if what == "tree":
        return [{"type": "file", "path": p.relative_to(root).as_posix(), "size": p.stat().st_size, "oid": commit} for p in files]
    siblings = [{"rfilename": p.relative_to(root).as_posix()} for p in files]
    return {"_id": "1", "id": repo, "modelId": repo, "sha": commit, "private": False, "gated": False, "tags": [], "siblings": siblings}


def _send_json(request: BaseHTTPRequestHandler, value: object, kind: str = "application/json") -> None:
    _send(request, 200, json.dumps(value).encode(), {"Content-Type": kind})


def _send(request: BaseHTTPRequestHandler, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
    request.send_response(status)
    for name, value in (headers or {}).items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(data)

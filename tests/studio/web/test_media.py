"""Pictures are served by id, for ever, and never by path."""

from __future__ import annotations

import io
from urllib.parse import quote

import pytest
from PIL import Image

from backends.contract.rundir import RunDir
from tests.studio.web.test_datasets import picture, send

CANARY = "canary of the workspace"
PLAIN = [
    "..", "../..", "../../canary.txt", "..\\..\\canary.txt", "....//canary.txt", "/etc/passwd", "C:\\canary.txt", "~",
    "~/canary.txt", ".", "", " ", "%2e%2e", "%2e%2e%2fcanary.txt", "..%2f..%2fcanary.txt", "..%252fcanary.txt", "..;/canary.txt",
    "canary.txt\0.png", "\0", "\n", "a\r\nb", "x" * 300, "zog\u2215..", "\uff0e\uff0e\uff0fcanary", "CON", "zog.", ".zog", "-rf",
    "$(touch x)", "`id`", "'; DROP", "<script>", "file:///etc/passwd", "http://127.0.0.1/", "\\\\host\\share",
    "zog/../../canary.txt", "session.key", "workspace.json", "null", "undefined", "[object Object]", "{}", "0",
]  # fmt: skip
ENDPOINTS = [
    ("GET", "/media/thumb/{}/{}/192.webp"),
    ("GET", "/media/picture/{}/{}"),
    ("GET", "/media/run/{}/sample/100/{}"),
    ("GET", "/api/datasets/{}"),
    ("GET", "/api/datasets/{}/marks"),
    ("POST", "/api/datasets/{}/export"),
    ("PATCH", "/api/datasets/{}"),
    ("DELETE", "/api/datasets/{}"),
    ("POST", "/api/datasets/{}/files"),
    ("POST", "/api/datasets/{}/remove"),
    ("POST", "/api/datasets/{}/undo"),
    ("POST", "/api/datasets/{}/swap"),
    ("POST", "/api/datasets/{}/match"),
    ("POST", "/api/datasets/{}/kind"),
    ("POST", "/api/datasets/{}/say"),
    ("POST", "/api/datasets/{}/files?pair={}&side=before"),
]


@pytest.fixture(scope="module")
def stocked(client):
    """A data set with one picture, a run with one sample, and a file beside them that nobody may read."""
    workspace = client.app.state.context.workspace
    (workspace.root / "canary.txt").write_text(CANARY, "utf-8")
    dataset = client.post("/api/datasets", json={"name": "media"}).json()["id"]
    (outcome,) = send(client, dataset, ("a.png", picture("teal", (640, 320))))
    sample = RunDir(workspace.runs / "run-1").sample(100, 0)
    sample.parent.mkdir(parents=True)
    Image.new("RGB", (256, 256), "gold").save(sample)
    return dataset, outcome["picture"]["id"]


@pytest.mark.parametrize("size", [192, 384, 768])
def test_a_thumbnail_is_small_webp_kept_for_ever(client, stocked, size):
    answer = client.get("/media/thumb/{}/{}/{}.webp".format(*stocked, size))
    image = Image.open(io.BytesIO(answer.content))
    assert (image.format, max(image.size)) == ("WEBP", min(size, 640))
    assert "immutable" in answer.headers["cache-control"]


def test_a_picture_and_a_sample_are_kept_for_ever_and_are_never_a_page(client, stocked):
    for address in ("/media/picture/{}/{}".format(*stocked), "/media/run/run-1/sample/100/p0_s0.png"):
        answer = client.get(address)
        assert answer.headers["content-type"].startswith("image/")
        assert "immutable" in answer.headers["cache-control"]
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_sample_comes_in_the_width_that_is_shown(client, stocked):
    answer = client.get("/media/run/run-1/sample/100/p0_s0.png?w=150")
    image = Image.open(io.BytesIO(answer.content))
    assert (image.format, image.size) == ("WEBP", (192, 192))
    assert client.get("/media/run/run-1/sample/100/p0_s0.png?w=2048").status_code == 200
    assert client.get("/media/run/run-1/sample/100/p0_s0.png?w=999999").status_code == 422


@pytest.mark.parametrize(
    "address", ["/media/run/run-1/sample/200/p0_s0.png", "/media/run/run-1/sample/100/p9_s0.png", "/media/run/no-run/sample/1/p0_s0.png"]
)
def test_what_is_not_there_is_said_so(client, stocked, address):
    answer = client.get(address)
    assert answer.status_code == 404
    assert answer.json()["error"]["text"].endswith(".")


@pytest.mark.parametrize(("method", "address"), ENDPOINTS)
def test_no_endpoint_reads_or_writes_outside(client, stocked, method, address):
    workspace = client.app.state.context.workspace
    listing = sorted(p.name for p in workspace.root.iterdir())
    dataset, _ = stocked
    for payload in PLAIN:
        for name in {payload, quote(payload, safe="")}:
            for first, second in ((name, "a"), (dataset, name)):
                if address.count("{}") == 1 and first == dataset:
                    continue
                path = address.format(*[quote(part, safe="%") for part in (first, second)][: address.count("{}")])
                answer = client.request(
                    method, path, json={"name": payload, "ids": [payload], "token": payload} if method != "GET" else None
                )
                assert CANARY not in answer.text, path
                assert answer.status_code in range(300, 500), (path, answer.status_code)
    assert sorted(p.name for p in workspace.root.iterdir()) == listing
    assert client.get(f"/api/datasets/{dataset}").status_code == 200


@pytest.mark.parametrize("body", [{"ids": ["../a"]}, {"ids": "a"}, {"ids": [5]}, {"ids": [None]}, {}, []])
def test_ids_in_a_body_are_checked_too(client, stocked, body):
    assert client.post(f"/api/datasets/{stocked[0]}/remove", json=body).status_code in (400, 404, 422)


def test_gradios_own_file_routes_give_nothing_of_the_workspace(client, stocked):
    workspace = client.app.state.context.workspace
    for path in [p for p in workspace.root.rglob("*") if p.is_file()]:
        for route in ("/gradio_api/file=", "/file=", "/gradio_api/file/"):
            assert client.get(route + quote(str(path))).status_code in (403, 404), path
    assert client.post("/gradio_api/upload", files=[("files", ("a.png", picture(size=(900, 900)), "image/png"))]).status_code != 200

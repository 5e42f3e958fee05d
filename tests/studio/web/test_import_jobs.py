"""Archives and tables that are dropped on the page: taken in beside it, with progress, Stop, and a question for the columns."""

from __future__ import annotations

import io
import json
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from studio.datasets import import_job
from studio.datasets.formats.shards import write_shards
from studio.datasets.formats.tables import PICTURE
from tests.studio.datasets.drawing import draw_figure, encode
from tests.studio.datasets.pairs import make_pair
from tests.waiting import wait_until

COLUMNS = {"left": [1, 2, 3], "right": [11, 12, 13]}


def table(kinds, count=3, first=0):
    """The bytes of a Parquet file: pictures and words under the names given."""
    fields, columns = [], []
    for offset, (name, kind) in enumerate(kinds.items()):
        fields.append(pa.field(name, PICTURE if kind == "picture" else pa.string()))
        seeds = range(first + 100 * offset, first + 100 * offset + count)
        columns.append([{"bytes": encode(draw_figure(s, 64)), "path": None} if kind == "picture" else f"{name} {s}" for s in seeds])
    data = io.BytesIO()
    pq.write_table(pa.table(columns, schema=pa.schema(fields)), data)
    return data.getvalue()


def begin(client, *files):
    made = client.post("/api/datasets", json={"name": "Tables", "files": [name for name, _ in files]}).json()
    answer = client.post(
        f"/api/datasets/{made['id']}/files", files=[("files", (n, d, "application/octet-stream")) for n, d in files]
    ).json()
    return made["id"], answer["job"]


def over(client, job):
    assert client.app.state.context.work.get(job["id"]).over.wait(60)
    return client.get(f"/api/jobs/{job['id']}").json()


def test_a_table_whose_names_tell_comes_in_by_itself(client):
    dataset, job = begin(client, ("train-0.parquet", table({"image": "picture", "text": "words"})))
    told = over(client, job)
    assert (told["state"], told["accepted"], told["done"], told["total"], told["part"]) == ("done", 3, 3, 3, 1.0)
    assert told["sentence"] == "“Tables” has 3 pictures."
    assert [p["text"] for p in client.get(f"/api/datasets/{dataset}").json()["pictures"]] == ["text 100", "text 101", "text 102"]
    assert not list(client.app.state.context.workspace.temporary.glob("job-*"))


def test_columns_that_tell_nothing_are_asked_for_once_for_all_files(client):
    kinds = {"left": "picture", "right": "picture", "a": "words", "b": "words"}
    dataset, job = begin(client, ("1.parquet", table(kinds)), ("2.parquet", table(kinds, first=10)))
    wait_until(lambda: client.get(f"/api/jobs/{job['id']}").json()["state"] == "asks", limit_s=30)
    asks = client.get(f"/api/jobs/{job['id']}").json()["asks"]
    assert [(c["name"], c["kind"]) for c in asks["columns"]] == list(kinds.items())
    assert all(e.startswith("data:image/webp;base64,") for e in asks["columns"][0]["examples"])
    assert asks["columns"][2]["examples"] == ["a 200", "a 201", "a 202"]
    assert client.post(f"/api/jobs/{job['id']}/columns", json={"pictures": []}).status_code == 422
    assert client.post(f"/api/jobs/{job['id']}/columns", json={"pictures": ["left", "right"], "words": "b"}).status_code == 200
    told = over(client, job)
    assert (told["state"], told["refused"]) == ("done", [])
    shown = client.get(f"/api/datasets/{dataset}").json()
    assert (shown["kind"], [p["text"] for p in shown["pictures"]]) == ("pairs", [f"b {n}" for n in (300, 301, 302, 310, 311, 312)])
    again = client.post(f"/api/jobs/{job['id']}/columns", json={"pictures": ["left"]})
    assert "not asked any more" in again.json()["error"]["text"]


def test_a_list_whose_columns_tell_nothing_is_asked_about_and_its_pictures_follow(client):
    rows = [{"left": f"{n}a.png", "said": f"make it blue {n}", "right": f"{n}b.png", "note": "x y"} for n in range(2)]
    files = [("edits.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())]
    dataset, job = begin(client, *files)
    wait_until(lambda: client.get(f"/api/jobs/{job['id']}").json()["state"] == "asks", limit_s=30)
    asks = client.get(f"/api/jobs/{job['id']}").json()["asks"]
    assert [(c["name"], c["kind"], c["examples"]) for c in asks["columns"]] == [
        ("left", "file", ["0a.png", "1a.png"]),
        ("said", "words", ["make it blue 0", "make it blue 1"]),
        ("right", "file", ["0b.png", "1b.png"]),
        ("note", "words", ["x y", "x y"]),
    ]
    assert client.post(f"/api/jobs/{job['id']}/columns", json={"pictures": ["left", "right"], "words": "said"}).status_code == 200
    assert over(client, job)["state"] == "done"
    named = [(f"{n}{side}.png", data) for n in range(2) for side, data in zip("ab", make_pair(n), strict=True)]
    answer = client.post(f"/api/datasets/{dataset}/files", files=[("files", (n, d, "image/png")) for n, d in named]).json()
    assert (answer["kind"], answer["job"], [o["accepted"] for o in answer["outcomes"]]) == ("pairs", None, [True] * 4)
    shown = client.get(f"/api/datasets/{dataset}").json()
    assert [(p["text"], p["missing"]) for p in shown["pictures"]] == [("make it blue 0", ""), ("make it blue 1", "")]


def test_a_small_zip_with_such_a_list_is_asked_about_too(client):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("set/edits.csv", "left,said,right\na.png,make it blue,b.png\n")
        for name, data in zip(("a.png", "b.png"), make_pair(1), strict=True):
            archive.writestr(f"set/{name}", data)
    dataset, job = begin(client, ("set.zip", packed.getvalue()))
    wait_until(lambda: client.get(f"/api/jobs/{job['id']}").json()["state"] == "asks", limit_s=30)
    client.post(f"/api/jobs/{job['id']}/columns", json={"pictures": ["left", "right"], "words": "said"})
    told = over(client, job)
    assert (told["state"], told["refused"]) == ("done", [])
    shown = client.get(f"/api/datasets/{dataset}").json()
    assert (shown["kind"], [(p["text"], p["missing"]) for p in shown["pictures"]]) == ("pairs", [("make it blue", "")])


def test_a_wrong_answer_and_a_table_without_pictures_are_told(client):
    dataset, job = begin(client, ("a.parquet", table({"x": "picture", "y": "picture"})), ("b.parquet", table({"z": "words"})))
    wait_until(lambda: client.get(f"/api/jobs/{job['id']}").json()["state"] == "asks", limit_s=30)
    client.post(f"/api/jobs/{job['id']}/columns", json={"pictures": ["nowhere"]})
    reasons = {r["name"]: r["reason"] for r in over(client, job)["refused"]}
    assert "There is no column “nowhere”" in reasons["a.parquet"]
    assert reasons["b.parquet"] == "No column holds pictures. There is: z (words)."
    assert client.get(f"/api/datasets/{dataset}").json()["pictures"] == []


def test_a_question_can_be_left_by_stopping(client):
    _, job = begin(client, ("a.parquet", table({"x": "picture", "y": "picture"})))
    wait_until(lambda: client.get(f"/api/jobs/{job['id']}").json()["state"] == "asks", limit_s=30)
    client.post(f"/api/jobs/{job['id']}/stop")
    assert over(client, job)["state"] == "stopped"
    assert client.delete(f"/api/jobs/{job['id']}").status_code == 204
    assert client.get(f"/api/jobs/{job['id']}").status_code == 404


def test_shards_and_a_damaged_table(client, tmp_path):
    records = [{"image": {"bytes": encode(draw_figure(n, 64)), "path": f"{n}.png"}, "text": f"no {n}"} for n in range(5)]
    write_shards(records, tmp_path)
    shard = (tmp_path / "shard-000000.tar").read_bytes()
    dataset, job = begin(client, ("shard-000000.tar", shard), ("torn.parquet", table({"image": "picture"})[:200]))
    told = over(client, job)
    assert (told["accepted"], told["total"]) == (5, 5)
    (refused,) = told["refused"]
    assert refused["name"] == "torn.parquet"
    assert refused["reason"].startswith("“torn.parquet” cannot be read")
    assert len(client.get(f"/api/datasets/{dataset}").json()["pictures"]) == 5


def test_a_large_archive_is_a_job_and_what_came_in_before_stop_stays(client, monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for n in range(30):
            archive.writestr(f"{n:02d}.png", encode(draw_figure(n, 64)))
    monkeypatch.setattr(import_job, "LARGE_BYTES", 1000)
    work = client.app.state.context.work
    start = work.start

    def start_and_stop(*args, **kwargs):
        job = start(*args, **kwargs)
        job.watch.tell = lambda watch: watch.stop() if watch.done >= 7 else None
        return job

    monkeypatch.setattr(work, "start", start_and_stop)
    dataset, job = begin(client, ("many.zip", packed.getvalue()))
    told = over(client, job)
    there = len(client.get(f"/api/datasets/{dataset}").json()["pictures"])
    assert told["state"] == "stopped"
    assert 7 <= there < 30
    assert told["sentence"] == f"It was stopped. What had come in stays: “Tables” has {there} pictures."
    assert told["accepted"] == there


@pytest.mark.parametrize("name", ["zog", "edits"])
def test_samples_are_made_with_progress(client, name):
    made = client.post("/api/home/sample", json={"name": name}).json()
    told = over(client, made["job"])
    assert (told["state"], told["done"]) == ("done", told["total"])
    assert told["total"] >= 12
    assert client.get(f"/api/datasets/{made['id']}").json()["num_pictures"] > 0


@pytest.mark.parametrize(
    "kinds", [{"image": "picture", "text": "words"}, {"before": "picture", "after": "picture", "instruction": "words"}]
)
def test_a_table_that_comes_again_brings_what_is_missing_and_spoils_nothing(client, kinds):
    half, whole, other = table(kinds, 2), table(kinds, 4), table(kinds, 3, first=50)
    dataset, job = begin(client, ("a.parquet", half))
    over(client, job)
    for name, data in (("b.parquet", other), ("a.parquet", whole)):
        again = client.post(f"/api/datasets/{dataset}/files", files=[("files", (name, data, "application/octet-stream"))]).json()["job"]
        told = over(client, again)
        assert told["done"] == told["total"]
    words = list(kinds)[-1]
    start = 100 * (len(kinds) - 1)
    wanted = [f"{words} {start + n}" for n in (0, 1, 50, 51, 52, 2, 3)]
    shown = client.get(f"/api/datasets/{dataset}").json()
    assert ([p["text"] for p in shown["pictures"]], shown["num_incomplete"], shown["num_awaited"]) == (wanted, 0, 0)
    assert [r["reason"].split("“")[0] for r in told["refused"]] == ["It is already here as "] * 2

"""Exports by the routes: a job with progress and Stop, then one file to download, then nothing is left."""

from __future__ import annotations

import io
import zipfile
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from studio.datasets import export_plan
from tests.studio.datasets.drawing import draw_figure, encode
from tests.studio.web.exporting import begin_export, exported
from tests.studio.web.test_datasets import send


@pytest.fixture
def full(client):
    made = client.post("/api/datasets", json={"name": "Zog and friends"}).json()["id"]
    send(client, made, *[(f"figure {n}.png", encode(draw_figure(n, 64))) for n in range(6)], ("figure 2.txt", b"the second"))
    return made


def left(client):
    return sorted(path.name for path in client.app.state.context.workspace.temporary.glob("job-*"))


def test_a_small_export_is_ready_with_the_answer_and_gone_when_it_was_sent(client, full):
    answer = client.post(f"/api/datasets/{full}/export", json={"form": "parquet"})
    job = answer.json()
    assert (job["state"], job["kind"], job["done"], job["total"], job["unit"]) == ("done", "export", 6, 6, "row")
    assert job["file"]["name"] == f"{full}.parquet" and len(left(client)) == 1
    sent = client.get(f"/api/jobs/{job['id']}/file?then=close")
    assert len(sent.content) == job["file"]["bytes"] == int(sent.headers["content-length"])
    assert f'filename="{full}.parquet"' in sent.headers["content-disposition"]
    assert len(pq.read_table(io.BytesIO(sent.content))) == 6
    assert left(client) == [] and client.get(f"/api/jobs/{job['id']}").status_code == 404


def test_a_file_stays_until_its_job_is_put_away(client, full):
    job = begin_export(client, full)
    assert [client.get(f"/api/jobs/{job['id']}/file").status_code for _ in range(2)] == [200, 200]
    part = client.get(f"/api/jobs/{job['id']}/file", headers={"Range": "bytes=0-9"})
    assert (part.status_code, len(part.content)) == (206, 10), "a browser may go on with what broke off"
    assert client.delete(f"/api/jobs/{job['id']}").status_code == 204
    assert left(client) == []
    assert "no such work any more" in client.get(f"/api/jobs/{job['id']}/file").json()["error"]["text"]


@pytest.mark.parametrize("form", ["zip", "parquet", "saved", "shards", "kohya"])
def test_every_form_leaves_as_one_file(client, full, form):
    data = exported(client, full, form, **({"repeats": 7} if form == "kohya" else {}))
    if form == "parquet":
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
    expected = {
        "zip": "figure_0.png",
        "saved": f"{full}/data-00000-of-00001.arrow",
        "shards": f"{full}/shard-000000.tar",
        "kohya": "7_Zog and friends/figure_0.png",
    }
    assert expected[form] in names and left(client) == []


@pytest.mark.parametrize("form", ["zip", "parquet", "saved", "shards"])
def test_a_stopped_export_leaves_nothing(client, full, monkeypatch, form):
    work = client.app.state.context.work
    start = work.start

    def start_and_stop(kind, title, job_work, **more):
        def stopped(job):
            job.watch.tell = lambda watch: watch.stop() if watch.done >= 2 else None
            return job_work(job)

        return start(kind, title, stopped, **more)

    monkeypatch.setattr(work, "start", start_and_stop)
    job = begin_export(client, full, form)
    assert (job["state"], job["file"], job["sentence"]) == ("stopped", None, "It was stopped. Nothing of it was kept.")
    assert left(client) == []
    assert "no file to download" in client.get(f"/api/jobs/{job['id']}/file").json()["error"]["text"]


def test_a_full_disk_and_an_empty_data_set_are_told_and_leave_nothing(client, full, monkeypatch):
    empty = client.post("/api/datasets", json={"name": "Empty"}).json()["id"]
    job = begin_export(client, empty)
    assert job["state"] == "failed" and "nothing to export" in job["sentence"]
    monkeypatch.setattr(export_plan.shutil, "disk_usage", lambda place: SimpleNamespace(free=export_plan.SPARE_BYTES))
    for form in ("zip", "parquet", "saved", "shards"):
        job = begin_export(client, full, form)
        assert job["state"] == "failed" and "Make room" in job["sentence"], form
    assert left(client) == []


def test_a_data_set_that_is_being_exported_is_not_put_away(client, full, monkeypatch):
    import threading

    from studio.web import export_routes

    go = threading.Event()
    monkeypatch.setattr(export_routes, "QUICK_S", 0.0)
    real = export_routes.export_file
    monkeypatch.setattr(export_routes, "export_file", lambda *given, **more: go.wait(30) and real(*given, **more))
    job = client.post(f"/api/datasets/{full}/export", json={}).json()
    assert job["state"] == "running"
    assert client.delete(f"/api/datasets/{full}").status_code >= 400
    go.set()
    assert client.app.state.context.work.get(job["id"]).over.wait(30)
    assert client.delete(f"/api/jobs/{job['id']}").status_code == 204

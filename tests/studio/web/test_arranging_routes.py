"""Merging, copying, splitting and the trash as the pages ask for them."""

from __future__ import annotations

import pytest

from studio.datasets.data_jobs import DataJobs
from tests.studio.datasets.drawing import draw_figure, encode


def picture(seed):
    return encode(draw_figure(seed, 96))


def begin(client, name, seeds):
    made = client.post("/api/datasets", json={"name": name, "kind": "pictures"}).json()["id"]
    client.post(f"/api/datasets/{made}/files", files=[("files", (f"{seed}.png", picture(seed), "image/png")) for seed in seeds])
    return made


def finish(client, answer):
    """The job as it stands when it is over."""
    assert answer.status_code == 200, answer.text
    context = client.app.state.context
    job = context.work.get(answer.json()["id"])
    assert job.over.wait(60)
    return client.get(f"/api/jobs/{job.id}").json()


def rows(client, dataset):
    return len(client.get(f"/api/datasets/{dataset}").json()["pictures"])


def test_merging_copying_and_splitting_are_jobs_with_what_came_of_them(client):
    one, two = begin(client, "One", range(4)), begin(client, "Two", range(3, 6))
    job = finish(client, client.post("/api/arrange/merge", json={"sources": [one, two], "name": "Both"}))
    assert (job["state"], job["dataset"], rows(client, "both")) == ("done", "both", 6)
    assert job["sentence"] == (
        "“Both” has 6 pictures now. 1 picture was there already and came once: 3.png. They have different trigger words (“one”, “two”); "
        "“one” is noted for all. Captions keep their own: look at the Captions page."
    )
    job = finish(client, client.post("/api/arrange/both/copy", json={"name": "Again"}))
    assert (job["title"], job["dataset"], rows(client, "again")) == ("Copy “Both”", "again", 6)
    job = finish(client, client.post("/api/arrange/again/split", json={"percent": 50, "names": ["Left", "Right"]}))
    assert (job["dataset"], rows(client, "left"), rows(client, "right")) == ("right", 3, 3)
    assert {d["id"] for d in client.get("/api/arrange").json()} >= {one, two, "both", "again", "left", "right"}
    job = finish(client, client.post("/api/arrange/merge", json={"sources": [two], "into": one}))
    assert (job["dataset"], rows(client, one)) == (one, 6)


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("merge", {"sources": ["never-was"]}, "There is no data set called “never-was”"),
        ("merge", {"sources": ["../x"]}, "is not the id of a data set"),
        ("merge", {"sources": []}, "request is not right at “sources”"),
        ("never-was/copy", {}, "There is no data set called “never-was”"),
        ("never-was/split", {"percent": 20}, "There is no data set called “never-was”"),
        ("never-was/split", {"percent": 100}, "request is not right at “percent”"),
    ],
)
def test_what_cannot_begin_is_told_at_once(client, path, body, told):
    answer = client.post(f"/api/arrange/{path}", json=body)
    assert answer.status_code in (400, 404, 422)
    assert told in answer.json()["error"]["text"]


def test_what_fails_later_is_told_by_the_job(client):
    one = begin(client, "Alone", [1])
    job = finish(client, client.post(f"/api/arrange/{one}/split", json={"percent": 20}))
    assert (job["state"], job["sentence"]) == ("failed", "“Alone” has 1 rows; two are the fewest that can be split.")


def test_the_trash_keeps_restores_and_deletes(client):
    one = begin(client, "Foxes", range(2))
    gone = client.delete(f"/api/datasets/{one}").json()
    assert (gone["name"], gone["rows"], gone["days_left"], gone["size"]) == ("Foxes", 2, 29, gone["size"])
    assert gone["size"].startswith("2 pictures, ")
    assert client.get(f"/api/datasets/{one}").status_code == 404
    assert client.get("/api/home").json()["trash"] == 1
    assert [t["id"] for t in client.get("/api/trash").json()] == [one]
    assert client.post(f"/api/trash/{one}/restore").json()["id"] == one
    assert rows(client, one) == 2
    client.delete(f"/api/datasets/{one}")
    assert client.delete(f"/api/trash/{one}").json()["rows"] == 2
    assert client.get("/api/trash").json() == []
    assert client.delete(f"/api/trash/{one}").status_code == 404
    assert client.post("/api/trash/..%2Fx/restore").status_code in (400, 404, 405)


def test_a_data_set_into_which_files_come_is_not_put_away(client, context):
    one = begin(client, "Busy", [1])
    job = context.work.start("import", "Import x", lambda job: job.ask({"what": "columns"}) and "", dataset=one)
    answer = client.delete(f"/api/datasets/{one}")
    assert answer.status_code == 400
    assert "Files are coming into “Busy”" in answer.json()["error"]["text"]
    assert client.post(f"/api/jobs/{job.id}/stop").status_code == 200
    assert job.over.wait(20)
    assert client.delete(f"/api/datasets/{one}").status_code == 200


def test_the_card_on_home_knows_what_is_arranged(client):
    one = begin(client, "Wolves", [1, 2])
    (work,) = [w for w in client.get("/api/home").json()["works"] if w["id"] == one]
    assert work["data"] == {"id": one, "name": "Wolves", "kind": "pictures", "rows": 2}


def test_jobs_that_are_over_do_not_pile_up(tmp_path):
    jobs = DataJobs(tmp_path)
    for number in range(40):
        assert jobs.start("copy", str(number), lambda job: "done").over.wait(20)
    assert [job.title for job in jobs.list()] == [str(n) for n in range(19, 40)]

"""The Check page's routes: the report, its age, and actions that really act and can be undone."""

from __future__ import annotations

import json
import threading

import pytest
from PIL import Image

from backends.contract.errors import DarkroomError
from studio.datasets.captions import set_caption
from studio.datasets.ingest import ingest_upload
from studio.datasets.judges import mark_judges
from studio.datasets.samples import create_sample_dataset
from studio.web.check_routes import Checks


@pytest.fixture
def dataset(context, tmp_path):
    """The sample pictures, one of them a second time in another file."""
    info = create_sample_dataset(context.datasets, "zog")
    first = context.datasets.pictures(info.id)[0]
    twin = tmp_path / "twin.jpg"
    Image.open(context.datasets.path(info.id, first.id)).convert("RGB").save(twin, quality=85)
    ingest_upload(context.datasets, info.id, "twin.jpg", twin)
    yield info.id
    context.datasets.delete(info.id)


def check(client, dataset):
    """The page's own order: begin, ask how far it is, read."""
    client.post(f"/api/check/{dataset}")
    for thread in threading.enumerate():
        if thread.name == f"check-{dataset}":
            thread.join(60)
    return client.get(f"/api/check/{dataset}").json()


def codes(page):
    return [f["code"] for f in page["report"]["findings"]]


def test_before_the_first_check_there_is_no_report(client, dataset):
    page = client.get(f"/api/check/{dataset}").json()
    assert page["report"] is None
    assert page["current"] is False
    assert client.get(f"/api/check/{dataset}/dataset_report.json").status_code == 404


def test_a_check_finds_the_twin_and_the_missing_caption(client, dataset):
    page = check(client, dataset)
    assert page["current"] is True
    assert {"twin", "no_caption"} <= set(codes(page))
    assert 0 <= page["report"]["score"] < 100
    assert len(page["report"]["sentences"]) == 3
    status = client.get(f"/api/check/{dataset}/status").json()
    assert (status["running"], status["done"], status["total"]) == (False, 13, 13)


def test_a_report_knows_that_it_is_out_of_date(client, context, dataset):
    check(client, dataset)
    picture = context.datasets.pictures(dataset)[0]
    set_caption(context.datasets, dataset, picture.id, "other words", picture.version)
    assert client.get(f"/api/check/{dataset}").json()["current"] is False


def test_removing_what_a_finding_names_removes_it_and_undo_brings_it_back(client, context, dataset):
    page = check(client, dataset)
    finding = next(f for f in page["report"]["findings"] if f["code"] == "twin")
    wanted = {"kind": "remove", "keys": [finding["key"]]}
    token = client.post(f"/api/check/{dataset}/act", json=wanted).json()["token"]
    assert context.datasets.info(dataset).num_pictures == 12
    assert "twin" not in codes(check(client, dataset))
    client.post(f"/api/check/{dataset}/undo", json={"token": token})
    assert context.datasets.info(dataset).num_pictures == 13
    assert "twin" in codes(check(client, dataset))


def test_the_trigger_word_is_added_where_it_is_missing_and_undo_takes_it_away(client, context, dataset):
    picture = context.datasets.pictures(dataset)[0]
    set_caption(context.datasets, dataset, picture.id, "a purple wall", picture.version)
    finding = next(f for f in check(client, dataset)["report"]["findings"] if f["code"] == "no_trigger_word")
    wanted = {"kind": "add_trigger", "keys": [finding["key"]]}
    token = client.post(f"/api/check/{dataset}/act", json=wanted).json()["token"]
    assert "zog" in context.datasets.picture(dataset, picture.id).text
    client.post(f"/api/check/{dataset}/undo", json={"token": token})
    assert context.datasets.picture(dataset, picture.id).text == "a purple wall"


def test_an_ignored_finding_leaves_the_list_and_comes_back_when_asked(client, dataset):
    finding = next(f for f in check(client, dataset)["report"]["findings"] if f["code"] == "twin")
    client.post(f"/api/check/{dataset}/ignore", json={"key": finding["key"]})
    page = check(client, dataset)
    assert "twin" not in codes(page)
    assert [f["code"] for f in page["report"]["ignored"]] == ["twin"]
    client.post(f"/api/check/{dataset}/ignore", json={"key": finding["key"], "ignored": False})
    assert "twin" in codes(check(client, dataset))


def test_the_report_can_be_downloaded(client, dataset):
    check(client, dataset)
    answer = client.get(f"/api/check/{dataset}/dataset_report.json")
    assert "attachment" in answer.headers["content-disposition"]
    assert json.loads(answer.text)["num_pictures"] == 13


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"kind": "delete_everything", "keys": ["x"]}, 422),
        ({"kind": "remove", "keys": ["blurred-000000000000"]}, 400),
        ({"kind": "remove"}, 422),
    ],
)
def test_actions_that_there_are_not_are_refused(client, context, dataset, wanted, code):
    check(client, dataset)
    assert client.post(f"/api/check/{dataset}/act", json=wanted).status_code == code
    assert context.datasets.info(dataset).num_pictures == 13


def test_a_findings_button_cannot_be_made_to_do_another_ones_work(client, context, dataset):
    captionless = next(f for f in check(client, dataset)["report"]["findings"] if f["code"] == "no_caption")
    answer = client.post(f"/api/check/{dataset}/act", json={"kind": "remove", "keys": [captionless["key"]]})
    assert answer.status_code == 400 and context.datasets.info(dataset).num_pictures == 13


def test_pictures_that_are_gone_already_are_passed_over_and_none_left_is_told(client, context, dataset):
    finding = next(f for f in check(client, dataset)["report"]["findings"] if f["code"] == "twin")
    context.datasets.remove(dataset, finding["action"]["first"])
    answer = client.post(f"/api/check/{dataset}/act", json={"kind": "remove", "keys": [finding["key"]]})
    assert answer.status_code == 400 and "any more" in answer.json()["error"]["text"]


@pytest.mark.parametrize("dataset_id", ["none", "..", "%2e%2e%2fruns"])
def test_a_data_set_that_there_is_not_is_not_found(client, dataset_id):
    assert client.get(f"/api/check/{dataset_id}").status_code in (400, 404)
    assert client.post(f"/api/check/{dataset_id}").status_code in (400, 404, 405)


def test_two_windows_share_one_check():
    begun, go, calls = threading.Event(), threading.Event(), []

    def slow(dataset_id, tell):
        calls.append(dataset_id)
        begun.set()
        assert go.wait(10)

    checks = Checks(slow)
    first = checks.start("zog")
    assert begun.wait(10)
    assert checks.start("zog") is first
    go.set()
    for thread in threading.enumerate():
        if thread.name == "check-zog":
            thread.join(10)
    assert calls == ["zog"]
    assert not first.running


@pytest.mark.parametrize(
    ("fault", "told"), [(DarkroomError("The disk is full."), "The disk is full."), (KeyError("x"), "details are in the log")]
)
def test_a_check_that_fails_says_why_and_ends(fault, told):
    def broken(dataset_id, tell):
        raise fault

    checks = Checks(broken)
    progress = checks.start("zog")
    for thread in threading.enumerate():
        if thread.name == "check-zog":
            thread.join(10)
    assert not progress.running
    assert told in progress.error


def test_where_all_judge_one_button_lets_them_teach_again_and_can_be_undone(client, context, dataset):
    rows = context.datasets.pictures(dataset)
    mark_judges(context.datasets, dataset, [row.id for row in rows[:3]], judges=True)
    split = check(client, dataset)["report"]["split"]
    twin = next(row for row in rows if row.name == "twin.jpg")  # of the first
    assert (split["chosen"], split["along"], split["held_out"]) == (3, 1, 4)
    assert split["who"] == "3 chosen by you and 1 near copy of them"
    assert client.get(f"/api/check/{dataset}/part/along").json()["ids"] == [twin.id]
    mark_judges(context.datasets, dataset, [row.id for row in rows], judges=True)
    page = check(client, dataset)
    finding = next(f for f in page["report"]["findings"] if f["code"] == "all_judge")
    assert not page["report"]["ready"] and finding["action"]["count"] == len(rows)
    token = client.post(f"/api/check/{dataset}/act", json={"kind": "teach", "keys": [finding["key"]]}).json()["token"]
    assert context.datasets.info(dataset).num_judges == 0 and "all_judge" not in codes(check(client, dataset))
    client.post(f"/api/check/{dataset}/undo", json={"token": token})
    assert context.datasets.info(dataset).num_judges == len(rows)

"""The light table among thousands of rows: answers hold what is seen, counts come from the table, marks stay until pictures change."""

from __future__ import annotations

import dataclasses

import pytest

from studio.datasets.captions import set_caption
from studio.datasets.edit_pictures import exclude_pictures
from tests.studio.datasets.many import create_many, create_many_pairs, instruction
from tests.studio.web.conftest import make_client
from tests.waiting import wait_until

ROWS, SEEN, KB = 20_000, 200, 100


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    with make_client(tmp_path_factory.mktemp("many")) as client:
        store = client.app.state.context.datasets
        yield client, store, {"pictures": create_many(store, ROWS), "pairs": create_many_pairs(store, ROWS)}


def read_marks(client, dataset, places=""):
    """The marks once they are worked out."""

    def ask():
        return client.get(f"/api/datasets/{dataset}/marks", params={"places": places})

    wait_until(lambda: ask().json()["ready"], limit_s=60)
    return ask()


@pytest.mark.parametrize("kind", ["pictures", "pairs"])
def test_the_page_is_given_where_all_rows_stand_and_only_the_first_of_them(many, kind):
    client, _, made = many
    answer = client.get(f"/api/datasets/{made[kind]}")
    page = answer.json()
    assert page["places"] == [[1, ROWS]] and page["num_pictures"] == ROWS
    assert [row["place"] for row in page["pictures"]] == list(range(1, SEEN + 1)) and len(answer.content) < KB * 1000


@pytest.mark.parametrize("kind", ["pictures", "pairs"])
def test_however_many_rows_are_asked_for_one_answer_is_a_screenful(many, kind):
    client, _, made = many
    answer = client.get(f"/api/datasets/{made[kind]}/rows", params={"places": f"1+{ROWS}"})
    assert len(answer.json()["pictures"]) == SEEN and len(answer.content) < KB * 1000
    last = client.get(f"/api/datasets/{made[kind]}/rows", params={"places": str(ROWS)}).json()["pictures"]
    assert [row["place"] for row in last] == [ROWS] and last[0]["name"].startswith(f"{ROWS - 1:06}")
    assert client.get(f"/api/datasets/{made[kind]}/rows").status_code == 422  # all of them are not to be had


def test_kinds_are_counted_and_found_by_the_table(many):
    client, _, made = many
    page = client.get(f"/api/datasets/{made['pairs']}").json()
    silent = [n + 1 for n in range(ROWS - 1) if not instruction(n)]  # the last one is a half, which has nothing to say yet
    assert page["kinds"]["text"] == len(silent) and (page["kinds"]["before"], page["kinds"]["after"], page["kinds"]["half"]) == (1, 0, 1)
    assert page["kinds"]["needy"] == len(silent) + 1 and page["kinds"]["excluded"] == 0 and page["common"] is None

    def find(kind):
        runs = client.get(f"/api/datasets/{made['pairs']}/places", params={"kind": kind}).json()["places"]
        return [place for first, count in runs for place in range(first, first + count)]

    assert find("text") == silent and find("before") == [ROWS] and find("needy") == [*silent, ROWS]
    assert len(find("draft")) == page["kinds"]["draft"] > 0
    refused = client.get(f"/api/datasets/{made['pairs']}/places", params={"kind": "lost"})
    assert refused.status_code == 404 and "“lost”" in refused.json()["error"]["text"]


def test_all_pairs_of_a_kind_are_left_out_swapped_and_told_by_one_request_with_one_undo(many):
    client, store, made = many
    path = f"/api/datasets/{made['pairs']}"
    places = client.get(f"{path}/places", params={"kind": "text"}).json()["places"]
    wanted = {first for first, _ in places}
    assert len(wanted) == ROWS // 10 - 1
    before = {row.id: row for row in store.index(made["pairs"]).rows()}

    def others_are_as_before():
        return all(row == before[row.id] for row in store.index(made["pairs"]).rows() if row.place not in wanted)

    for act, body in (("exclude", {"excluded": True}), ("swap", {}), ("say", {"text": "make it night"})):
        done = client.post(f"{path}/{act}", json={"places": places, **body})
        assert done.status_code == 200 and len(done.content) < KB * 1000
        rows = [row for row in store.index(made["pairs"]).rows() if row.place in wanted]
        assert all(row != before[row.id] for row in rows) and others_are_as_before()
        client.post(f"{path}/undo", json={"token": done.json()["token"]})
        now = [dataclasses.replace(row, version=1) for row in store.index(made["pairs"]).rows()]
        assert now == list(before.values())


@pytest.mark.parametrize("kind", ["pictures", "pairs"])
def test_marks_are_given_for_what_is_seen(many, kind):
    client, _, made = many
    answer = read_marks(client, made[kind], f"1+{ROWS}")
    told = answer.json()
    assert told["count"] >= ROWS - 1 and len(told["rows"]) == SEEN and len(answer.content) < KB * 1000  # twelve pictures over and over
    assert all(row["marks"] for row in told["rows"]) and told["rows"][0]["place"] == 1
    looked = client.get(f"/api/datasets/{made[kind]}/places", params={"kind": "look"}).json()["places"]
    assert sum(count for _, count in looked) == told["count"]


def test_other_words_leave_the_marks_as_they_are_and_an_excluded_picture_has_none(many):
    client, store, made = many
    dataset, path = made["pictures"], f"/api/datasets/{made['pictures']}/marks?places=5"
    before = read_marks(client, dataset, "5").json()
    row = store.index(dataset).at([5])[0]
    set_caption(store, dataset, row.id, "zog in other words", row.version)
    assert client.get(path).json() == before  # ready at once: nothing was worked out anew
    exclude_pictures(store, dataset, [row.id], excluded=True)
    after = read_marks(client, dataset, "5").json()
    assert after["rows"] == [{"place": 5, "marks": []}] and after["count"] == before["count"] - 1
    exclude_pictures(store, dataset, [row.id], excluded=False)
    assert read_marks(client, dataset, "5").json() == before


def test_a_file_that_is_gone_is_marked(client, tmp_path):
    store = client.app.state.context.datasets
    made = create_many(store, 12, "Gone")
    row = store.index(made).at([1])[0]
    assert "cannot be read" not in str(read_marks(client, made, "1").json())
    (store.workspace.dataset(made) / row.file).unlink()
    assert read_marks(client, made, "1").json()["rows"][0]["marks"] == [{"code": "broken", "icon": "alert", "text": "cannot be read"}]


def describe(client, dataset):
    """What Home, the rail, the Captions page and the Dataset page say of captions."""
    rail = client.get("/api/rail", params={"page": "dataset", "dataset": dataset}).json()["steps"]["captions"]
    home = next(d for d in client.get("/api/home").json()["works"] if d["id"] == dataset)["state"]["text"]
    numbers = client.get(f"/api/captions/{dataset}").json()["numbers"]
    kinds = client.get(f"/api/datasets/{dataset}/kinds").json()["kinds"]
    found = client.post(f"/api/captions/{dataset}/search", json={"state": "missing"}).json()["count"]
    return rail["figure"], home, numbers["missing"], numbers["wanted"], kinds["text"], found


def test_what_is_left_out_of_training_lacks_no_caption_anywhere(client):
    store = client.app.state.context.datasets
    made = create_many(store, 20, "Some excluded")  # the tenth and the twentieth have no caption
    assert describe(client, made) == ("18/20", "2 without a caption", 2, 20, 2, 2)
    rows = store.pictures(made)
    exclude_pictures(store, made, [rows[9].id], excluded=True)
    assert describe(client, made) == ("18/19", "1 without a caption", 1, 19, 1, 1)
    exclude_pictures(store, made, [rows[19].id], excluded=True)
    assert describe(client, made) == ("18", "Captions written", 0, 18, 0, 0)
    assert (store.info(made).num_silent, store.info(made).num_training, store.info(made).num_pictures) == (0, 18, 20)
    refused = client.post(f"/api/captions/{made}/job", json={"captioner": "pocket-blip"})
    assert refused.status_code == 400  # nothing is left to caption
    with store.index(made).change() as changes:
        for row in changes.rows():
            changes.put(dataclasses.replace(row, text="", text_by="", version=2))
    assert describe(client, made) == ("", "No captions yet", 18, 18, 18, 18)

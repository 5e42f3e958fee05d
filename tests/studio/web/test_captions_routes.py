"""The Captions page's routes: nothing is lost, nobody is overwritten, and what is refused says why."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from studio.datasets.samples import create_sample_dataset


@pytest.fixture
def dataset(context):
    info = create_sample_dataset(context.datasets, "zog")
    yield info.id
    context.datasets.delete(info.id)


def read(client, dataset):
    return client.get(f"/api/captions/{dataset}").json()


def save(client, dataset, picture, text, version):
    return client.put(f"/api/captions/{dataset}/pictures/{picture}", json={"text": text, "version": version})


def test_the_page_gets_every_caption_with_tokens_limit_and_job(client, dataset):
    page = read(client, dataset)
    assert len(page["pictures"]) == 12
    assert page["dataset"]["trigger_word"] == "zog"
    assert page["limit"] == 22
    assert page["exact"] is True
    assert page["job"]["state"] == "idle"
    first = page["pictures"][0]
    assert first["tokens"] == 5
    assert first["by"] == "file"


def test_a_saved_caption_is_a_persons_and_gets_a_new_version(client, dataset):
    first = read(client, dataset)["pictures"][0]
    answer = save(client, dataset, first["id"], "zog at the sea", first["version"]).json()
    assert answer["version"] > first["version"]
    now = read(client, dataset)["pictures"][0]
    assert (now["text"], now["by"], now["version"]) == ("zog at the sea", "person", answer["version"])


def test_an_old_version_is_refused_with_the_words_that_are_there_now(client, dataset):
    first = read(client, dataset)["pictures"][0]
    save(client, dataset, first["id"], "theirs", first["version"])
    answer = save(client, dataset, first["id"], "mine", first["version"])
    assert answer.status_code == 409
    assert answer.json()["error"]["theirs"]["text"] == "theirs"
    assert read(client, dataset)["pictures"][0]["text"] == "theirs"


@pytest.mark.parametrize(("text", "status"), [("x" * 2001, 422), ("zog\x00", 200)])
def test_captions_are_bounded(client, dataset, text, status):
    first = read(client, dataset)["pictures"][0]
    assert save(client, dataset, first["id"], text, first["version"]).status_code == status


@pytest.mark.parametrize("picture", ["none", "..%2F..%2Fdataset.json", "A" * 300])
def test_a_picture_that_there_is_not_is_not_found(client, dataset, picture):
    assert save(client, dataset, picture, "x", 1).status_code in (400, 404)


def test_a_page_is_told_only_what_is_new_to_it(client, dataset):
    page = read(client, dataset)
    nothing = client.get(f"/api/captions/{dataset}/changes?since={page['stamp']}").json()
    assert nothing["pictures"] == []
    first = page["pictures"][0]
    save(client, dataset, first["id"], "new", first["version"])
    news = client.get(f"/api/captions/{dataset}/changes?since={nothing['stamp']}").json()
    assert [p["id"] for p in news["pictures"]] == [first["id"]]
    assert client.get(f"/api/captions/{dataset}/changes?since={news['stamp']}").json()["pictures"] == []


def test_a_page_that_was_away_for_long_is_told_all_that_changed(client, dataset):
    page = read(client, dataset)
    for version in range(1, 4):
        save(client, dataset, page["pictures"][1]["id"], f"new {version}", version)
    save(client, dataset, page["pictures"][2]["id"], "new", page["pictures"][2]["version"])
    news = client.get(f"/api/captions/{dataset}/changes?since={page['stamp']}").json()["pictures"]
    assert [(p["id"], p["text"]) for p in news] == [(page["pictures"][1]["id"], "new 3"), (page["pictures"][2]["id"], "new")]


def test_replace_changes_what_its_preview_showed_and_undo_takes_it_back(client, dataset):
    before = [p["text"] for p in read(client, dataset)["pictures"]]
    wanted = {"find": r"on an? (\w+) background", "replace": r"before \1", "regex": True}
    preview = client.post(f"/api/captions/{dataset}/replace/preview", json=wanted).json()["changes"]
    assert [p["text"] for p in read(client, dataset)["pictures"]] == before
    token = client.post(f"/api/captions/{dataset}/replace", json=wanted).json()["token"]
    now = {p["id"]: p["text"] for p in read(client, dataset)["pictures"]}
    assert len(preview) == 12
    assert all(now[c["id"]] == c["after"] != c["before"] for c in preview)
    client.post(f"/api/captions/{dataset}/undo", json={"token": token})
    assert [p["text"] for p in read(client, dataset)["pictures"]] == before


def test_a_broken_pattern_says_at_which_field(client, dataset):
    answer = client.post(f"/api/captions/{dataset}/replace/preview", json={"find": "(", "regex": True})
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == "find"


@pytest.mark.parametrize("word", ["two words", 'zo"g', "zog,", "“zog”", "x" * 61])
def test_a_trigger_word_that_training_would_refuse_is_refused_here(client, dataset, word):
    for method, path in (("PUT", "word"), ("POST", "word")):
        answer = client.request(method, f"/api/captions/{dataset}/{path}", json={"word": word})
        assert answer.status_code == 400
        assert answer.json()["error"]["field"] == "trigger_word"
    job = client.post(f"/api/captions/{dataset}/job", json={"captioner": "pocket-blip", "trigger_word": word})
    assert job.status_code in (400, 422)


def test_naming_a_word_tells_which_captions_lack_it_and_changes_none(client, dataset):
    before = [p["text"] for p in read(client, dataset)["pictures"]]
    answer = client.put(f"/api/captions/{dataset}/word", json={"word": "zog", "place": "end"}).json()
    assert answer["count"] == 12
    assert [p["text"] for p in read(client, dataset)["pictures"]] == before
    client.post(f"/api/captions/{dataset}/word", json={"word": "zog", "place": "end"})
    assert client.put(f"/api/captions/{dataset}/word", json={"word": "zog", "place": "end"}).json()["unlike"] == []


def test_a_job_with_nothing_to_do_is_refused_with_a_reason(client, dataset):
    answer = client.post(f"/api/captions/{dataset}/job", json={"captioner": "pocket-blip", "trigger_word": "zog"})
    assert answer.status_code == 400
    assert re.search("Every picture has a caption", answer.json()["error"]["text"])


@pytest.mark.slow
def test_the_bundled_captioner_writes_what_is_missing_and_leaves_a_persons_words(client, context, dataset):
    pictures = read(client, dataset)["pictures"]
    for picture in pictures[1:]:
        save(client, dataset, picture["id"], "", picture["version"])
    assert save(client, dataset, pictures[0]["id"], "my own words", pictures[0]["version"]).status_code == 200
    job = client.post(f"/api/captions/{dataset}/job", json={"captioner": "pocket-blip", "trigger_word": "zog"}).json()["job"]
    assert job["total"] == 11
    assert context.jobs.wait(dataset, 120)["state"] == "finished"
    now = read(client, dataset)["pictures"]
    assert now[0]["text"] == "my own words"
    assert all(p["by"] == "captioner" and p["text"].startswith("zog") and "background" in p["text"] for p in now[1:])


def test_rows_are_asked_for_by_their_places(client, dataset):
    page = read(client, dataset)
    assert page["places"] == [[page["pictures"][0]["place"], 12]]
    first = page["pictures"][0]["place"]
    found = client.get(f"/api/captions/{dataset}/rows", params={"places": f"{first + 2}+2,{first + 7}"}).json()["pictures"]
    assert [p["place"] for p in found] == [first + 2, first + 3, first + 7]
    assert client.get(f"/api/captions/{dataset}/rows", params={"places": "x"}).status_code == 400


def test_a_picture_far_down_is_shown_with_its_neighbours(client, dataset):
    last = read(client, dataset)["pictures"][-1]
    page = client.get(f"/api/captions/{dataset}", params={"at": last["id"]}).json()
    assert last["id"] in [p["id"] for p in page["pictures"]]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"text": "Background"}, 12),
        ({"text": "^zog on a (red|blue) b", "expression": True}, 2),
        ({"tokens_min": 6}, 0),
        ({"by": "person"}, 0),
    ],
)
def test_search_counts_what_it_finds_and_says_where(client, dataset, wanted, count):
    found = client.post(f"/api/captions/{dataset}/search", json=wanted).json()
    assert found["count"] == count == sum(run[1] for run in found["places"])


@pytest.mark.parametrize("wanted", [{"text": "(", "expression": True}, {"score_max": 0.5}])
def test_a_search_that_cannot_be_says_why(client, dataset, wanted):
    answer = client.post(f"/api/captions/{dataset}/search", json=wanted)
    assert answer.status_code == 400 and len(answer.json()["error"]["text"]) > 20


def test_scores_narrow_a_search_as_long_as_the_words_are_those_that_were_scored(client, context, dataset):
    index = context.datasets.index(dataset)
    first, second = list(index.rows(limit=2))
    with index.change() as rows:
        rows._table.execute("CREATE TABLE caption_scores(id TEXT PRIMARY KEY, text TEXT, score REAL, scorer TEXT)")
        for row, score in ((first, 0.2), (second, 0.9)):
            rows._table.execute("INSERT INTO caption_scores VALUES (?, ?, ?, 'test')", (row.id, row.text, score))
        rows.put(second)
    places = client.post(f"/api/captions/{dataset}/search", json={"score_max": 0.5}).json()["places"]
    assert places == [[first.place, 1]] and read(client, dataset)["numbers"]["scored"] is True
    save(client, dataset, first.id, "other words", first.version)
    assert client.post(f"/api/captions/{dataset}/search", json={"score_max": 0.5}).json()["count"] == 0


def test_a_caption_comes_back_from_its_history(client, dataset):
    first = read(client, dataset)["pictures"][0]
    save(client, dataset, first["id"], "new words", first["version"])
    (entry,) = client.get(f"/api/captions/{dataset}/pictures/{first['id']}/history").json()["entries"]
    assert (entry["what"], entry["text"]) == ("hand", first["text"])
    now = client.post(f"/api/captions/{dataset}/pictures/{first['id']}/restore", json={"number": entry["number"]}).json()
    assert now["text"] == first["text"] and now["version"] > first["version"] + 1


def test_changes_of_many_are_listed_with_what_undoes_them(client, dataset):
    before = [p["text"] for p in read(client, dataset)["pictures"]]
    client.post(f"/api/captions/{dataset}/tags", json={"act": "add", "tag": "smiling"})
    (act,) = client.get(f"/api/captions/{dataset}/acts").json()["acts"]
    assert (act["what"], act["count"], act["undone"]) == ("tags", 12, False)
    assert client.post(f"/api/captions/{dataset}/undo", json={"token": act["token"]}).json()["count"] == 12
    assert [p["text"] for p in read(client, dataset)["pictures"]] == before


def test_only_selected_pictures_are_changed(client, dataset):
    place = read(client, dataset)["pictures"][4]["place"]
    for path, wanted in (
        ("replace", {"find": "background", "replace": "wall"}),
        ("tags", {"act": "add", "tag": "smiling"}),
        ("word", {"word": "zog", "place": "end"}),
    ):
        client.post(f"/api/captions/{dataset}/{path}", json={**wanted, "among": [[place, 1]]})
    texts = {p["place"]: p["text"] for p in read(client, dataset)["pictures"]}
    assert [key for key, text in texts.items() if "wall" in text or "smiling" in text or text.endswith("zog")] == [place]


def test_words_and_tags_are_counted_and_found_by_a_part_of_them(client, dataset):
    words = client.get(f"/api/captions/{dataset}/words").json()
    assert words["top"][:2] == [["background", 12], ["zog", 12]]
    tags = client.get(f"/api/captions/{dataset}/words?kind=tags&like=Purple").json()
    assert tags["top"] == [["zog on a purple background", tags["top"][0][1]]]


def test_advice_names_what_all_captions_share_and_what_the_base_model_reads(client, dataset):
    advice = client.get(f"/api/captions/{dataset}/advice").json()
    assert advice["shared"] == [{"phrase": "background", "count": 12}] and "SDXL" in advice["sentence"]
    known = client.get(f"/api/captions/{dataset}/known?word=zog").json()
    assert (known["kind"], known["drawable"], known["base"]) == ("listed", True, "pocket-sdxl")


def test_the_light_table_excludes_and_removes_by_place_and_both_steps_can_be_undone(client, dataset):
    table = client.get(f"/api/datasets/{dataset}").json()
    (run,) = table["places"]
    out = client.post(f"/api/datasets/{dataset}/exclude", json={"places": [[run[0], 2]]}).json()
    assert client.get(f"/api/datasets/{dataset}").json()["excluded"] == [[run[0], 2]]
    gone = client.post(f"/api/datasets/{dataset}/remove", json={"places": [[run[0] + 3, 9]]}).json()
    assert client.get(f"/api/datasets/{dataset}").json()["places"] == [[run[0], 3]]
    tokens = [step["token"] for step in client.get(f"/api/datasets/{dataset}/steps").json()["steps"]]
    assert tokens[:2] == [gone["token"], out["token"]]
    for token in tokens[:2]:
        client.post(f"/api/datasets/{dataset}/undo", json={"token": token})
    after = client.get(f"/api/datasets/{dataset}").json()
    assert (after["places"], after["excluded"]) == ([run], [])
    assert client.get(f"/api/datasets/{dataset}/places", params={"shape": "1:1"}).json()["places"] == [run]


TAGS = "zog, red wall, smiling, waving, at night"


def read_ahead(client, dataset, **settings):
    return client.post(f"/api/captions/{dataset}/readings", json=settings)


def test_what_training_reads_is_told_for_the_first_or_the_named_captions(client, dataset):
    for picture in read(client, dataset)["pictures"][:6]:
        save(client, dataset, picture["id"], f"{TAGS}, {picture['place']}", picture["version"])
    told = read_ahead(client, dataset).json()
    assert len(told["rows"]) == 8 and all(row["passes"] == [row["text"]] * 5 and not row["moves"] for row in told["rows"])
    settings = {"caption_dropout": "0.3", "shuffle_tags": True, "keep_tags": "2", "seed": "7"}
    told = read_ahead(client, dataset, **settings, among=[[2, 3]], passes=20).json()
    assert [row["place"] for row in told["rows"]] == [2, 3, 4] and all(row["moves"] for row in told["rows"])
    for row in told["rows"]:
        written = row["text"].split(", ")
        assert "" in row["passes"] and len(set(row["passes"])) > 4
        assert all(text.split(", ")[:2] == written[:2] and sorted(text.split(", ")) == sorted(written) for text in row["passes"] if text)
    counted = client.post(f"/api/captions/{dataset}/readings/count", json=settings).json()
    assert counted == {"written": 12, "moving": 6, "texts": 6 * 8 + len({p["text"] for p in read(client, dataset)["pictures"][6:]})}


def test_excluded_pictures_are_not_read(client, context, dataset):
    rows = list(context.datasets.index(dataset).rows())
    with context.datasets.index(dataset).change() as changes:
        changes.put(replace(rows[0], excluded=True))
    assert [row["place"] for row in read_ahead(client, dataset).json()["rows"]] == [row.place for row in rows[1:9]]


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ({"keep_tags": "-1"}, "keep_tags", "“-1”; it must be a number from 0 to 100"),
        ({"keep_tags": "two"}, "keep_tags", "“two”; it must be a whole number from 0 to 100"),
        ({"caption_dropout": "1"}, "caption_dropout", "0 to 0.9"),
        ({"seed": "-1"}, "seed", "0 to 4,294,967,295"),
    ],
)
def test_settings_that_no_training_takes_are_refused_at_their_field(client, dataset, settings, field, words):
    answer = read_ahead(client, dataset, **settings)
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == field and words in answer.json()["error"]["text"]


def test_instructions_of_pairs_are_not_shuffled(client, context):
    pairs = context.datasets.create("Pairs", kind="pairs")
    answer = read_ahead(client, pairs.id, shuffle_tags=True)
    assert answer.status_code == 400 and "read as they are written" in answer.json()["error"]["text"]
    context.datasets.delete(pairs.id)

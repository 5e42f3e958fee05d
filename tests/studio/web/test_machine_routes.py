"""What the Captions page asks about scores and candidates, and the wording that a job is given."""

from __future__ import annotations

import pytest

from studio.datasets.caption_notes import Score, note_choices, note_score
from studio.datasets.samples import create_sample_dataset


@pytest.fixture
def dataset(context):
    info = create_sample_dataset(context.datasets, "zog")
    yield info.id
    context.datasets.delete(info.id)


@pytest.fixture
def pictures(context, dataset):
    return context.datasets.pictures(dataset)


def test_before_anything_was_scored_the_page_is_told_so_and_who_could(client, dataset):
    fit = client.get(f"/api/captions/{dataset}/fit").json()
    assert (fit["scored"], fit["doubtful"], fit["worst"], fit["limit"]) == (0, 0, [], 0.5)
    assert fit["scorers"][0]["key"] == "pocket-blip" and any("GB" in m["label"] for m in fit["captioners"])


def test_the_doubtful_are_told_the_worst_first(client, context, dataset, pictures):
    with context.datasets.index(dataset).change() as rows:
        for row, value in zip(pictures[:3], (0.4, 0.9, 0.1), strict=True):
            note_score(rows, row.id, row.text, Score(value, "Salesforce/blip-itm-base-coco"))
    fit = client.get(f"/api/captions/{dataset}/fit").json()
    assert (fit["scored"], fit["doubtful"]) == (3, 2)
    assert [w["id"] for w in fit["worst"]] == [pictures[2].id, pictures[0].id]
    notes = client.get(f"/api/captions/{dataset}/pictures/{pictures[2].id}/notes").json()
    assert notes == {"choices": [], "score": {"value": 0.1, "meaning": "does not fit", "scorer": "BLIP matching base"}}


def test_the_wordings_of_a_picture_come_in_their_order(client, context, dataset, pictures):
    with context.datasets.index(dataset).change() as rows:
        note_choices(rows, pictures[0].id, ["zog at sea", "zog on a hill"])
    notes = client.get(f"/api/captions/{dataset}/pictures/{pictures[0].id}/notes").json()
    assert notes == {"choices": ["zog at sea", "zog on a hill"], "score": None}


@pytest.mark.parametrize("path", ["nobody/fit", "nobody/pictures/x/notes"])
def test_what_there_is_not_is_not_found(client, path):
    assert client.get(f"/api/captions/{path}").status_code in (400, 404)


def test_a_picture_that_there_is_not_has_no_notes(client, dataset):
    assert client.get(f"/api/captions/{dataset}/pictures/none/notes").status_code in (400, 404)


@pytest.mark.parametrize(
    ("wording", "field"),
    [({"num_beams": 40}, "num_beams"), ({"search": "luck"}, "search"), ({"what": 1}, "what"), ({"top_p": "x"}, "top_p")],
)
def test_a_wording_out_of_its_ranges_is_refused_at_its_field(client, context, dataset, pictures, wording, field):
    body = {"captioner": "pocket-blip", "wording": wording, "again": True}
    answer = client.post(f"/api/captions/{dataset}/job", json=body)
    assert answer.status_code == 400 and answer.json()["error"]["field"] == field
    assert context.jobs.status(dataset)["state"] == "idle"


@pytest.mark.slow
def test_the_bundled_captioner_scores_every_caption_and_finds_those_that_were_exchanged(client, context, dataset, pictures):
    swapped = pictures[0], pictures[1]
    for row, other in (swapped, swapped[::-1]):
        body = {"text": other.text, "version": row.version}
        assert client.put(f"/api/captions/{dataset}/pictures/{row.id}", json=body).status_code == 200
    job = client.post(f"/api/captions/{dataset}/score", json={"scorer": "pocket-blip"}).json()["job"]
    assert (job["task"], job["total"]) == ("score", 12)
    assert context.jobs.wait(dataset, 120)["state"] == "finished"
    fit = client.get(f"/api/captions/{dataset}/fit").json()
    assert fit["scored"] == 12 and {w["id"] for w in fit["worst"]} == {row.id for row in swapped}
    assert client.post(f"/api/captions/{dataset}/score", json={}).status_code == 400


@pytest.mark.slow
def test_candidates_of_the_bundled_captioner_are_there_to_choose_from(client, context, dataset, pictures):
    first = pictures[0]
    client.put(f"/api/captions/{dataset}/pictures/{first.id}", json={"text": "", "version": first.version})
    wording = {"search": "beam", "num_beams": 5, "candidates": 4, "prefix": "a photo of"}
    client.post(f"/api/captions/{dataset}/job", json={"captioner": "pocket-blip", "wording": wording})
    assert context.jobs.wait(dataset, 120)["state"] == "finished"
    choices = client.get(f"/api/captions/{dataset}/pictures/{first.id}/notes").json()["choices"]
    assert len(choices) == len(set(choices)) >= 2 and all(c.startswith("a photo of ") for c in choices)
    assert context.datasets.picture(dataset, first.id).text == choices[0]

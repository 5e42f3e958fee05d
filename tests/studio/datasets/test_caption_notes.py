"""Scores and candidates beside the rows: they count for the words that they were made for, and pages learn of them."""

from __future__ import annotations

import pytest

from backends.contract.errors import DarkroomError
from studio.datasets.caption_job import LARGE, CaptionJobs
from studio.datasets.caption_notes import (
    Score,
    count_guesses,
    count_scores,
    note_choices,
    note_score,
    read_choices,
    read_guesses,
    read_score,
    read_scores,
    worst_scores,
)
from studio.datasets.captions import set_caption
from studio.datasets.checks import check_dataset
from studio.datasets.rows import Picture
from studio.datasets.search import has_scores
from tests.studio.datasets.drawing import draw_figure, encode
from tests.studio.datasets.test_caption_job import Dictated
from tests.waiting import wait_until


@pytest.fixture
def index(store, dataset, drop):
    for n in range(4):
        drop(f"{n}.png", encode(draw_figure(n, 48)))
        set_caption(store, dataset, store.pictures(dataset)[n].id, f"words {n}", None)
    return store.index(dataset)


@pytest.fixture
def jobs(store):
    captioner = Dictated()
    made = CaptionJobs(store.workspace, captioner)
    made.dictated = captioner
    return made


def ids(index):
    return [row.id for row in index.rows()]


def score_all(index, *values):
    with index.change() as rows:
        for row, value in zip(list(index.rows()), values, strict=True):
            note_score(rows, row.id, row.text, Score(value, "blip"))


def test_before_anything_was_noted_there_is_nothing(index):
    assert read_scores(index) == {} and read_choices(index, ids(index)[0]) == [] and count_scores(index) == (0, 0)
    assert worst_scores(index, 5) == []


def test_a_score_counts_for_its_words_alone_and_again_when_they_come_back(store, dataset, index):
    score_all(index, 0.9, 0.2, 0.6, 0.4)
    first = ids(index)[0]
    assert read_score(index, first) == Score(0.9, "blip") and count_scores(index) == (4, 2)
    set_caption(store, dataset, first, "other words", None)
    assert read_score(index, first) is None and count_scores(index) == (3, 2)
    set_caption(store, dataset, first, "words 0", None)
    assert read_score(index, first) == Score(0.9, "blip")


def test_a_guess_counts_until_a_person_or_another_captioner_writes(store, dataset, index, jobs):
    for row_id in ids(index):
        set_caption(store, dataset, row_id, "", None)
    jobs.start(dataset, captioner="pocket-blip", trigger_word="zog", place="start")
    for n in range(4):
        jobs.dictated.write(n, f"a boat {n}", guess=n > 0)
    jobs.dictated.end()
    assert jobs.wait(dataset, 30)["guessed"] == 3 and count_guesses(index) == 3 and not has_scores(index)
    first, second, third, fourth = ids(index)
    finding = next(f for f in check_dataset(store, dataset).findings if f.code == "caption_guessed")
    assert finding.picture_ids == [second, third, fourth] and finding.title == "3 captions are guesses" and "Pocket BLIP" in finding.rule
    set_caption(store, dataset, second, "zog, a harbour", None)
    assert set(read_guesses(index)) == {third, fourth}
    jobs.start(dataset, captioner="Salesforce/blip-image-captioning-base", trigger_word="zog", place="start", overwrite_own=True)
    for n in range(3):
        jobs.dictated.write(n, f"a harbour {n}")
    jobs.dictated.end()
    jobs.wait(dataset, 30)
    assert read_guesses(index) == {} and "caption_guessed" not in {f.code for f in check_dataset(store, dataset).findings}


@pytest.mark.parametrize(
    ("value", "words"), [(1.0, "fits well"), (0.8, "fits well"), (0.5, "fits"), (0.49, "fits poorly"), (0.0, "does not fit")]
)
def test_a_score_says_what_it_means(value, words):
    assert Score(value, "blip").meaning == words


def test_the_worst_come_first_and_at_most_so_many(index):
    score_all(index, 0.3, 0.1, 0.9, 0.2)
    all_ids = ids(index)
    assert [row_id for row_id, _ in worst_scores(index, 10)] == [all_ids[1], all_ids[3], all_ids[0]]
    assert len(worst_scores(index, 2)) == 2


def test_pages_learn_of_a_score_and_the_row_stays_as_it_is(index):
    before, stamp = list(index.rows()), index.changed()
    score_all(index, 0.3, 0.1, 0.9, 0.2)
    assert [row.id for row in index.changed_since(stamp)] == [row.id for row in before]
    assert list(index.rows()) == before


def test_wordings_are_kept_in_their_order_and_one_alone_is_no_choice(index):
    first = ids(index)[0]
    with index.change() as rows:
        note_choices(rows, first, ["b", "a", "ü “c”"])
    assert read_choices(index, first) == ["b", "a", "ü “c”"]
    with index.change() as rows:
        note_choices(rows, first, ["b"])
    assert read_choices(index, first) == []


def test_a_change_that_fails_leaves_no_note(index):
    first = ids(index)[0]
    with pytest.raises(ZeroDivisionError), index.change() as rows:
        note_choices(rows, first, ["a", "b"])
        raise ZeroDivisionError
    assert read_choices(index, first) == []


def test_scoring_asks_for_what_has_no_score_and_notes_every_answer(store, dataset, index, jobs):
    for n, value in enumerate((0.9, 0.1, 0.5, 0.7)):
        jobs.dictated.score(n, value)
    jobs.dictated.end()
    jobs.score(dataset, scorer="some/scorer")
    assert jobs.wait(dataset, 30)["state"] == "finished"
    assert jobs.dictated.texts == [f"words {n}" for n in range(4)] and len(jobs.dictated.others) == 4
    assert [read_score(index, i).value for i in ids(index)] == [0.9, 0.1, 0.5, 0.7]
    with pytest.raises(DarkroomError, match="has its score"):
        jobs.score(dataset, scorer="some/scorer")
    set_caption(store, dataset, ids(index)[2], "new", None)
    jobs.dictated.score(0, 0.3)
    jobs.dictated.end()
    assert jobs.score(dataset, scorer="some/scorer")["total"] == 1
    assert jobs.wait(dataset, 30)["state"] == "finished" and jobs.dictated.texts == ["new"]
    assert read_score(index, ids(index)[2]).value == 0.3
    jobs.dictated.end()
    assert jobs.score(dataset, scorer="some/scorer", again=True)["total"] == 4
    jobs.wait(dataset, 30)


def test_words_that_change_while_they_are_scored_get_no_score_of_the_old_ones(store, dataset, index, jobs):
    jobs.score(dataset, scorer="some/scorer")
    wait_until(lambda: jobs.dictated.files)
    set_caption(store, dataset, ids(index)[0], "changed meanwhile", None)
    jobs.dictated.score(0, 0.9)
    jobs.dictated.end()
    jobs.wait(dataset, 30)
    assert read_score(index, ids(index)[0]) is None


def test_stopped_scoring_goes_on_with_the_rest(dataset, index, jobs):
    jobs.score(dataset, scorer="some/scorer")
    jobs.dictated.score(0, 0.9)
    wait_until(lambda: jobs.status(dataset)["done"] == 1)
    jobs.cancel(dataset)
    assert jobs.wait(dataset, 30)["state"] == "cancelled"
    jobs.dictated.end()
    resumed = jobs.resume(dataset)
    assert (resumed["total"], resumed["task"], resumed["captioner"]) == (3, "score", "some/scorer")
    jobs.wait(dataset, 30)


def test_instructions_of_pairs_are_not_scored(store, jobs):
    pairs = store.create("Pairs", "pairs").id
    with pytest.raises(DarkroomError, match="only captions of pictures"):
        jobs.score(pairs, scorer="pocket-blip")


def test_candidates_are_finished_like_the_caption_and_those_that_become_alike_stand_once(store, dataset, index, jobs):
    for row_id in ids(index):
        set_caption(store, dataset, row_id, "", None)
    jobs.dictated.offer(0, "a cat on a hill", "a dog on a hill", "a cat at sea")
    jobs.dictated.offer(1, "a dog")
    jobs.dictated.end()
    wording = {"candidates": 3, "prefix": "a photo of", "suffix": ", grainy"}
    jobs.start(dataset, captioner="blip", trigger_word="zog", wording=wording)
    jobs.wait(dataset, 30)
    first = ids(index)[0]
    assert store.picture(dataset, first).text == "a photo of zog on a hill, grainy"
    assert read_choices(index, first) == ["a photo of zog on a hill, grainy", "a photo of zog at sea, grainy"]
    assert read_choices(index, ids(index)[1]) == []
    assert jobs.dictated.wording.candidates == 3


def test_a_word_that_stands_first_stands_before_the_prefix(store, dataset, index, jobs):
    set_caption(store, dataset, ids(index)[0], "", None)
    jobs.dictated.offer(0, "a cat on a hill")
    jobs.dictated.end()
    jobs.start(dataset, captioner="blip", trigger_word="zog", place="start", wording={"prefix": "a photo of"})
    jobs.wait(dataset, 30)
    assert store.picture(dataset, ids(index)[0]).text == "zog, a photo of a cat on a hill"


def test_a_wording_out_of_range_is_refused_before_anything_starts(store, dataset, index, jobs):
    set_caption(store, dataset, ids(index)[0], "", None)
    with pytest.raises(DarkroomError, match="from 1 to 10"):
        jobs.start(dataset, captioner="blip", wording={"num_beams": 99})
    assert jobs.status(dataset)["state"] == "idle"


def test_a_job_that_goes_on_words_as_it_began(store, dataset, index, jobs):
    for row_id in ids(index):
        set_caption(store, dataset, row_id, "", None)
    jobs.start(dataset, captioner="blip", wording={"suffix": "at night", "num_beams": 4})
    jobs.dictated.write(0, "one")
    wait_until(lambda: jobs.status(dataset)["done"] == 1)
    jobs.cancel(dataset)
    jobs.wait(dataset, 30)
    for n in range(3):
        jobs.dictated.write(n, "more")
    jobs.dictated.end()
    jobs.resume(dataset)
    jobs.wait(dataset, 30)
    assert [p.text for p in store.pictures(dataset)] == ["one at night", *["more at night"] * 3]
    assert jobs.dictated.wording.num_beams == 4


def test_what_is_downloaded_is_told_until_the_first_caption(store, dataset, index, jobs):
    set_caption(store, dataset, ids(index)[0], "", None)
    jobs.start(dataset, captioner="blip")
    jobs.dictated.replies.put({"kind": "phase", "text": "Downloading BLIP: 0.31 of 0.99 GB, about 2 min left"})
    wait_until(lambda: jobs.status(dataset)["phase"])
    assert jobs.status(dataset)["phase"].startswith("Downloading BLIP: 0.31 of 0.99 GB")
    jobs.dictated.write(0, "one")
    jobs.dictated.end()
    assert jobs.wait(dataset, 30)["phase"] == ""


def test_a_large_job_writes_its_state_once_a_second_and_ends_with_all_of_it(store, dataset, index, jobs, monkeypatch):
    """With every picture it would be quadratic: the state lists what is left."""
    written = []
    monkeypatch.setattr("studio.datasets.caption_job._write", lambda path, job: written.append((job.done, len(job.waiting))))
    monkeypatch.setattr("studio.datasets.caption_job.LARGE", 3)
    for n in range(4):
        jobs.dictated.score(n, 0.5)
    jobs.dictated.end()
    jobs.score(dataset, scorer="s")
    jobs.wait(dataset, 30)
    assert written[-1] == (4, 0) and len(written) <= 3 and LARGE == 500


def test_the_check_names_captions_that_do_not_fit_and_only_where_they_were_scored(store, dataset, index):
    codes = {f.code for f in check_dataset(store, dataset).findings}
    assert "caption_misfit" not in codes
    score_all(index, 0.9, 0.12, 0.6, 0.4)
    (finding,) = [f for f in check_dataset(store, dataset).findings if f.code == "caption_misfit"]
    assert finding.picture_ids == [ids(index)[1], ids(index)[3]] and "scores 0.12" in finding.rule
    score_all(index, 0.9, 0.8, 0.6, 0.7)
    report = check_dataset(store, dataset)
    assert "caption_misfit" not in {f.code for f in report.findings} and "captions fit their pictures" in report.fine


def test_a_row_taken_out_is_not_counted(store, dataset, index):
    score_all(index, 0.1, 0.2, 0.3, 0.4)
    first: Picture = next(index.rows())
    with index.change() as rows:
        rows.remove([first.id])
    assert count_scores(index) == (3, 3) and first.id not in read_scores(index)

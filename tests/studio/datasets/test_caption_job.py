"""Captioning a data set: what is written stays, whatever happens to the captioner, the page or the studio."""

from __future__ import annotations

import queue
import subprocess
import sys
from pathlib import Path

import pytest

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets.caption_job import CaptionJobs
from studio.datasets.caption_notes import read_guesses
from studio.datasets.captions import set_caption
from studio.datasets.ingest import ingest_upload
from studio.datasets.samples import create_sample_dataset
from studio.workers.captioner import Captioner
from studio.workers.client import Cancelled
from tests.studio.datasets.drawing import draw_figure, draw_photo, encode
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]


class Dictated:
    """A captioner whose replies the test hands out one by one; it knows nothing of the data set."""

    def __init__(self) -> None:
        self.replies: queue.SimpleQueue = queue.SimpleQueue()
        self.files: list[Path] = []

    def request(self, captioner, files, wording):
        self.captioner, self.files, self.wording = captioner, files, wording
        return self

    def request_scores(self, scorer, files, texts, others):
        self.captioner, self.files, self.texts, self.others = scorer, files, texts, others
        return self

    def __iter__(self):
        while (reply := self.replies.get(timeout=30)) is not None:
            if isinstance(reply, Exception):
                raise reply
            yield reply

    def cancel(self):
        self.replies.put(Cancelled())

    def write(self, index, text, *, guess=False):
        self.replies.put({"kind": "caption", "index": index, "text": text, "guess": guess})

    def offer(self, index, *texts):
        self.replies.put({"kind": "caption", "index": index, "text": texts[0], "candidates": list(texts)})

    def score(self, index, value):
        self.replies.put({"kind": "score", "index": index, "score": value})

    def fail(self, index, text):
        self.replies.put({"kind": "broken", "index": index, "text": text})

    def end(self, error=None):
        self.replies.put(error)


@pytest.fixture
def captioner():
    return Dictated()


@pytest.fixture
def jobs(store, captioner):
    return CaptionJobs(store.workspace, captioner)


@pytest.fixture
def filled(store, dataset, drop):
    for n in range(4):
        drop(f"{n}.png", encode(draw_figure(n, 48)))
    return dataset


def texts(store, dataset):
    return [p.text for p in store.pictures(dataset)]


def test_every_picture_gets_its_caption_with_the_trigger_word(store, filled, jobs, captioner):
    for n in range(4):
        captioner.write(n, f"on hill {n}")
    captioner.end()
    jobs.start(filled, captioner="blip", trigger_word="zog")
    status = jobs.wait(filled, 30)
    assert (status["state"], status["done"], status["total"], status["failed"]) == ("finished", 4, 4, [])
    assert texts(store, filled) == [f"zog on hill {n}" for n in range(4)]
    assert {p.text_by for p in store.pictures(filled)} == {"captioner"} and store.info(filled).trigger_word == "zog"
    assert captioner.files == [store.path(filled, p.id) for p in store.pictures(filled)]


@pytest.mark.parametrize(("place", "text"), [("end", "on a hill, zog"), ("remove", "on a hill")])
def test_the_trigger_word_stands_where_it_was_asked_for(store, filled, jobs, captioner, place, text):
    captioner.write(0, "on a hill")
    captioner.end()
    jobs.start(filled, captioner="blip", trigger_word="zog", place=place)
    jobs.wait(filled, 30)
    assert texts(store, filled)[0] == text


def test_a_picture_that_fails_is_listed_and_stops_no_other(store, filled, jobs, captioner):
    captioner.write(0, "one")
    captioner.fail(1, "It could not be read.")
    captioner.write(2, "three")
    captioner.write(3, "word " * 1000)
    captioner.end()
    jobs.start(filled, captioner="blip")
    status = jobs.wait(filled, 30)
    assert (status["state"], status["done"]) == ("finished", 4)
    assert [(f["name"], f["reason"][:12]) for f in status["failed"]] == [("1.png", "It could not"), ("3.png", "The caption ")]
    assert texts(store, filled) == ["one", "", "three", ""]


def test_what_the_person_writes_meanwhile_stays(store, filled, jobs, captioner):
    jobs.start(filled, captioner="blip")
    captioner.write(0, "machine")
    wait_until(lambda: jobs.status(filled)["done"] == 1)
    set_caption(store, filled, store.pictures(filled)[1].id, "mine", 1)
    for n in (1, 2, 3):
        captioner.write(n, "machine")
    captioner.end()
    status = jobs.wait(filled, 30)
    assert (status["kept"], texts(store, filled)) == (1, ["machine", "mine", "machine", "machine"])


def test_only_empty_captions_are_written_and_on_demand_the_captioners_own_anew(store, filled, jobs, captioner):
    ids = [p.id for p in store.pictures(filled)]
    set_caption(store, filled, ids[0], "mine", None)
    set_caption(store, filled, ids[1], "old", None, by="captioner")
    captioner.end()
    assert jobs.start(filled, captioner="blip")["total"] == 2
    jobs.wait(filled, 30)
    captioner.write(0, "new")
    captioner.end()
    assert jobs.start(filled, captioner="blip", overwrite_own=True)["total"] == 3
    jobs.wait(filled, 30)
    assert texts(store, filled) == ["mine", "new", "", ""]


def test_with_nothing_left_to_write_it_says_so(store, filled, jobs):
    for picture in store.pictures(filled):
        set_caption(store, filled, picture.id, "mine", None)
    with pytest.raises(DarkroomError, match="Every picture has a caption"):
        jobs.start(filled, captioner="blip")


def test_a_second_start_is_refused_here_and_in_another_studio(store, filled, jobs, captioner):
    jobs.start(filled, captioner="blip")
    with pytest.raises(DarkroomError, match="writing already"):
        jobs.start(filled, captioner="blip")
    with pytest.raises(DarkroomError, match="Another window"):
        CaptionJobs(store.workspace, Dictated()).start(filled, captioner="blip")
    assert CaptionJobs(store.workspace, Dictated()).status(filled)["state"] in ("starting", "running")
    captioner.end()
    assert jobs.wait(filled, 30)["state"] == "finished"


def test_a_stopped_job_keeps_what_it_wrote_and_goes_on_with_the_rest(store, filled, jobs, captioner):
    jobs.start(filled, captioner="blip", trigger_word="zog")
    captioner.write(0, "one")
    wait_until(lambda: jobs.status(filled)["done"] == 1)
    jobs.cancel(filled)
    assert (jobs.wait(filled, 30)["state"], texts(store, filled)) == ("cancelled", ["zog one", "", "", ""])
    for n in range(3):
        captioner.write(n, f"later {n}")
    captioner.end()
    assert jobs.resume(filled)["total"] == 3
    assert jobs.wait(filled, 30)["state"] == "finished"
    assert texts(store, filled) == ["zog one", "zog later 0", "zog later 1", "zog later 2"]


def test_a_captioner_that_dies_is_said_with_its_reason_and_loses_nothing(store, filled, jobs, captioner):
    captioner.write(0, "one")
    captioner.end(DarkroomError("The captioner was ended by the system, most likely because memory ran out."))
    jobs.start(filled, captioner="blip")
    status = jobs.wait(filled, 30)
    assert (status["state"], status["waiting"]) == ("failed", 3) and "memory ran out" in status["reason"]
    assert texts(store, filled)[0] == "one"


def test_an_unforeseen_fault_is_a_failed_job_and_not_a_silent_one(filled, jobs, captioner):
    captioner.end(KeyError("surprise"))
    jobs.start(filled, captioner="blip")
    assert jobs.wait(filled, 30)["state"] == "failed"


def test_time_left_is_told_from_the_second_picture_on(filled, jobs, captioner):
    jobs.start(filled, captioner="blip")
    captioner.write(0, "one")
    wait_until(lambda: jobs.status(filled)["done"] == 1)
    assert jobs.status(filled)["seconds_left"] is None
    captioner.write(1, "two")
    wait_until(lambda: jobs.status(filled)["done"] == 2)
    assert jobs.status(filled)["seconds_left"] >= 0
    captioner.end()
    assert jobs.wait(filled, 30)["seconds_left"] is None


def test_without_a_job_it_is_idle_and_a_damaged_state_counts_as_none(store, filled, jobs):
    assert jobs.status(filled)["state"] == "idle"
    (store.workspace.dataset(filled) / "caption_job.json").write_text("{")
    assert jobs.status(filled)["state"] == "idle"
    with pytest.raises(DarkroomError, match="Start a new one"):
        jobs.resume(filled)


STUDIO = """
import sys
from tests.studio.datasets.test_caption_job import Dictated
from studio.datasets.caption_job import CaptionJobs
from studio.workspace import open_workspace
captioner = Dictated()
jobs = CaptionJobs(open_workspace(sys.argv[1]), captioner)
captioner.write(0, "one")
jobs.start(sys.argv[2], captioner="blip")
print("started", flush=True)
sys.stdin.read()
"""


def test_a_studio_killed_while_it_writes_leaves_an_interrupted_job_that_goes_on(store, filled, jobs, captioner):
    command = [sys.executable, "-c", STUDIO, str(store.workspace.root), filled]
    other = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"started\n"
    wait_until(lambda: jobs.status(filled)["done"] == 1)
    assert jobs.status(filled)["state"] == "running"
    other.kill()
    other.wait()
    assert jobs.status(filled)["state"] == "interrupted"
    captioner.end()
    assert jobs.resume(filled)["total"] == 3
    jobs.wait(filled, 30)
    assert texts(store, filled)[0] == "one"


@pytest.mark.slow
def test_the_pocket_captioner_captions_the_samples_and_says_where_it_guesses(store, tmp_path):
    dataset = create_sample_dataset(store, "zog").id
    for picture in store.pictures(dataset)[:2]:
        set_caption(store, dataset, picture.id, "", None)
    source = tmp_path / "photo.jpg"
    source.write_bytes(encode(draw_photo(1, 512), "JPEG", quality=90))
    ingest_upload(store, dataset, "photo.jpg", source)
    captioner = Captioner(store.workspace)
    try:
        jobs = CaptionJobs(store.workspace, captioner)
        jobs.start(dataset, captioner="pocket-blip", trigger_word="zog")
        assert jobs.wait(dataset, 300)["state"] == "finished"
    finally:
        captioner.release()
    *written, photo = [store.pictures(dataset)[place] for place in (0, 1, 12)]
    assert read_guesses(store.index(dataset)) == {photo.id: "pocket-blip"}  # it knows drawings, and says so
    assert all(p.text.startswith("zog") and ("purple" in p.text or "green" in p.text) for p in written)
    assert files.read_json(store.workspace.dataset(dataset) / "caption_job.json")["state"] == "finished"

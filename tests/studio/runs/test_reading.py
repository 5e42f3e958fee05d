"""A start reads a data set once, tells how far it is, can be stopped anywhere, and freezes the same as without being watched."""

from __future__ import annotations

import json
import shutil

import pytest

from studio.datasets.checks import placing
from studio.datasets.index import PictureIndex
from studio.datasets.samples import create_sample_dataset
from studio.datasets.store import DatasetStore
from studio.datasets.tokens import load_counter
from studio.datasets.watch import Stopped, Watch
from studio.runs.control import begin_run
from studio.runs.preflight import preflight_launch
from studio.runs.presets import find_preset
from studio.runs.reading import Reading
from studio.runs.store import RunStore
from studio.workspace import open_workspace
from tests.studio.datasets.many import caption, create_many

KEY = "text_to_image/pocket_subject"
PARTS = ["Reading ", "Looking at the files of ", "Looking at ", "Looking for near copies", "Writing the report"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A workspace with a data set of 2,000 rows of which all have captions."""
    workspace = open_workspace(tmp_path_factory.mktemp("reading"))
    store = DatasetStore(workspace)
    made = create_many(store, 2000)
    with store.index(made).change() as rows:
        for row in list(rows.rows()):
            if not row.text:
                rows.say(row, "zog without a number", "person")
    return workspace, made


def prepare(place, reading):
    workspace, made = place
    preset = find_preset(KEY)
    checked, launch = preflight_launch(workspace, made, preset.backend, preset.values_for("zog"), {}, reading)
    assert checked.faults == []
    return {"dataset_id": made, "preset_key": KEY, "name": "read", "backend": preset.backend, "config": checked.config, "launch": launch}


def create(place, reading):
    return RunStore(place[0]).create(**prepare(place, reading), reading=reading)


def test_it_tells_what_it_does_and_how_far_it_is_and_never_goes_back(place):
    told = []
    reading = Reading(Watch(lambda watch: told.append((watch.what, watch.done, watch.total, watch.part))))
    run = create(place, reading)
    RunStore(place[0]).delete(run.id)
    whats = list(dict.fromkeys(what for what, *_ in told))
    assert [next(p for p in PARTS if what.startswith(p)) for what in whats] == PARTS
    assert "Reading 2,000 pictures" in whats
    parts = [part for *_, part in told]
    assert parts == sorted(parts) and parts[0] == 0.0 and 0.8 < parts[-1] <= 1.0
    assert all(0 <= done <= total for _, done, total, _ in told if total) and len(told) > 20


@pytest.mark.parametrize("part", PARTS)
def test_stopped_at_any_part_it_leaves_nothing_and_begins_anew_afterwards(place, part):
    watch = Watch(lambda told: told.stop() if next(p for p in PARTS if told.what.startswith(p)) == part else None)
    before = sorted(path.name for path in place[0].runs.iterdir())
    shutil.rmtree(place[0].cache / "twins", ignore_errors=True)  # copies that are known are not looked for
    with pytest.raises(Stopped):
        reading = Reading(watch)
        begin_run(place[0], **prepare(place, reading), reading=reading)
    assert sorted(path.name for path in place[0].runs.iterdir()) == before
    again = create(place, Reading())
    RunStore(place[0]).delete(again.id)


def test_a_watched_start_freezes_what_an_unwatched_one_does(place):
    runs = RunStore(place[0])
    wanted = prepare(place, Reading())
    one, other = runs.create(**wanted), create(place, Reading(Watch()))
    folders = [place[0].runs / run.id for run in (one, other)]
    lines = [(folder / "manifest.jsonl").read_text("utf-8") for folder in folders]
    reports = [json.loads((folder / "dataset_report.json").read_text("utf-8")) for folder in folders]
    for report in reports:
        del report["created"]
    assert lines[0] == lines[1] and lines[0].count("\n") == 2000 and reports[0] == reports[1]
    assert all(line["file"].startswith("/") for line in map(json.loads, lines[0].splitlines()))
    for run in (one, other):
        runs.delete(run.id)


def test_the_rows_are_read_once_for_all_that_looks_at_them(place, monkeypatch):
    reads = []
    rows = PictureIndex.rows
    monkeypatch.setattr(PictureIndex, "rows", lambda self, **kw: reads.append(kw.get("limit")) or rows(self, **kw))
    RunStore(place[0]).delete(create(place, Reading()).id)
    assert reads.count(None) == 1  # the others ask for a first row or two


def test_a_file_that_was_touched_or_is_gone_stops_the_start(tmp_path):
    workspace = open_workspace(tmp_path)
    store = DatasetStore(workspace)
    made = create_sample_dataset(store, "zog").id
    rows = store.pictures(made)
    files = [store.workspace.dataset(made) / row.file for row in rows[:2]]
    files[0].write_bytes(files[0].read_bytes() + b"x")
    files[1].unlink()
    preset = find_preset(KEY)
    reading = Reading()
    checked, _ = preflight_launch(workspace, made, preset.backend, preset.values_for("zog"), {}, reading)
    (fault,) = [fault.text for fault in checked.faults if "gone or damaged" in fault.text]
    assert fault.startswith("2 of ") and rows[0].name in fault and rows[1].name in fault and not reading.whole


@pytest.mark.parametrize("base", ["pocket-sdxl", "pocket-flux"])
def test_what_may_be_too_long_is_never_passed_over(base):
    counter = load_counter(base)
    texts = [caption(n) for n in range(200)] + ["x " * n for n in range(300)] + ["İ" * 40, "a" * 80, "?!" * 40, "\ufdfa" * 30, ""]
    assert [text for text in texts if counter.count(text) > counter.limit and not counter.may_exceed(text)] == []
    assert any(counter.may_exceed(text) for text in texts) and not counter.may_exceed("a short one")


def test_each_size_is_placed_once(monkeypatch):
    from backends.contract.buckets import compute_buckets

    place = placing(compute_buckets(512))
    assert place(640, 480) is place(640, 480) and place(640, 480) != place(480, 640)

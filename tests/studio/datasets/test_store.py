"""Data sets on disk: names, order, thumbnails, removal and its undo, damage by hand, many writers at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from backends.contract.errors import DarkroomError
from studio.datasets.captions import set_caption
from studio.datasets.store import DatasetStore
from studio.workspace import open_workspace
from tests.studio.datasets.drawing import draw_corners, draw_figure, encode, encode_with_orientation

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def filled(store, dataset, drop):
    for n in range(6):
        drop(f"{n}.png", encode(draw_figure(n, 48)))
    return dataset


def names(store, dataset):
    return [p.name for p in store.pictures(dataset)]


def test_a_new_data_set_is_empty_and_found_again(store):
    made = store.create("Zog the mascot")
    assert (made.id, made.name, made.kind) == ("zog-the-mascot", "Zog the mascot", "pictures")
    assert (made.num_pictures, made.cover, made.trigger_word) == (0, None, "")
    assert store.list() == [made] and store.info(made.id) == made


def test_two_of_one_name_have_two_ids(store):
    assert [store.create("Zog").id, store.create("Zog").id] == ["zog", "zog-2"]


@pytest.mark.parametrize("name", ["", "   ", "\n", "x" * 81])
def test_a_name_must_be_there_and_short(store, name):
    with pytest.raises(DarkroomError, match="1 to 80"):
        store.create(name)


def test_an_unknown_kind_is_refused(store):
    with pytest.raises(DarkroomError, match="kind"):
        store.create("x", kind="videos")


@pytest.mark.parametrize("bad", ["../x", "", "A", ".", "a/b", "zog\0", "x" * 65, "missing"])
def test_an_id_never_becomes_a_path(store, bad):
    for ask in (store.info, store.pictures, store.fingerprint, store.delete):
        with pytest.raises(DarkroomError):
            ask(bad)


def test_pictures_come_in_pages(store, filled):
    whole = store.pictures(filled)
    assert [store.pictures(filled, 0, 2), store.pictures(filled, 2, 2), store.pictures(filled, 4)] == [whole[:2], whole[2:4], whole[4:]]


def test_renaming_and_the_trigger_word_touch_no_picture(store, filled):
    before = store.pictures(filled)
    info = store.update(filled, name="New", trigger_word=" zog ")
    assert (info.name, info.trigger_word, store.pictures(filled)) == ("New", "zog", before)


def test_removed_pictures_come_back_where_they_stood_with_their_captions(store, filled):
    before = store.pictures(filled)
    set_caption(store, filled, before[1].id, "words", 1)
    before = store.pictures(filled)
    token = store.remove(filled, [before[1].id, before[4].id])
    assert names(store, filled) == ["0.png", "2.png", "3.png", "5.png"]
    assert store.undo(filled, token) == 2 and store.pictures(filled) == before
    with pytest.raises(DarkroomError, match="undone already"):
        store.undo(filled, token)


def test_two_removals_can_be_undone_in_either_order(store, filled):
    before = store.pictures(filled)
    first, second = store.remove(filled, [before[0].id]), store.remove(filled, [before[5].id])
    store.undo(filled, first)
    store.undo(filled, second)
    assert store.pictures(filled) == before


def test_removing_what_is_not_there_changes_nothing(store, filled):
    before = store.pictures(filled)
    with pytest.raises(DarkroomError, match="no picture"):
        store.remove(filled, [before[0].id, "0" * 24])
    assert store.pictures(filled) == before


def test_a_removed_pictures_file_stays_for_the_run_that_reads_it_and_goes_with_the_trash(store, filled):
    first = store.pictures(filled)[0]
    path = store.path(filled, first.id)
    store.remove(filled, [first.id])
    assert path.is_file() and store.empty_trash(filled) == 0
    assert store.empty_trash(filled, older_than_s=0) == 1 and not path.exists()
    assert all(store.path(filled, p.id).is_file() for p in store.pictures(filled))


def test_a_removed_picture_can_be_dropped_again_and_the_undo_then_adds_no_second(store, filled, drop):
    first = store.pictures(filled)[0]
    token = store.remove(filled, [first.id])
    assert drop("0.png", encode(draw_figure(0, 48)))[0].accepted
    assert store.undo(filled, token) == 0 and len(store.pictures(filled)) == 6


def test_deleting_leaves_nothing_behind(store, filled):
    store.delete(filled)
    assert store.list() == [] and list(store.workspace.temporary.iterdir()) == []
    assert not (store.workspace.datasets / filled).exists()


@pytest.mark.parametrize("size", [192, 384, 768])
def test_a_thumbnail_is_an_upright_webp_of_the_asked_size(store, dataset, drop, size):
    (outcome,) = drop("a.jpg", encode_with_orientation(draw_corners(1200, 800), 6))
    path = store.thumbnail(dataset, outcome.picture_id, size)
    with Image.open(path) as image:
        assert (image.format, max(image.size), image.size[0] < image.size[1]) == ("WEBP", size, True)
    assert store.thumbnail(dataset, outcome.picture_id, size) == path


@pytest.mark.parametrize("size", [192, 768])
def test_a_thumbnail_that_a_power_cut_left_empty_is_made_again(store, filled, size):
    picture = store.pictures(filled)[0]
    with Image.open(store.thumbnail(filled, picture.id, size)) as image:
        shown = image.size
    for path in (store.workspace.cache / "thumbs").rglob("*.webp"):
        path.write_bytes(b"")
    with Image.open(store.thumbnail(filled, picture.id, size)) as image:
        assert image.size == shown


def test_a_thumbnail_is_never_larger_than_its_picture(store, filled):
    with Image.open(store.thumbnail(filled, store.pictures(filled)[0].id, 768)) as image:
        assert image.size == (48, 48)


def test_an_emptied_cache_is_made_again_and_a_lost_picture_is_said(store, filled):
    import shutil

    picture = store.pictures(filled)[0]
    assert store.thumbnail(filled, picture.id, 192).is_file()
    shutil.rmtree(store.workspace.cache)
    assert store.thumbnail(filled, picture.id, 192).is_file()
    shutil.rmtree(store.workspace.cache / "thumbs")
    store.path(filled, picture.id).write_bytes(b"gone")
    with pytest.raises(DarkroomError, match="gone or damaged"):
        store.thumbnail(filled, picture.id, 192)
    with pytest.raises(DarkroomError, match="no thumbnail of 200 px"):
        store.thumbnail(filled, picture.id, 200)


def test_a_fingerprint_follows_pictures_captions_and_trigger_word(store, filled):
    seen = [store.fingerprint(filled)]
    set_caption(store, filled, store.pictures(filled)[0].id, "x", 1)
    seen.append(store.fingerprint(filled))
    store.update(filled, trigger_word="zog")
    seen.append(store.fingerprint(filled))
    store.remove(filled, [store.pictures(filled)[2].id])
    seen.append(store.fingerprint(filled))
    assert len(set(seen)) == 4
    store.update(filled, name="Only another name")
    assert store.fingerprint(filled) == seen[-1]


def test_twenty_threads_save_captions_and_none_is_lost(store, filled):
    ids = [p.id for p in store.pictures(filled)]
    start = threading.Barrier(20)

    def save(worker: int) -> None:
        start.wait()
        for turn in range(10):
            set_caption(store, filled, ids[worker % len(ids)], f"{worker} {turn}", None)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(save, range(20)))
    fresh = DatasetStore(store.workspace).pictures(filled)
    assert [p.id for p in fresh] == ids and sum(p.version - 1 for p in fresh) == 200
    assert fresh == store.pictures(filled)


WRITER = """
import sys
from studio.datasets.captions import set_caption
from studio.datasets.store import DatasetStore
from studio.workspace import open_workspace
store = DatasetStore(open_workspace(sys.argv[1]))
ids = [p.id for p in store.pictures(sys.argv[2])]
for turn in range(40):
    set_caption(store, sys.argv[2], ids[turn % len(ids)], f"{sys.argv[3]} {turn}", None)
"""


def test_two_processes_save_captions_and_none_is_lost(store, filled):
    command = [sys.executable, "-c", WRITER, str(store.workspace.root), filled]
    running = [subprocess.Popen([*command, name], cwd=ROOT) for name in ("app", "cli")]
    for turn in range(40):
        set_caption(store, filled, store.pictures(filled)[turn % 6].id, f"here {turn}", None)
    assert [process.wait(60) for process in running] == [0, 0]
    assert sum(p.version - 1 for p in store.pictures(filled)) == 120


def test_a_writer_killed_at_any_moment_leaves_a_list_that_reads(store, filled):
    command = [sys.executable, "-c", WRITER.replace("range(40)", "range(100000)"), str(store.workspace.root), filled, "x"]
    for target in (1, 5):
        process = subprocess.Popen(command, cwd=ROOT)
        while sum(p.version - 1 for p in DatasetStore(store.workspace).pictures(filled)) < target * 20:
            assert process.poll() is None
        process.kill()
        process.wait()
        assert len(DatasetStore(open_workspace(store.workspace.root)).pictures(filled)) == 6
    set_caption(store, filled, store.pictures(filled)[0].id, "after", None)  # and no lock is left behind

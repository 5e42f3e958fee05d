"""What captions read before: kept for each, undone as one, bounded, and never lost to another page."""

from __future__ import annotations

import sqlite3
import time

import pytest

from backends.contract.errors import DarkroomError
from studio.datasets import captions, history
from studio.datasets.captions import CaptionConflict, set_caption
from studio.datasets.history import Cause
from studio.datasets.store import DatasetStore
from studio.datasets.table import TABLE
from tests.studio.datasets.many import caption, create_many


@pytest.fixture
def many(store):
    return create_many(store, 40)


def texts(store, dataset):
    return [row.text for row in store.index(dataset).rows()]


def first(store, dataset):
    return next(store.index(dataset).rows())


def write(store, dataset, text, writer="one"):
    row = first(store, dataset)
    return set_caption(store, dataset, row.id, text, row.version, cause=Cause("hand", writer=writer))


def read(store, dataset):
    return [(entry.what, entry.text) for entry in captions.caption_history(store, dataset, first(store, dataset).id)]


def test_what_one_page_types_is_one_change_and_what_two_pages_type_are_two(store, many):
    for text in ("z", "zo", "zog waves"):
        write(store, many, text)
    assert read(store, many) == [("hand", caption(0))]
    write(store, many, "zog sleeps", writer="two")
    write(store, many, "zog sleeps well", writer="two")
    assert read(store, many) == [("hand", "zog waves"), ("hand", caption(0))]


def test_words_that_were_refused_are_kept_aside_once(store, many):
    row = first(store, many)
    write(store, many, "theirs", writer="two")
    for _ in range(2):
        with pytest.raises(CaptionConflict):
            set_caption(store, many, row.id, "mine", row.version)
    assert read(store, many) == [("aside", "mine"), ("hand", caption(0))]
    assert first(store, many).text == "theirs"


def test_any_older_caption_comes_back_and_the_newer_one_stays_in_the_history(store, many):
    write(store, many, "second")
    write(store, many, "third", writer="two")
    oldest = captions.caption_history(store, many, first(store, many).id)[-1]
    captions.restore_caption(store, many, first(store, many).id, oldest.number)
    assert first(store, many).text == caption(0)
    assert read(store, many)[0] == ("restore", "third")
    with pytest.raises(DarkroomError, match="no longer kept"):
        captions.restore_caption(store, many, first(store, many).id, 10**6)


def test_changes_of_many_are_listed_and_undone_by_another_process_later(store, many):
    before = texts(store, many)
    captions.replace(store, many, "wooden", "iron")
    captions.replace(store, many, "iron table", "chair")
    later = DatasetStore(store.workspace)  # as after a reload, or a restart of the studio
    newest, older = captions.list_changes(later, many)
    assert (newest.detail, newest.count, newest.undone) == ("“iron table” becomes “chair”", 36, False)
    for act in (newest, older):
        assert captions.undo(later, many, act.token) == 36
    assert texts(later, many) == before
    assert [act.undone for act in captions.list_changes(later, many)] == [True, True]
    with pytest.raises(DarkroomError, match="no longer be undone"):
        captions.undo(later, many, newest.token)


def test_undo_leaves_what_was_edited_since_and_can_be_read_in_the_history(store, many):
    token = captions.replace(store, many, "zog", "bob")
    write(store, many, "edited since")
    assert captions.undo(store, many, token) == 35
    assert texts(store, many) == ["edited since", *(caption(n) for n in range(1, 40))]


def test_the_history_is_bounded_by_what_it_holds(store, many, monkeypatch):
    monkeypatch.setattr(history, "KEPT_BYTES", 20_000)
    for n in range(20):
        captions.replace(store, many, "table" if n % 2 == 0 else "chair", "chair" if n % 2 == 0 else "table")
    with sqlite3.connect(store.workspace.dataset(many) / TABLE) as table:
        (size,) = table.execute("SELECT sum(length(text) + 120) FROM history").fetchone()
    assert 10_000 < size <= 20_000
    acts = captions.list_changes(store, many)
    assert 0 < len(acts) < 20
    assert captions.undo(store, many, acts[0].token) == 36  # the newest is whole
    forgotten = f"caption-{acts[-1].act - 1}"
    with pytest.raises(DarkroomError, match="no longer be undone"):
        captions.undo(store, many, forgotten)


def test_a_table_of_a_former_version_gets_a_history(store, many):
    path = store.workspace.dataset(many) / TABLE
    with sqlite3.connect(path) as table:
        for statement in ("DROP TABLE history", "DROP TABLE acts", "DROP INDEX rows_by", "ALTER TABLE counter DROP COLUMN born"):
            table.execute(statement)
        for statement in ("DROP INDEX rows_judges", "ALTER TABLE rows DROP COLUMN judges"):  # which came later
            table.execute(statement)
        table.execute("PRAGMA user_version = 2")
    write(store, many, "new")
    assert read(store, many) == [("hand", caption(0))]


def test_words_that_come_as_files_are_in_the_history_too(store, dataset, drop):
    from tests.studio.datasets.drawing import draw_figure, encode  # noqa: PLC0415

    drop("0.png", encode(draw_figure(0, 48)))
    drop("0.txt", b"from a file")
    assert read(store, dataset)[0] == ("file", "")


def test_an_edit_costs_no_more_among_twenty_thousand_than_among_twenty(store):
    """By the processor's time of this thread, so that a busy machine is not a slow one."""
    costs = []
    for count in (20, 20_000):
        dataset = create_many(store, count, f"Of {count}")
        row, takes = store.index(dataset).at([count // 2])[0], []
        for take in range(15):
            begun = time.thread_time()
            set_caption(store, dataset, row.id, f"zog, take {take}", None)
            takes.append(time.thread_time() - begun)
        costs.append(sorted(takes)[7])
    assert costs[1] < 3 * costs[0] and costs[1] < 0.1

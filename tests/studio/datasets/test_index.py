"""The table of rows: what is read in parts, looked up, and changed all or not at all."""

from __future__ import annotations

import dataclasses
import multiprocessing
import sqlite3

import pytest

from backends.contract.errors import DarkroomError
from studio.datasets.index import PictureIndex
from studio.datasets.rows import ImageFile, Picture, make_pair


def picture(number: int, text: str = "") -> Picture:
    return Picture(
        f"id{number}", f"Name {number}.png", f"images/id{number}.png", 64, 48, 100, text, "person" if text else "", 1, f"sha{number}"
    )


def side(name: str, *, here: bool = True) -> ImageFile:
    return ImageFile(f"id-{name}", name, f"images/{name}", 64, 48, 100, f"sha-{name}") if here else ImageFile(name=name)


@pytest.fixture
def index(tmp_path):
    return PictureIndex(tmp_path)


def fill(index, count, start=0):
    with index.change() as rows:
        for number in range(start, start + count):
            rows.add(picture(number))


def test_rows_come_in_their_order_whatever_part_is_asked_for(index):
    fill(index, 1203)  # more than two parts
    assert [row.id for row in index.rows()] == [f"id{n}" for n in range(1203)]
    assert [row.id for row in index.rows(offset=497, limit=510)] == [f"id{n}" for n in range(497, 1007)]
    assert [row.id for row in index.rows(offset=1200, limit=10)] == ["id1200", "id1201", "id1202"]
    assert list(index.rows(offset=1203)) == [] and list(index.rows(limit=0)) == []


def test_ids_are_told_of_any_number_of_places_without_those_where_nothing_stands(index):
    fill(index, 1203)
    with index.change() as rows:
        rows.remove(["id5"])
    assert index.ids(range(1, 3000)) == [f"id{n}" for n in range(1203) if n != 5]
    assert index.ids([6]) == [] and index.ids([]) == []


def test_a_row_written_without_its_files_keeps_them(index):
    fill(index, 2)
    row = index.get("id1")
    with index.change() as rows:
        rows.put(dataclasses.replace(row, excluded=True, file="images/other.png"), files=False)
    assert index.get("id1") == dataclasses.replace(row, excluded=True)
    assert [changed.id for changed in index.changed_since(1)] == ["id1"]


def test_what_was_written_is_what_is_read(index):
    pair = make_pair("p", "a pair", side("a.png"), side("b.png"), ("make it night", "draft", 3))
    half = make_pair("h", "half", ImageFile(), side("c.png"))
    with index.change() as rows:
        for row in (picture(1, "words"), pair, half):
            rows.add(row)
    assert list(index.rows()) == [picture(1, "words"), pair, half]
    assert index.get("p") == pair and index.get("x") is None
    assert index.image("id-b.png") == pair.after and index.image("id1") == picture(1).images[0] and index.image("") is None
    assert index.named("NAME 1.PNG") == picture(1, "words")


def test_what_never_came_is_counted_and_not_shown(index):
    with index.change() as rows:
        rows.add(make_pair("p", "p", side("a.png"), side("b.png"), ("x", "file", 1)))
        rows.add(make_pair("q", "q", side("c.png", here=False), side("d.png", here=False), ("y", "file", 1)))
        rows.add(make_pair("r", "r", side("e.png"), side("f.png", here=False)))
    assert [row.id for row in index.rows()] == ["p", "r"]
    assert dataclasses.astuple(index.numbers()) == (2, 1, 1, 1, 0, 0, 0)


def test_a_change_that_fails_has_not_happened(index):
    fill(index, 3)
    before = index.changed()
    with pytest.raises(RuntimeError), index.change() as rows:
        rows.remove(["id0"])
        rows.put(dataclasses.replace(picture(1), text="half done"))
        raise RuntimeError
    assert list(index.rows()) == [picture(n) for n in range(3)] and index.changed() == before


def test_a_row_that_comes_back_stands_where_it_stood(index):
    fill(index, 5)
    with index.change() as rows:
        place = rows.place("id1")
        rows.remove(["id1", "id4"])
    fill(index, 1, start=5)  # takes nobody's place
    with index.change() as rows:
        rows.add(picture(1), place)
    assert [row.id for row in index.rows()] == ["id0", "id1", "id2", "id3", "id5"]


def test_only_what_changed_since_is_told(index):
    fill(index, 600)
    stamp = index.changed()
    assert list(index.changed_since(stamp)) == []
    with index.change():
        pass  # nothing was changed
    assert index.changed() == stamp
    with index.change() as rows:
        rows.put(dataclasses.replace(picture(7), text="new"))
        rows.add(picture(600))
    assert [row.id for row in index.changed_since(stamp)] == ["id7", "id600"]
    assert len(list(index.changed_since(0))) == 601


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("in/001.png", {"one", "bare"}),
        ("IN/001.PNG", {"one", "bare"}),
        ("001.png", {"one", "two", "bare"}),
        ("set/in/001.png", {"one", "bare"}),
        ("x001.png", set()),
        ("1.png", set()),
        ("other/002.png", {"late"}),
    ],
)
def test_a_file_is_found_by_its_name_with_more_or_fewer_folders(index, asked, found):
    with index.change() as rows:
        for row_id, name in (("one", "in/001.png"), ("two", "out/001.png"), ("bare", "001.png"), ("three", "in/0001.png")):
            rows.add(make_pair(row_id, row_id, side(name), ImageFile()))
        rows.add(make_pair("late", "late", side("002.png", here=False), side("z.png")))
        assert {row.id for row in rows.with_file(asked)} == found
        assert {row.id for row in rows.with_file(asked, "after")} == set()
        assert {row.id for row in rows.with_file(asked, awaited=True)} == found & {"late"}


def _add_fifty(folder, start):
    index = PictureIndex(folder)
    for number in range(start, start + 50):
        fill(index, 1, start=number)


def test_two_processes_that_write_lose_nothing(index, tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_add_fifty, args=(tmp_path, start)) for start in (0, 1000)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert {row.id for row in index.rows()} == {f"id{n}" for start in (0, 1000) for n in range(start, start + 50)}


def test_a_reader_in_the_middle_keeps_no_writer_waiting(index, tmp_path):
    fill(index, 1200)
    reading = index.rows()
    next(reading)
    with sqlite3.connect(tmp_path / "rows.sqlite", timeout=0) as other:  # would be told at once that the table is locked
        other.execute("UPDATE rows SET text = 'x' WHERE id = 'id1100'")
    other.close()
    assert [row.text for row in reading if row.id == "id1100"] == ["x"]


@pytest.mark.parametrize("content", [b"no table at all, but text that stands here" * 40, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_table_is_said_with_the_way_out(index, content):
    index.path.write_bytes(content)
    with pytest.raises(DarkroomError, match="is damaged. Bring it back from a backup"):
        list(index.rows())
    assert index.path.read_bytes() == content  # nothing is made worse

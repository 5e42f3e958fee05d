"""Who judges because a person says so: a mark on a row, one step to undo, kept through everything that arranges rows."""

from __future__ import annotations

import sqlite3

import pytest

from studio.datasets.checks import check_dataset, gather_known_facts
from studio.datasets.dividing import Cut, split_dataset
from studio.datasets.edit_pictures import edit_pictures, exclude_pictures
from studio.datasets.edits import Edit
from studio.datasets.ingest import ingest_folder
from studio.datasets.judges import list_judges, mark_judges
from studio.datasets.kinds import count_kinds
from studio.datasets.merging import copy_dataset, merge_datasets
from studio.datasets.report import read_report
from studio.datasets.report_page import render_report
from studio.datasets.rows import from_plain, to_plain
from studio.datasets.table import TABLE
from tests.studio.datasets.drawing import draw_photo, encode
from tests.studio.datasets.faults import copy
from tests.studio.datasets.many import create_many
from tests.studio.datasets.pairs import write_folders


@pytest.fixture
def twelve(store, dataset, drop):
    """Twelve pictures with a near copy of the first two; the ids in their order."""
    for seed in range(10):
        drop(f"{seed}.png", encode(draw_photo(seed, 96)))
    for seed in range(2):
        drop(f"copy {seed}.png", copy(draw_photo(seed, 96), 0))
    return [row.id for row in store.pictures(dataset)]


def judging(store, dataset):
    return [row.name for row in list_judges(store, dataset)]


def test_marks_of_many_are_one_step_to_undo(store, dataset, twelve):
    token = mark_judges(store, dataset, twelve[:3], judges=True)
    assert judging(store, dataset) == ["0.png", "1.png", "2.png"] and store.info(dataset).num_judges == 3
    back = mark_judges(store, dataset, twelve[1:5], judges=False)
    assert judging(store, dataset) == ["0.png"]
    assert store.undo(dataset, back) == 2
    assert judging(store, dataset) == ["0.png", "1.png", "2.png"]
    assert store.undo(dataset, token) == 3 and judging(store, dataset) == []


def test_undo_gives_back_the_mark_alone(store, dataset, twelve):
    token = mark_judges(store, dataset, twelve[:1], judges=True)
    exclude_pictures(store, dataset, twelve[:1], excluded=True)
    edit_pictures(store, dataset, {twelve[0]: Edit(turns=1)})
    store.undo(dataset, token)
    (row, *_) = store.pictures(dataset)
    assert (row.judges, row.excluded, bool(row.edit)) == (False, True, True)


def test_what_is_excluded_keeps_its_mark_and_judges_nothing(store, dataset, twelve):
    mark_judges(store, dataset, twelve[:2], judges=True)
    exclude_pictures(store, dataset, twelve[:1], excluded=True)
    assert judging(store, dataset) == ["1.png"] and count_kinds(store.index(dataset))["judges"] == store.info(dataset).num_judges == 1
    assert store.picture(dataset, twelve[0]).judges
    exclude_pictures(store, dataset, twelve[:1], excluded=False)
    assert judging(store, dataset) == ["0.png", "1.png"]


def test_a_row_keeps_its_mark_as_a_line_through_edits_and_through_the_trash(store, dataset, twelve):
    mark_judges(store, dataset, twelve[:1], judges=True)
    edit_pictures(store, dataset, {twelve[0]: Edit(mirrored=True)})
    (row, *_) = store.pictures(dataset)
    assert row.judges and from_plain(to_plain(row)) == row
    store.undo(dataset, store.remove(dataset, twelve[:1]))
    assert judging(store, dataset) == ["0.png"]


def test_a_pair_keeps_its_mark_through_swap_and_edit(store, tmp_path):
    from studio.datasets import pairs  # noqa: PLC0415

    made = store.create("Pairs", "pairs").id
    ingest_folder(store, made, write_folders(tmp_path / "in", 3, listed=True))
    first = store.pictures(made)[0]
    mark_judges(store, made, [first.id], judges=True)
    pairs.swap_sides(store, made, [first.id])
    edit_pictures(store, made, {first.id: Edit(turns=2)})
    row = store.pictures(made)[0]
    assert row.judges and row.before.name == first.after.name and from_plain(to_plain(row)) == row
    assert judging(store, made) == [first.name]


def test_the_report_is_out_of_date_by_a_mark(store, dataset, twelve):
    before = store.fingerprint(dataset)
    token = mark_judges(store, dataset, twelve[:1], judges=True)
    assert store.fingerprint(dataset) != before
    store.undo(dataset, token)
    assert store.fingerprint(dataset) == before


def test_the_report_tells_who_was_chosen_and_which_copies_go_along(store, dataset, twelve):
    mark_judges(store, dataset, [twelve[0], twelve[5]], judges=True)
    split = check_dataset(store, dataset).split
    assert (split.training, split.held_out, split.chosen, split.along, split.leaks) == (9, 3, 2, [twelve[10]], [])
    report = read_report(store, dataset)
    assert report.split == split
    page = render_report(store, dataset, report)
    assert "9 pictures teach, 3 are held out to judge, 2 chosen by you and 1 near copy of them." in page
    assert "Near copies that judge with them:" in page
    assert gather_known_facts(store, dataset, None, "pocket-sdxl", 0.0).split.held_out == 3  # the share says nothing


def test_of_twins_the_one_that_judges_is_kept(store, dataset, twelve):
    def twins():
        found = {tuple(f.picture_ids): f for f in check_dataset(store, dataset).findings if f.code == "twin"}
        return found[(twelve[0], twelve[10])]

    assert twins().action.picture_ids == [twelve[10]]
    mark_judges(store, dataset, [twelve[10]], judges=True)
    assert twins().action.picture_ids == [twelve[0]] and twins().way_out == "Keep 11, which judges."


def test_of_doubles_the_pair_that_judges_is_kept(store, tmp_path):
    made = store.create("Pairs", "pairs").id
    for side, number in (("input_images", 1), ("output_images", 51)):
        picture = draw_photo(number, 96)
        (tmp_path / "in" / side).mkdir(parents=True)
        (tmp_path / "in" / side / "a.png").write_bytes(encode(picture))
        (tmp_path / "in" / side / "b.jpg").write_bytes(encode(picture, "JPEG", quality=85))
    ingest_folder(store, made, tmp_path / "in")
    first, second = (row.id for row in store.pictures(made))

    def double():
        return next(f for f in check_dataset(store, made).findings if f.code == "double")

    assert double().action.picture_ids == [second]
    mark_judges(store, made, [second], judges=True)
    assert double().action.picture_ids == [first]
    assert double().way_out.startswith("Keep the first of each group, or the one that judges")


def test_where_all_judge_the_report_says_that_nothing_can_be_trained(store, dataset, twelve):
    mark_judges(store, dataset, twelve[:10], judges=True)
    report = check_dataset(store, dataset)
    found = next(f for f in report.findings if f.code == "all_judge")
    assert not report.ready and found.severity == "stop" and found.action.kind == "teach"
    assert "All 12 pictures judge (10 chosen by you and 2 near copies of them)" in found.rule
    mark_judges(store, dataset, found.action.picture_ids, judges=False)
    assert "all_judge" not in {f.code for f in check_dataset(store, dataset).findings}


def test_copies_merges_and_splits_carry_the_marks(store, dataset, twelve):
    mark_judges(store, dataset, twelve[:2], judges=True)
    assert judging(store, copy_dataset(store, dataset).info.id) == ["0.png", "1.png"]
    other = copy_dataset(store, dataset, name="Other").info.id
    mark_judges(store, other, twelve[:3], judges=False)
    mark_judges(store, other, twelve[4:5], judges=True)
    merged = merge_datasets(store, [other, dataset], name="Both")
    assert judging(store, merged.info.id) == ["0.png", "1.png", "4.png"]
    assert "2 pictures judge now, as in the other data set: 0.png, 1.png." in merged.sentence()
    parts = split_dataset(store, dataset, Cut(share=0.5))
    assert sorted(judging(store, parts.rest.id) + judging(store, parts.taken.id)) == ["0.png", "1.png"]


def test_a_table_of_the_layout_before_has_no_judges_and_takes_marks(store, dataset, twelve):
    with sqlite3.connect(store.workspace.dataset(dataset) / TABLE) as table:
        for statement in ("DROP INDEX rows_judges", "ALTER TABLE rows DROP COLUMN judges", "PRAGMA user_version = 3"):
            table.execute(statement)
    assert [row.id for row in store.pictures(dataset)] == twelve and store.info(dataset).num_judges == 0
    mark_judges(store, dataset, twelve[:1], judges=True)
    assert judging(store, dataset) == ["0.png"]


def test_a_mark_reads_no_more_among_five_thousand_than_among_fifty(store, monkeypatch):
    """By what the table is asked: the same statements, and none of them goes through all rows."""
    asked = []
    for count in (50, 5000):
        made = create_many(store, count, f"Of {count}")
        (row,) = store.pictures(made, offset=7, limit=1)
        seen = []
        connect = sqlite3.connect

        def watched(*arguments, connect=connect, seen=seen, **named):
            connection = connect(*arguments, **named)
            connection.set_trace_callback(seen.append)
            return connection

        with monkeypatch.context() as patch:
            patch.setattr("studio.datasets.table.sqlite3.connect", watched)
            mark_judges(store, made, [row.id], judges=True)
        asked.append([one.partition("'")[0] for one in seen])
        with store.index(made).read() as table:
            for statement in (one for one in seen if one.startswith(("SELECT", "UPDATE rows"))):
                plan = " ".join(line[3] for line in table.execute(f"EXPLAIN QUERY PLAN {statement}"))
                assert "SCAN rows" not in plan and "SCAN images" not in plan, (statement, plan)
    assert asked[0] == asked[1] and len(asked[0]) > 3

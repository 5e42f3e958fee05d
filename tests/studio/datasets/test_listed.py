"""Lists of pictures and pairs that are called anything: known by what stands in them, with their columns found or chosen."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc

import pytest

from backends.contract.errors import DarkroomError
from studio.datasets.formats.columns import Columns
from studio.datasets.formats.lists import is_list, read_columns, read_kinds, read_lines
from studio.datasets.ingest import ingest_files, ingest_folder, ingest_list, ingest_upload
from studio.datasets.listed import choosing, needs_choice
from tests.studio.datasets.drawing import draw_figure, encode, write_zip
from tests.studio.datasets.pairs import make_pair

PAIRS = [{"input_image": f"pics/{n}a.png", "instruction": f"make it blue {n}", "output_image": f"pics/{n}b.png"} for n in range(3)]


def renamed(rows, *names):
    return [dict(zip(names, row.values(), strict=True)) for row in rows]


def write(name, rows):
    """The rows in the form that the name's ending says."""
    if name.endswith((".csv", ".tsv")):
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), delimiter="\t" if name.endswith(".tsv") else ",")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()
    return json.dumps(rows, indent=1) if name.endswith(".json") else "".join(json.dumps(row) + "\n" for row in rows)


def fill(root, name, rows, count=3):
    """A folder with the list, and the pictures of so many pairs below it."""
    (root / "pics").mkdir(parents=True)
    for n in range(count):
        for side, data in zip("ab", make_pair(n), strict=True):
            (root / f"pics/{n}{side}.png").write_bytes(data)
    (root / name).write_text(write(name, rows), "utf-8")
    return root


def shown(store, dataset_id):
    return [(row.before.name, row.text, row.after.name) for row in store.pictures(dataset_id)]


@pytest.mark.parametrize("name", ["train.jsonl", "edits.csv", "edits.tsv", "data.json", "Data.NDJSON", "metadata.jsonl"])
@pytest.mark.parametrize("columns", [None, ("source", "prompt", "target"), ("input", "edit", "output")])
def test_a_list_of_any_name_makes_pairs_of_a_folder(store, tmp_path, name, columns):
    root = fill(tmp_path / "set", name, renamed(PAIRS, *columns) if columns else PAIRS)
    made = store.create("Edits", "").id
    assert [o for o in ingest_folder(store, made, root) if not o.accepted] == []
    assert store.info(made).kind == "pairs"
    assert shown(store, made) == [tuple(row.values()) for row in PAIRS]


@pytest.mark.parametrize("name", ["train.jsonl", "edits.csv", "data.json"])
def test_a_list_is_imported_by_itself_with_the_files_beside_it(store, tmp_path, name):
    root = fill(tmp_path / "set", name, PAIRS)
    (root / "stranger.png").write_bytes(encode(draw_figure(1, 64)))
    made = store.create("Edits", "").id
    assert all(o.accepted for o in ingest_list(store, made, root / name))
    assert shown(store, made) == [tuple(row.values()) for row in PAIRS]


def test_whole_paths_of_another_machine_find_their_files(store, tmp_path):
    rows = [{k: f"/home/me/{v}" if "image" in k else v for k, v in row.items()} for row in PAIRS]
    root = fill(tmp_path / "set", "train.jsonl", rows)
    made = store.create("Edits", "").id
    assert all(o.accepted for o in ingest_list(store, made, root / "train.jsonl"))
    assert store.info(made).num_pictures == 3 and store.info(made).num_incomplete == 0


@pytest.mark.parametrize("name", ["train.jsonl", "edits.csv", "data.json"])
def test_files_that_are_missing_are_named_with_their_line(store, tmp_path, name):
    root = fill(tmp_path / "set", name, PAIRS, count=2)
    line = {"train.jsonl": 3, "edits.csv": 4, "data.json": 3}[name]  # a table's first line names its columns
    for take in (ingest_folder, ingest_list):
        made = store.create("Edits", "").id
        missing = [o for o in take(store, made, root if take is ingest_folder else root / name) if not o.accepted]
        assert [o.name for o in missing] == ["pics/2a.png", "pics/2b.png"]
        assert all(f"Line {line} of {name} names it, and it is not there" in o.reason for o in missing)
        assert (store.info(made).num_pictures, store.info(made).num_awaited) == (2, 1)


def test_a_list_none_of_whose_files_is_there_is_refused_whole(store, tmp_path):
    root = fill(tmp_path / "set", "train.jsonl", PAIRS, count=0)
    with pytest.raises(DarkroomError, match="None of the files that train.jsonl names lies beside it: “pics/0a.png” in line 1"):
        ingest_list(store, store.create("Edits", "").id, root / "train.jsonl")


def test_a_list_reads_nothing_outside_of_its_folder(store, tmp_path):
    (tmp_path / "secret.png").write_bytes(make_pair(0)[0])
    rows = [{"input_image": "../secret.png", "instruction": "x", "output_image": "pics/0b.png"}]
    root = fill(tmp_path / "set", "train.jsonl", rows, count=1)
    made = store.create("Edits", "").id
    assert ["not there" in o.reason for o in ingest_list(store, made, root / "train.jsonl") if not o.accepted] == [True]
    (root / "secret.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DarkroomError, match="Line 1 of train.jsonl names “secret.png”, a link out of the folder of the list"):
        ingest_list(store, store.create("Again", "").id, root / "train.jsonl")


@pytest.mark.parametrize("name", ["captions.jsonl", "captions.csv", "data.json"])
@pytest.mark.parametrize("columns", [("file_name", "text"), ("image", "caption"), ("path", "whatever")])
def test_captions_of_single_pictures_come_by_any_list(store, tmp_path, name, columns):
    rows = [dict(zip(columns, (f"pics/{n}a.png", f"words {n}"), strict=True)) for n in range(3)]
    root = fill(tmp_path / "set", name, rows)
    made = store.create("Pictures", "").id
    assert all(o.accepted for o in ingest_folder(store, made, root))
    expected = {f"pics/{n}{side}.png": f"words {n}" if side == "a" else "" for n in range(3) for side in "ab"}
    assert {row.name: row.text for row in store.pictures(made)} == expected


def test_a_list_dropped_before_its_pictures_gives_them_their_words(store, tmp_path):
    """As the page sends a folder: the list first and alone, then its pictures in parts, each with its path in the folder."""
    root = fill(tmp_path / "set", "train.jsonl", [{"image": f"pics/{n}a.png", "text": f"words {n}"} for n in range(3)])
    made = store.create("Pictures", "").id
    ingest_files(store, made, [("set/train.jsonl", root / "train.jsonl")])
    for n in range(3):
        assert ingest_files(store, made, [(f"set/pics/{n}a.png", root / f"pics/{n}a.png")])[0].accepted
    assert [row.text for row in store.pictures(made)] == ["words 0", "words 1", "words 2"]


UNKNOWN = renamed(PAIRS, "left", "said", "right")


def test_columns_whose_names_do_not_tell_are_asked_for_or_named(store, tmp_path):
    root = fill(tmp_path / "set", "edits.csv", UNKNOWN)
    path = root / "edits.csv"
    assert read_kinds("edits.csv", path) == {"left": "picture", "said": "words", "right": "picture"}
    assert needs_choice("edits.csv", path)
    made = store.create("Edits", "").id
    (refused,) = [o for o in ingest_folder(store, made, root) if not o.accepted]
    assert refused.name == "edits.csv" and "Several columns hold pictures (left, right)" in refused.reason
    chosen = store.create("Chosen", "").id
    assert all(o.accepted for o in ingest_folder(store, chosen, root, choose=choosing(["left", "right"], "said")))
    assert shown(store, chosen) == [tuple(row.values()) for row in PAIRS]
    by_words = [{"image": "a.png", "x": "some words", "y": "other words"}]
    (root / "two.jsonl").write_text(write("two.jsonl", by_words), "utf-8")
    assert needs_choice("two.jsonl", root / "two.jsonl")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("package.json", '{"name": "x", "version": "1"}'),
        ("numbers.csv", "a,b\n1,2\n"),
        ("notes.jsonl", '{"text": "only words"}'),
        ("torn.json", '[{"input_image": "a.png"'),
        ("empty.csv", ""),
        ("empty.json", "[]"),
        ("binary.json", "\x00\x01"),
    ],
)
def test_what_lists_no_pictures_is_refused_and_the_pictures_stay(store, tmp_path, name, text):
    (tmp_path / name).write_text(text, "utf-8")
    assert not is_list(name, tmp_path / name)
    entries = {"a.png": encode(draw_figure(1, 64)), name: text.encode()}
    made = store.create("Z", "").id
    (refused,) = [o for o in ingest_upload(store, made, "z.zip", write_zip(tmp_path / "z.zip", entries)) if not o.accepted]
    assert refused.name == name and "names no pictures" in refused.reason
    assert (store.info(made).kind, store.info(made).num_pictures) == ("pictures", 1)


@pytest.mark.parametrize(
    ("name", "torn", "told"),
    [
        ("train.jsonl", write("a.jsonl", PAIRS) + "{", "line 4 is not JSON"),
        ("data.json", write("a.json", PAIRS)[:-2], "its end is missing"),
        ("train.jsonl", write("a.jsonl", [*PAIRS, PAIRS[0] | {"output_image": ""}]), "Line 4 of train.jsonl does not name both pictures"),
        ("train.jsonl", write("a.jsonl", [*PAIRS, PAIRS[0] | {"instruction": "x" * 3000}]), "Line 4 of train.jsonl: The caption has 3,000"),
    ],
)
def test_a_list_that_is_torn_is_refused_with_its_line_and_nothing_of_it_is_kept(store, tmp_path, name, torn, told):
    root = fill(tmp_path / "set", name, PAIRS, count=0)
    (root / name).write_text(torn, "utf-8")
    made = store.create("Edits", "").id
    (refused,) = [o for o in ingest_folder(store, made, root) if not o.accepted]
    assert told in refused.reason
    assert store.info(made).num_awaited == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.json"])
def test_any_encoding_is_read(tmp_path, encoding, name):
    rows = [{"image": f"{n}.png", "text": "naïve, “ça”"} for n in range(5)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows) if name.endswith("jsonl") else write(name, rows)
    text = json.dumps(rows, ensure_ascii=False) if name.endswith(".json") else text
    (tmp_path / name).write_bytes(text.encode(encoding))
    assert [line for _, line in read_lines(name, tmp_path / name)] == rows
    assert read_columns(name, tmp_path / name) == Columns(("image",), "text")


def test_fifty_thousand_rows_take_no_more_memory_than_five_thousand(tmp_path):
    peaks = []
    for count in (5_000, 50_000):
        rows = [{"input_image": f"in/{n}.png", "instruction": f"make it {n}", "output_image": f"out/{n}.png"} for n in range(count)]
        for name in ("a.jsonl", "a.json", "a.csv"):
            (tmp_path / name).write_text(write(name, rows), "utf-8")
        del rows
        tracemalloc.start()
        for name in ("a.jsonl", "a.json", "a.csv"):
            assert is_list(name, tmp_path / name)
            assert sum(1 for _ in read_lines(name, tmp_path / name)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 2**20 and peaks[1] < 1.5 * peaks[0]

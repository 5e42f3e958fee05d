"""Out and in again: every form gives equal pictures and words, and the `datasets` library reads what is written."""

from __future__ import annotations

import io
import json
import tarfile
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from backends.contract.errors import DarkroomError
from studio.datasets import captions, export_plan
from studio.datasets.export import export_dataset
from studio.datasets.formats import shards, tables
from studio.datasets.formats.take_in import ingest_table, is_table
from studio.datasets.formats.write_out import convert_folder, export_table, kinds_of
from studio.datasets.ingest import ingest_folder, ingest_upload
from studio.datasets.judges import mark_judges
from studio.datasets.watch import Stopped, Watch
from tests.studio.datasets.drawing import draw_figure, encode
from tests.studio.datasets.pairs import write_folders

TABLES = {"saved": "out", "parquet": "out.parquet", "shards": "out"}


@pytest.fixture(params=["pictures", "pairs"])
def full(request, store, tmp_path):
    """A data set of seven rows, of which one has no words, and words that are not only ASCII."""
    made = store.create("Full", request.param).id
    if request.param == "pairs":
        ingest_folder(store, made, write_folders(tmp_path / "in", 7, listed=True))
    else:
        (tmp_path / "in").mkdir()
        for n in range(7):
            (tmp_path / "in" / f"figure {n}.png").write_bytes(encode(draw_figure(n, 40 + 8 * n)))
        ingest_folder(store, made, tmp_path / "in")
    rows = store.pictures(made)
    captions.change_captions(store, made, {row.id: "" if n == 3 else f"naïve, “{n}”" for n, row in enumerate(rows)})
    return made


def seen(store, dataset_id):
    """Every row as what counts: its words and the pixels of its pictures."""
    folder = store.workspace.dataset(dataset_id)
    pixels = [[np.asarray(Image.open(folder / image.file)).tobytes() for image in row.images] for row in store.pictures(dataset_id)]
    return [(row.text, *each) for row, each in zip(store.pictures(dataset_id), pixels, strict=True)]


@pytest.mark.parametrize("form", [*TABLES, "folder", "zip"])
def test_out_and_in_again_gives_the_same_pictures_and_words(store, full, tmp_path, form):
    again = store.create("Again", "").id
    if form in TABLES:
        out = tmp_path / TABLES[form]
        assert export_table(store, full, out, form) == 7
        assert is_table(out)
        outcomes = ingest_table(store, again, out)
    else:
        out = export_dataset(store, full, tmp_path / ("out.zip" if form == "zip" else "out"))
        assert not is_table(out)
        outcomes = ingest_upload(store, again, out.name, out) if form == "zip" else ingest_folder(store, again, out)
    assert [o for o in outcomes if not o.accepted] == []
    assert store.info(again).kind == store.info(full).kind
    assert sorted(seen(store, again)) == sorted(seen(store, full))
    if form in ("saved", "parquet") and store.info(full).kind == "pictures":
        assert [row.name for row in store.pictures(again)] == [row.name for row in store.pictures(full)]


@pytest.mark.parametrize("form", [*TABLES, "folder", "zip"])
def test_who_judges_goes_out_and_comes_in_again(store, full, tmp_path, form):
    chosen = [row for n, row in enumerate(store.pictures(full)) if n in (1, 3, 6)]
    mark_judges(store, full, [row.id for row in chosen], judges=True)
    again = store.create("Again", "").id
    if form in TABLES:
        export_table(store, full, tmp_path / TABLES[form], form)
        outcomes = ingest_table(store, again, tmp_path / TABLES[form])
    else:
        out = export_dataset(store, full, tmp_path / ("out.zip" if form == "zip" else "out"))
        outcomes = ingest_upload(store, again, out.name, out) if form == "zip" else ingest_folder(store, again, out)
    assert [o for o in outcomes if not o.accepted] == []
    assert sorted(seen(store, again)) == sorted(seen(store, full))
    marked = sorted(words for words, row in zip(seen(store, again), store.pictures(again), strict=True) if row.judges)
    assert marked == sorted(words for words, row in zip(seen(store, full), store.pictures(full), strict=True) if row.judges)
    assert len(marked) == 3


@pytest.mark.parametrize("form", ["saved", "parquet"])
def test_the_datasets_library_reads_who_judges_as_true_or_false(store, full, tmp_path, form):
    datasets = pytest.importorskip("datasets")
    out = tmp_path / TABLES[form]
    mark_judges(store, full, [store.pictures(full)[2].id], judges=True)
    export_table(store, full, out, form)
    cache = str(tmp_path / "cache")
    read = (
        datasets.load_from_disk(str(out))
        if form == "saved"
        else datasets.load_dataset("parquet", data_files=str(out), split="train", cache_dir=cache)
    )
    assert read.features["held_out"] == datasets.Value("bool") and read["held_out"][:] == [n == 2 for n in range(7)]


def test_a_mark_in_a_table_that_says_neither_yes_nor_no_is_named_and_its_picture_comes(store, tmp_path):
    rows = [{"image": {"bytes": encode(draw_figure(n, 40)), "path": f"{n}.png"}, "text": "a", "held_out": m} for n, m in enumerate("1x")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    made = store.create("Marked").id
    told = [o.reason for o in ingest_table(store, made, tmp_path / "t.parquet") if not o.accepted]
    assert told == ["held_out is “x”; it must be true for a row that judges, else false or empty."]
    assert [(row.name, row.judges) for row in store.pictures(made)] == [("0.png", True), ("1.png", False)]


@pytest.mark.parametrize("form", ["saved", "parquet"])
def test_the_datasets_library_reads_it_with_its_columns(store, full, tmp_path, form):
    datasets = pytest.importorskip("datasets")
    out = tmp_path / TABLES[form]
    export_table(store, full, out, form)
    cache = str(tmp_path / "cache")
    read = (
        datasets.load_from_disk(str(out))
        if form == "saved"
        else datasets.load_dataset("parquet", data_files=str(out), split="train", cache_dir=cache)
    )
    kinds = kinds_of(pairs=store.info(full).kind == "pairs")
    assert list(read.features) == list(kinds)
    assert [type(read.features[name]).__name__ for name in kinds] == ["Value" if kind == "words" else "Image" for kind in kinds.values()]
    words = next(name for name, kind in kinds.items() if kind == "words")
    found = [(row[words], *(np.asarray(row[name]).tobytes() for name, kind in kinds.items() if kind == "picture")) for row in read]
    assert found == seen(store, full)


def test_what_the_datasets_library_wrote_comes_in(store, tmp_path):
    datasets = pytest.importorskip("datasets")
    pictures = [draw_figure(n, 48) for n in range(4)]
    made = datasets.Dataset.from_dict(
        {"id": [str(n) for n in range(4)], "photo": pictures, "said": [f"number {n}" for n in range(4)]},
        features=datasets.Features({"id": datasets.Value("string"), "photo": datasets.Image(), "said": datasets.Value("string")}),
    )
    splits = datasets.DatasetDict({"train": made.select(range(3)), "test": made.select(range(3, 4))})
    splits.save_to_disk(str(tmp_path / "splits"))
    made.to_parquet(str(tmp_path / "one.parquet"))
    for name in ("splits", "one.parquet"):
        again = store.create(name).id
        outcomes = ingest_table(store, again, tmp_path / name, words="said")
        assert [o.accepted for o in outcomes] == [True] * 4
        assert sorted(seen(store, again)) == sorted((f"number {n}", np.asarray(p.convert("RGB")).tobytes()) for n, p in enumerate(pictures))


def test_rows_without_a_picture_are_named_and_the_others_come(store, tmp_path):
    good = {"bytes": encode(draw_figure(1, 40)), "path": "one.png"}
    rows = [
        {"image": good, "text": "a"},
        {"image": {"bytes": None, "path": "/etc/passwd"}, "text": "b"},
        {"image": {"bytes": None, "path": None}, "text": "c"},
        {"image": {"bytes": b"no picture", "path": "x.png"}, "text": "d"},
        {"image": {"bytes": encode(draw_figure(2, 40)), "path": "one.png"}, "text": "e" * 3000},
    ]
    tables.write_parquet(rows, kinds_of(pairs=False), tmp_path / "t.parquet")
    made = store.create("Some").id
    outcomes = {o.name: o for o in ingest_table(store, made, tmp_path / "t.parquet")}
    assert [(row.name, row.text) for row in store.pictures(made)] == [("one.png", "a"), ("000004_one.png", "")]
    assert "only names “/etc/passwd”, which is not beside it" in outcomes["row 2"].reason
    assert "nothing is in that place" in outcomes["row 3"].reason
    assert not outcomes["x.png"].accepted
    assert "3,000 characters" in outcomes["row 5"].reason


def test_rows_of_the_other_kind_are_refused_before_any_comes(store, full, tmp_path):
    export_table(store, full, tmp_path / "out", "saved")
    other = store.create("Other", "pictures" if store.info(full).kind == "pairs" else "pairs").id
    with pytest.raises(DarkroomError, match="Begin another data set for them"):
        ingest_table(store, other, tmp_path / "out")
    assert store.pictures(other) == []


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_a_damaged_table_is_said(store, tmp_path, name):
    (tmp_path / name).write_bytes(b"PAR1 not at all" * 20)
    with pytest.raises(DarkroomError, match="cannot be read: .* Copy it again"):
        ingest_table(store, store.create("D").id, tmp_path / name)


def test_a_saved_folder_that_lacks_a_file_is_said(store, full, tmp_path):
    export_table(store, full, tmp_path / "out", "saved")
    next((tmp_path / "out").glob("data-*.arrow")).unlink()
    with pytest.raises(DarkroomError, match="names files that are not there: data-00000-of-00001.arrow"):
        ingest_table(store, store.create("D").id, tmp_path / "out")


def test_shards_are_cut_by_rows_and_read_by_any_tar(store, full, tmp_path):
    pairs = store.info(full).kind == "pairs"
    (tmp_path / "out").mkdir()
    rows = [
        {"original_image": p, "edit_prompt": "x", "edited_image": p} if pairs else {"image": p, "text": "x"}
        for p in [{"bytes": b"1", "path": "a.png"}] * 7
    ]
    assert shards.write_shards(rows, tmp_path / "out", rows=3) == 7
    names = {}
    for path in sorted((tmp_path / "out").iterdir()):
        with tarfile.open(path) as shard:
            names[path.name] = shard.getnames()
    assert list(names) == ["shard-000000.tar", "shard-000001.tar", "shard-000002.tar"]
    first = ["00000000.input.png", "00000000.output.png", "00000000.txt"] if pairs else ["00000000.png", "00000000.txt"]
    assert names["shard-000000.tar"][: len(first)] == first and len(names["shard-000002.tar"]) == len(first)


def test_a_tar_cut_short_is_said(store, tmp_path):
    (tmp_path / "out").mkdir()
    pictures = [{"bytes": encode(draw_figure(n, 64)), "path": "a.png"} for n in range(5)]
    shards.write_shards([{"image": picture, "text": "x"} for picture in pictures], tmp_path / "out")
    path = tmp_path / "out" / "shard-000000.tar"
    whole = path.read_bytes()
    with tarfile.open(path) as shard:
        between = shard.getmembers()[4].offset
    for end in (between, between + 700, len(whole) // 2, 100):
        path.write_bytes(whole[:end])
        with pytest.raises(DarkroomError, match="damaged or does not end"):
            ingest_table(store, store.create("D").id, path)


def test_words_of_a_shard_stand_in_json_too(tmp_path):
    with tarfile.open(tmp_path / "s.tar", "w") as shard:
        for name, data in (
            ("a/1.jpg", b"j"),
            ("a/1.json", json.dumps({"caption": "from json"}).encode()),
            ("a/2.jpg", b"k"),
            ("a/2.json", b"{"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            shard.addfile(member, io.BytesIO(data))
    assert [(row["image"]["path"], row["text"]) for row in shards.read_shards([tmp_path / "s.tar"])] == [
        ("1.jpg", "from json"),
        ("2.jpg", ""),
    ]


def test_seed_pairs_become_what_edit_trainers_read(store, tmp_path):
    source = write_folders(tmp_path / "seeds", 5, listed=True)
    watch = Watch()
    assert convert_folder(source, tmp_path / "out", "saved", watch) == 5
    assert (watch.done, watch.total) == (5, 5)
    rows = list(tables.read_records(tables.find_files(tmp_path / "out"), ["original_image", "edit_prompt", "edited_image"]))
    assert [row["edit_prompt"] for row in rows] == [f"make it blue {n}" for n in range(5)]
    assert all(row["original_image"]["bytes"] == (source / "input_images" / f"{n:03d}.png").read_bytes() for n, row in enumerate(rows))


def seed(before, words, after):
    return json.dumps({"input_image": before, "instruction": words, "output_image": f"output_images/{after}"})


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 4: it is not JSON"),
        ('{"input_image": "a.png"}', "line 4: it does not name both pictures"),
        (seed("input_images/000.png", " ", "000.png"), "line 4: it has no instruction"),
        (seed("input_images/9.png", "x", "000.png"), "input_images/9.png is not there"),
        (seed("../x.png", "x", "000.png"), "../x.png lies outside the folder"),
    ],
)
def test_seeds_that_cannot_be_used_are_named_before_anything_is_written(tmp_path, line, told):
    source = write_folders(tmp_path / "seeds", 3, listed=True)
    (source / "metadata.jsonl").write_text((source / "metadata.jsonl").read_text() + line + "\n")
    with pytest.raises(DarkroomError) as refused:
        convert_folder(source, tmp_path / "out", "parquet")
    assert "1 line of" in refused.value.text and told in refused.value.text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["seeds"]


def test_what_stands_there_is_never_overwritten(store, full, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    (tmp_path / "out.parquet").write_text("mine")
    for form, name in TABLES.items():
        with pytest.raises(DarkroomError, match="is there already"):
            export_table(store, full, tmp_path / name, form)
    assert (tmp_path / "out" / "mine.txt").read_text() == (tmp_path / "out.parquet").read_text() == "mine"


def test_an_export_that_breaks_off_leaves_nothing(store, full, tmp_path):
    last = store.workspace.dataset(full) / store.pictures(full)[-1].images[-1].file
    last.unlink()
    with pytest.raises(DarkroomError, match="is gone from the workspace"):
        export_table(store, full, tmp_path / "out", "shards")
    last.mkdir()  # there, and cannot be read
    for form, name in [*TABLES.items(), ("", "folder")]:
        with pytest.raises(DarkroomError, match="cannot be written"):
            export_table(store, full, tmp_path / name, form) if form else export_dataset(store, full, tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "workspace"]


@pytest.mark.parametrize(("form", "name"), [*TABLES.items(), ("", "folder"), ("", "out.zip")])
def test_an_export_that_is_stopped_leaves_nothing(store, full, tmp_path, form, name):
    watch = Watch(lambda now: now.stop() if now.done == 3 else None)
    with pytest.raises(Stopped):
        export_table(store, full, tmp_path / name, form, watch) if form else export_dataset(store, full, tmp_path / name, watch=watch)
    assert (watch.done, watch.total) == (3, 7)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "workspace"]


@pytest.mark.parametrize(("form", "name"), [("parquet", "out.parquet"), ("", "out.zip")])
def test_a_disk_that_is_too_full_is_told_before_anything_is_written(store, full, tmp_path, monkeypatch, form, name):
    monkeypatch.setattr(export_plan.shutil, "disk_usage", lambda place: SimpleNamespace(free=export_plan.SPARE_BYTES + 100))
    with pytest.raises(DarkroomError, match="The export needs .* MB free; 524 MB stay in reserve"):
        export_table(store, full, tmp_path / name, form) if form else export_dataset(store, full, tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "workspace"]


def test_what_is_said_to_be_needed_is_what_is_written(store, full, tmp_path):
    needed = export_plan.measure_export(store, full)
    export_table(store, full, tmp_path / "out.parquet", "parquet")
    written = [export_dataset(store, full, tmp_path / "out.zip").stat().st_size, (tmp_path / "out.parquet").stat().st_size]
    assert all(0.4 * size < needed for size in written) and max(written) < needed + 8000

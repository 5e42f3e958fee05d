"""Masks leave with their pictures and come in with them, by the names that other trainers use."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from studio.datasets import masks
from studio.datasets.edit_pictures import edit_pictures
from studio.datasets.edits import Edit
from studio.datasets.export import Layout, export_dataset
from studio.datasets.formats import tables
from studio.datasets.formats.columns import choose_columns
from studio.datasets.formats.take_in import ingest_table
from studio.datasets.formats.write_out import export_table
from studio.datasets.ingest import ingest_files, ingest_folder, ingest_upload
from studio.datasets.steps import list_steps
from tests.studio.datasets.drawing import draw_figure, encode
from tests.studio.datasets.pairs import write_folders

OUT = {"saved": "out", "parquet": "out.parquet", "shards": "out", "folder": "out", "zip": "out.zip", "beside": "out", "kohya": "out"}
LAYOUTS = {"beside": Layout("beside"), "kohya": Layout(repeats=10)}


def draw_mask(number, size=(72, 64)):
    """Grey, with soft edges, another one for each number."""
    values = np.zeros((size[1], size[0]), np.uint8)
    values[: 10 + number, : 20 + 3 * number] = 255
    values[10 + number, :] = 128
    return Image.fromarray(values)


def png(image):
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def draw_wide(number):
    return draw_figure(number, 72).crop((0, 0, 72, 64))


def write_pictures(folder, count=5):
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        (folder / f"fig {n}.png").write_bytes(encode(draw_wide(n)))
        (folder / f"fig {n}.txt").write_text(f"words {n}", "utf-8")
    return folder


@pytest.fixture
def masked(store, tmp_path):
    """Five pictures with words, of which three have masks: one of them is cut and mirrored, so that its mask is."""
    made = store.create("Masked").id
    ingest_folder(store, made, write_pictures(tmp_path / "in"))
    rows = store.pictures(made)
    masks.set_masks(store, made, {row.id: draw_mask(n) for n, row in enumerate(rows[:3])})
    edit_pictures(store, made, {rows[1].id: Edit(crop=(0, 0, 48, 40), mirrored=True)})
    return made


def seen(store, dataset_id):
    """By row: words, pixels of the picture, pixels of its mask as it is shown; by words."""
    folder, found = store.workspace.dataset(dataset_id), []
    for row in store.pictures(dataset_id):
        path = masks.find_mask(folder, row)
        mask = np.asarray(Image.open(path).convert("L")).tobytes() if path else None
        found.append((row.text, row.width, row.height, np.asarray(Image.open(folder / row.file)).tobytes(), mask))
    return sorted(found, key=lambda one: one[0])


@pytest.mark.parametrize("form", OUT)
def test_out_and_in_again_gives_equal_pictures_words_and_masks(store, masked, tmp_path, form):
    out, again = tmp_path / OUT[form], store.create("Again", "").id
    if form in ("saved", "parquet", "shards"):
        assert export_table(store, masked, out, form) == 5
        outcomes = ingest_table(store, again, out)
    else:
        export_dataset(store, masked, out, layout=LAYOUTS.get(form))
        outcomes = ingest_upload(store, again, "out.zip", out) if form == "zip" else ingest_folder(store, again, out)
    assert [o for o in outcomes if not o.accepted] == []
    assert seen(store, again) == seen(store, masked)
    assert sum(one[-1] is not None for one in seen(store, again)) == 3
    assert list_steps(store, again) == [], "what came in with its picture is no step to be undone"


def test_a_folder_keeps_masks_where_no_program_takes_them_for_pictures(store, masked, tmp_path):
    export_dataset(store, masked, tmp_path / "out")
    there = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.png"))
    assert there == [*(f"fig_{n}.png" for n in range(5)), *(f"masks/fig_{n}.png" for n in range(3))]
    lines = [json.loads(line) for line in (tmp_path / "out/metadata.jsonl").read_text("utf-8").splitlines()]
    assert [line["mask_file_name"] for line in lines] == ["masks/fig_0.png", "masks/fig_1.png", "masks/fig_2.png", None, None]
    for line in lines[:3]:
        with Image.open(tmp_path / "out" / line["file_name"]) as picture, Image.open(tmp_path / "out" / line["mask_file_name"]) as mask:
            assert (mask.size, mask.mode) == (picture.size, "L")


def test_the_beside_form_is_that_of_onetrainer(store, masked, tmp_path):
    export_dataset(store, masked, tmp_path / "out.zip", layout=Layout("beside"))
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        names = set(archive.namelist())
    assert {"fig_0.png", "fig_0.txt", "fig_0-masklabel.png", "fig_2-masklabel.png"} <= names and "fig_3-masklabel.png" not in names


@pytest.mark.parametrize("form", ["saved", "parquet", "folder"])
def test_the_datasets_library_reads_the_masks(store, masked, tmp_path, form):
    datasets = pytest.importorskip("datasets")
    out, cache = tmp_path / OUT[form], str(tmp_path / "cache")
    if form == "folder":
        export_dataset(store, masked, out)
        read = datasets.load_dataset("imagefolder", data_dir=str(out), split="train", cache_dir=cache)
    else:
        export_table(store, masked, out, form)
        read = (
            datasets.load_from_disk(str(out))
            if form == "saved"
            else datasets.load_dataset("parquet", data_files=str(out), split="train", cache_dir=cache)
        )
    assert set(read.features) == {"image", "text", "mask"} and len(read) == 5
    found = sorted(((r["text"], np.asarray(r["mask"].convert("L")).tobytes() if r["mask"] else None) for r in read), key=lambda one: one[0])
    assert found == [(one[0], one[-1]) for one in seen(store, masked)]


def test_without_masks_nothing_speaks_of_them(store, tmp_path):
    made = store.create("Plain").id
    ingest_folder(store, made, write_pictures(tmp_path / "in"))
    export_table(store, made, tmp_path / "out.parquet", "parquet")
    assert list(tables.read_kinds([tmp_path / "out.parquet"])) == ["image", "text"]
    export_dataset(store, made, tmp_path / "out")
    assert "mask" not in (tmp_path / "out/metadata.jsonl").read_text("utf-8")
    export_table(store, made, tmp_path / "shards", "shards")
    with tarfile.open(tmp_path / "shards/shard-000000.tar") as shard:
        assert not [name for name in shard.getnames() if "mask" in name]


@pytest.mark.parametrize("where", ["{stem}-masklabel.png", "masks/{stem}.png", "Mask/{stem}.jpg", "../masks/{stem}.png"])
def test_masks_of_other_trainers_are_known_by_their_names(store, tmp_path, where):
    root = tmp_path / "zog"
    pictures = write_pictures(root / "images" if where.startswith("..") else root, 2)
    place = pictures / where.format(stem="fig 0")
    place.parent.mkdir(exist_ok=True)
    draw_mask(0).save(place, quality=95)
    made = store.create("Zog").id
    outcomes = ingest_folder(store, made, root)
    assert all(o.accepted for o in outcomes), outcomes
    assert {row.name.rpartition("/")[2]: bool(row.mask) for row in store.pictures(made)} == {"fig 0.png": True, "fig 1.png": False}


def test_what_cannot_be_a_mask_is_refused_with_its_reason_and_is_no_picture(store, tmp_path):
    root = write_pictures(tmp_path / "zog", 4)
    (root / "masks").mkdir()
    (root / "lost-masklabel.png").write_bytes(png(draw_mask(0)))
    (root / "masks/fig 0.png").write_bytes(encode(draw_wide(40)))
    (root / "masks/fig 1.png").write_bytes(png(draw_mask(0, (40, 64))))
    (root / "masks/fig 2.png").write_bytes(png(Image.new("L", (72, 64))))
    (root / "masks/fig 3.png").write_bytes(b"no picture")
    made = store.create("Zog").id
    reasons = {o.name: o.reason for o in ingest_folder(store, made, root) if not o.accepted}
    assert "its picture “lost” is not here" in reasons["lost-masklabel.png"]
    assert "is in colour" in reasons["masks/fig 0.png"]
    assert "has another shape" in reasons["masks/fig 1.png"]
    assert "covers nothing" in reasons["masks/fig 2.png"]
    assert "can be read" in reasons["masks/fig 3.png"]
    assert [(row.name, row.mask) for row in store.pictures(made)] == [(f"fig {n}.png", "") for n in range(4)]


def test_masks_that_come_later_find_their_pictures_and_never_lie_over_a_mask_that_is_there(store, tmp_path):
    made = store.create("Zog").id
    ingest_folder(store, made, write_pictures(tmp_path / "zog", 3))
    late = tmp_path / "late" / "masks"
    late.mkdir(parents=True)
    for n in range(2):
        (late / f"fig {n}.png").write_bytes(png(draw_mask(n)))
    (late / "stranger.png").write_bytes(encode(draw_figure(9, 64)))
    assert [o.accepted for o in ingest_folder(store, made, late.parent)] == [True] * 3
    assert [bool(row.mask) for row in store.pictures(made)] == [True, True, False, False], "a folder alone may hold pictures too"
    again = ingest_files(store, made, [("masks/fig 0.png", late / "fig 0.png")])
    assert [(o.accepted, "has a mask already; it stays" in o.reason) for o in again] == [(False, True)]


def test_a_folder_called_masks_that_holds_all_pictures_holds_pictures(store, tmp_path):
    made = store.create("Carnival").id
    ingest_folder(store, made, write_pictures(tmp_path / "shop" / "masks", 3).parent)
    assert [bool(row.mask) for row in store.pictures(made)] == [False] * 3
    again = ingest_folder(store, made, tmp_path / "shop")
    assert sum("already here" in o.reason for o in again) == 3 and not any(row.mask for row in store.pictures(made))


def test_dropped_files_find_their_masks_in_any_order(store, tmp_path):
    made = store.create("Zog").id
    root = write_pictures(tmp_path / "zog", 2)
    (root / "masks").mkdir()
    for n in range(2):
        (root / f"masks/fig {n}.png").write_bytes(png(draw_mask(n)))
    named = sorted(((f"zog/{p.relative_to(root).as_posix()}", p) for p in root.rglob("*") if p.is_file()), reverse=True)
    assert all(o.accepted for o in ingest_files(store, made, named))
    assert [(row.name, bool(row.mask), row.text) for row in store.pictures(made)] == [
        ("fig 1.png", True, "words 1"),
        ("fig 0.png", True, "words 0"),
    ]


def test_a_column_of_masks_is_chosen_or_left_out(store, tmp_path):
    kinds = {"photo": "picture", "region": "picture", "said": "words"}
    row = {"photo": {"bytes": encode(draw_wide(1)), "path": None}, "region": {"bytes": png(draw_mask(1)), "path": None}}
    tables.write_parquet([row | {"said": "a"}, row | {"said": "b", "photo": row["photo"], "region": None}], kinds, tmp_path / "t.parquet")
    assert choose_columns(kinds, ["photo"]).mask == ""
    for mask, expected in (("region", True), (None, False)):
        made = store.create("T").id
        ingest_table(store, made, tmp_path / "t.parquet", pictures=["photo"], words="said", mask=mask)
        assert [bool(r.mask) for r in store.pictures(made)] == [expected]


def test_edit_pairs_take_no_masks(store, tmp_path):
    root = write_folders(tmp_path / "pairs", 2)
    (root / "masks").mkdir()
    (root / "masks/000.png").write_bytes(png(draw_mask(0)))
    made = store.create("P", "pairs").id
    (refused,) = [o for o in ingest_folder(store, made, root) if not o.accepted]
    assert refused.name.endswith("masks/000.png") and "edit pairs know no masks" in refused.reason
    assert store.info(made).num_pictures == 2 and store.info(made).num_incomplete == 0

"""Edit pairs frozen for a run: both pictures in each row, held out together, refused where a side is missing or changed."""

from __future__ import annotations

import json

import pytest

from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from studio.datasets import captions
from studio.datasets.ingest import ingest_files, ingest_folder
from studio.datasets.pairs import swap_sides
from studio.datasets.split import choose_held_out
from studio.datasets.store import DatasetStore
from studio.runs.manifest import find_broken, hash_rows, read_manifest, read_rows, write_manifest
from tests.studio.datasets.drawing import encode
from tests.studio.datasets.pairs import draw_scene, write_folders


@pytest.fixture
def store(workspace):
    return DatasetStore(workspace)


@pytest.fixture
def pairs(store, tmp_path):
    made = store.create("Pairs", "pairs").id
    ingest_folder(store, made, write_folders(tmp_path / "set", 10, listed=True))
    return made


def test_a_row_has_the_picture_after_as_its_file_and_the_one_before_beside_it(workspace, store, pairs, tmp_path):
    run = RunDir(tmp_path / "run")
    run.root.mkdir()
    digest = write_manifest(run, read_rows(workspace, pairs, store.pictures(pairs)), share=0.2)
    rows, pictures = read_manifest(run), store.pictures(pairs)
    assert set(rows[0]) == {"id", "file", "caption", "width", "height", "held_out", "input_file", "input_id"} and len(digest) == 64
    folder = workspace.dataset(pairs)
    for row, picture in zip(rows, pictures, strict=True):
        assert row["file"] == str((folder / picture.after.file).resolve()) and row["input_file"] == str(
            (folder / picture.before.file).resolve()
        )
        assert (row["id"], row["input_id"], row["caption"]) == (picture.content, picture.before.id, picture.text)
        assert (row["width"], row["height"]) == (64, 64)
    assert sum(row["held_out"] for row in rows) == 2


def test_id_and_hash_are_over_both_pictures_and_the_words_and_the_same_in_every_data_set(workspace, store, pairs, tmp_path):
    rows = read_rows(workspace, pairs, store.pictures(pairs))
    again = store.create("Again", "pairs").id
    ingest_folder(store, again, tmp_path / "set")
    others = read_rows(workspace, again, store.pictures(again))
    assert [r["id"] for r in others] == [r["id"] for r in rows] and hash_rows(others[::-1]) == hash_rows(rows)
    captions.set_caption(store, again, store.pictures(again)[0].id, "another", None)
    worded = hash_rows(read_rows(workspace, again, store.pictures(again)))
    swap_sides(store, again)
    turned = hash_rows(read_rows(workspace, again, store.pictures(again)))
    assert len({hash_rows(rows), worded, turned}) == 3


def test_a_half_is_refused_with_its_name_and_the_way_out(workspace, store, pairs, tmp_path):
    (tmp_path / "x").write_bytes(encode(draw_scene(99)))
    ingest_files(store, pairs, [("before/lonely.png", tmp_path / "x")])
    with pytest.raises(DarkroomError, match="1 of 11 pairs is not complete: lonely .* Dataset page"):
        read_rows(workspace, pairs, store.pictures(pairs))


@pytest.mark.parametrize("side", ["before", "after"])
def test_either_side_that_is_gone_or_changed_is_found(workspace, store, pairs, side):
    rows = store.pictures(pairs)
    first, second = (workspace.dataset(pairs) / getattr(row, side).file for row in rows[:2])
    first.unlink()
    second.write_bytes(encode(draw_scene(77)))
    assert find_broken(workspace.dataset(pairs), rows) == ["000", "001"]
    with pytest.raises(DarkroomError, match="2 of 10 pictures are gone or damaged: 000, 001"):
        read_rows(workspace, pairs, rows)


def test_pairs_of_one_picture_before_are_held_out_together():
    ids = [f"{n:03d}" for n in range(40)]
    inputs = [f"input {n // 4}" for n in range(40)]
    held = choose_held_out(ids, 0.2, inputs)
    assert len(held) == 8 and held == choose_held_out(ids, 0.2, inputs)
    apart = {inputs[n] for n in range(40) if ids[n] in held} & {inputs[n] for n in range(40) if ids[n] not in held}
    assert not apart
    assert len(choose_held_out(ids, 0.2, ["one"] * 40)) == 8


def test_a_run_begins_with_pairs_and_keeps_their_report(workspace, store, pairs):
    from backends.contract.config import parse_config
    from backends.registry import find_backend
    from studio.runs.store import RunStore

    config = parse_config(find_backend("sdxl/text_to_image").config, {"trigger_word": "", "held_out_share": 0.1})
    run = RunStore(workspace).create(dataset_id=pairs, preset_key="", name="edit", backend="sdxl/text_to_image", config=config)
    lines = [json.loads(line) for line in RunDir(workspace.run(run.id)).manifest.read_text("utf-8").splitlines()]
    assert len(lines) == 10 and all("input_file" in line for line in lines)

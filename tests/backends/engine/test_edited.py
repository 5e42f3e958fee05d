"""An edited picture is trained on as if its file had been cut so: the same latents, bit for bit, under a key of its own."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import ImageOps

from backends.contract.rundir import RunDir
from backends.engine.cache import EncodedCache
from backends.engine.data import list_run_buckets
from backends.engine.manifest import read_manifest
from backends.engine.order import Pick
from backends.engine.pictures import place_item
from backends.engine.sources import encode_pictures, encode_prompts
from studio.datasets.captions import set_caption
from studio.datasets.edit_pictures import edit_pictures, exclude_pictures
from studio.datasets.edits import Edit
from studio.datasets.ingest import ingest_files
from studio.datasets.store import DatasetStore
from studio.runs.manifest import read_rows, write_manifest
from studio.workspace import open_workspace
from tests.backends.loaded import CPU, load
from tests.studio.datasets.drawing import draw_photo

ALONE = {"rank": 0, "ranks": 1, "wait": lambda: None, "on_done": lambda done, total: None}
EDIT = Edit(crop=(40, 16, 130, 90), turns=1, mirrored=True)


def cut_by_hand(image):
    """The same by Pillow's own means, without any code of ours."""
    return ImageOps.mirror(image.crop((40, 16, 170, 106)).rotate(-90, expand=True))


@pytest.fixture
def store(tmp_path):
    return DatasetStore(open_workspace(tmp_path / "workspace"))


def fill(store, tmp_path, name, kind, pictures):
    """A data set of these pictures, by name."""
    dataset = store.create(name, kind).id
    found = []
    for file, image in pictures.items():
        path = tmp_path / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        data = io.BytesIO()
        image.save(data, "PNG")
        path.write_bytes(data.getvalue())
        found.append((file, path))
    assert all(outcome.accepted for outcome in ingest_files(store, dataset, found))
    return dataset


def encode(store, dataset, base, tmp_path, backend, cache):
    """The latents' mean and deviation of the first sample, as a run on this data set would train on them."""
    run = RunDir(tmp_path / f"run-{len(list(tmp_path.iterdir()))}")
    run.root.mkdir()
    write_manifest(run, read_rows(store.workspace, dataset, store.training_pictures(dataset)), share=0.0)
    loaded = load(backend, base)
    items = loaded.method.build_items(read_manifest(run.manifest))
    buckets = list_run_buckets(loaded.config.model_copy(update={"resolution": 128}))
    placements = [place_item(item, buckets) for item in items]
    texts = [text for item in items for text in item.captions.values()] + [""]
    prompts = encode_prompts(loaded.family, texts, cache, device=CPU, share=ALONE)
    source = encode_pictures(loaded.family, items, placements, cache=cache, prompts=prompts, mirrored=False, device=CPU, share=ALONE)
    return source.fetch(Pick(0, [0], [False], [frozenset()])).moments


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(a, b) for role in one for a, b in zip(one[role], other[role], strict=True))


def test_a_cropped_picture_has_the_latents_of_the_cropped_file(store, toy_base, tmp_path):
    base, cache, photo = toy_base("sdxl"), EncodedCache(tmp_path / "cache"), draw_photo(3, 192)
    edited = fill(store, tmp_path, "edited", "pictures", {"a.png": photo})
    by_hand = fill(store, tmp_path, "by hand", "pictures", {"a.png": cut_by_hand(photo)})
    whole = encode(store, edited, base, tmp_path, "sdxl/text_to_image", cache)  # first, so that a key without the edit would be found
    (row,) = store.pictures(edited)
    token = edit_pictures(store, edited, {row.id: EDIT})
    cut = encode(store, edited, base, tmp_path, "sdxl/text_to_image", cache)
    assert equal(cut, encode(store, by_hand, base, tmp_path, "sdxl/text_to_image", cache))
    assert not equal(cut, whole)
    store.undo(edited, token)
    assert equal(encode(store, edited, base, tmp_path, "sdxl/text_to_image", cache), whole)


def test_both_pictures_of_a_pair_have_those_of_the_cropped_files(store, toy_base, tmp_path):
    base, cache = toy_base("sd15"), EncodedCache(tmp_path / "cache")
    before, after = draw_photo(4, 192), draw_photo(5, 192)
    sides = {"input_images/a.png": before, "output_images/a.png": after}
    edited = fill(store, tmp_path, "edited", "pairs", sides)
    by_hand = fill(store, tmp_path, "by hand", "pairs", {name: cut_by_hand(image) for name, image in sides.items()})
    for dataset in (edited, by_hand):
        set_caption(store, dataset, store.pictures(dataset)[0].id, "make it blue", None)
    whole = encode(store, edited, base, tmp_path, "sd15/instruct_pix2pix", cache)
    edit_pictures(store, edited, {store.pictures(edited)[0].id: EDIT})
    cut = encode(store, edited, base, tmp_path, "sd15/instruct_pix2pix", cache)
    assert len(cut) == 2 and equal(cut, encode(store, by_hand, base, tmp_path, "sd15/instruct_pix2pix", cache))
    assert not equal(cut, whole)


def test_what_is_excluded_is_not_in_the_manifest(store, tmp_path):
    dataset = fill(store, tmp_path, "some", "pictures", {f"{n}.png": draw_photo(n, 64) for n in range(3)})
    rows = store.pictures(dataset)
    exclude_pictures(store, dataset, [rows[1].id], excluded=True)
    found = read_rows(store.workspace, dataset, store.training_pictures(dataset))
    assert [row["id"] for row in found] == [rows[0].id, rows[2].id]


def test_the_edit_is_the_one_that_pillow_makes():
    photo = draw_photo(6, 192)
    assert EDIT.apply(photo).tobytes() == cut_by_hand(photo).tobytes()
    assert EDIT.apply(photo).size == (90, 130)

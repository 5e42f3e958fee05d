"""Many pictures at once in a real browser: cropped around their subjects with one undo; masked without a hand, and looked through."""

from __future__ import annotations

import re

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from studio.datasets.masks import is_auto
from studio.datasets.store import DatasetStore
from tests.browser.light_table import open_light_table
from tests.studio.datasets.drawing import encode
from tests.studio.datasets.pairs import make_pair
from tests.studio.datasets.things import compute_overlap, draw_thing, open_portrait

pytestmark = pytest.mark.slow
pytest.importorskip("cv2")
READ_VEIL = """() => {
  const c = document.querySelector('canvas.veil');
  return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((_, n) => n % 4 === 3);
}"""
LONG_MS = 60_000  # for what computes, on a busy machine


@pytest.fixture
def store(server):
    return DatasetStore(server.workspace)


@pytest.fixture
def dataset(server):
    """A portrait of 256 px, two things of 320 x 240 px, and one where nothing is."""
    made = httpx.post(f"{server.address}/api/datasets", json={"name": "Many", "kind": "pictures"}).json()["id"]
    pictures = {"portrait.png": open_portrait(), **{f"thing_{n}.png": draw_thing(n, "gradient")[0] for n in range(2)}}
    pictures["plain.png"] = Image.new("RGB", (320, 240), "navy")
    files = [("files", (name, encode(picture), "image/png")) for name, picture in pictures.items()]
    httpx.post(f"{server.address}/api/datasets/{made}/files", files=files, timeout=60)
    return made


@pytest.fixture
def table(page, server, dataset):
    return open_light_table(page, server, dataset)


def choose(page, *numbers):
    for number in numbers:
        page.locator(".d-thumb[data-id] .w").nth(number).click()


def looked(page):
    expect(page.locator("dialog.d-many[data-state=ready]")).to_be_visible(timeout=LONG_MS)
    return page.get_by_role("dialog")


def test_chosen_pictures_are_cropped_around_what_was_shown_and_one_undo_takes_it_back(table, store, dataset):
    choose(table, 0, 1, 3)
    table.get_by_role("button", name="Crop", exact=True).click()
    dialog = looked(table)
    expect(dialog).to_contain_text("3 pictures, one step to undo")
    dialog.locator("#many-shape").select_option("2:3")
    looked(table)
    tiles = dialog.locator("figure")
    expect(tiles).to_have_count(3)
    expect(tiles.nth(0)).to_contain_text("Kept around one face")
    expect(tiles.nth(1)).to_contain_text("Kept around what stands out")
    frame, whole = (tiles.nth(0).locator(part).bounding_box() for part in (".fb", ".pl"))
    assert frame["width"] / frame["height"] == pytest.approx(2 / 3, abs=0.03) and frame["width"] < whole["width"]
    dialog.get_by_role("button", name="Crop 3 pictures").click()
    expect(table.locator(".d-toast")).to_contain_text("3 cropped: 1 around faces, 2 around what stands out.", timeout=LONG_MS)
    frames = table.locator(".d-thumb[data-id]")
    expect(frames.nth(0)).to_contain_text("171 × 256")
    expect(frames.nth(2)).to_contain_text("320 × 240")
    assert [(row.width, row.height) for row in store.pictures(dataset)] == [(171, 256), (160, 240), (320, 240), (160, 240)]
    table.locator(".d-toast").get_by_role("button", name="Undo").click()
    expect(frames.nth(0)).to_contain_text("256")
    expect(frames.nth(1)).to_contain_text("320 × 240")
    assert not any(row.edit for row in store.pictures(dataset))


def test_with_faces_alone_those_without_one_are_seen_to_stay(table, store, dataset):
    table.keyboard.press("Control+a")
    table.keyboard.press("c")
    looked(table).get_by_role("button", name="Faces").click()
    dialog = looked(table)
    expect(dialog.locator("figure.stays")).to_have_count(3)
    expect(dialog).to_contain_text("3 of 4 stay as they are.")
    dialog.locator("#many-shape").select_option("3:4")
    looked(table)
    dialog.get_by_role("button", name="Crop 1 picture").click()
    expect(table.locator(".d-jobs")).to_contain_text("3 are left as they were", timeout=LONG_MS)
    table.get_by_text("3 pictures stayed as they were").click()
    expect(table.locator(".d-jobs")).to_contain_text("No face was found on it")
    assert [bool(row.edit) for row in store.pictures(dataset)] == [True, False, False, False]


def test_the_subject_is_masked_in_the_dialogue_seen_and_saved_as_a_persons(table, store, dataset):
    choose(table, 1)
    table.get_by_role("button", name="Mask", exact=True).click()
    dialog = table.locator("dialog.d-paint[data-state=ready]")
    dialog.get_by_role("button", name="Mask the subject").click()
    expect(dialog).to_contain_text("Made around what stands out", timeout=LONG_MS)
    expect(dialog).to_contain_text("% of the picture is learnt.")
    veil = table.evaluate(READ_VEIL)
    outline = draw_thing(0, "gradient")[1]
    assert compute_overlap(np.array(veil).reshape(outline.shape) < 90, outline) > 0.9  # what is not learnt is dimmed
    assert not store.pictures(dataset)[1].mask  # nothing counts before it is saved
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    row = store.pictures(dataset)[1]
    assert row.mask and not is_auto(row.mask)
    with Image.open(store.workspace.dataset(dataset) / row.mask) as mask:
        assert compute_overlap(np.asarray(mask) > 127, outline) > 0.9
    table.keyboard.press("m")
    dialog.get_by_role("button", name="Clear").click()
    table.keyboard.press("Control+z")
    expect(dialog).to_contain_text("% of the picture is learnt.")


def test_many_masks_are_made_looked_through_kept_and_undone(table, store, dataset):
    table.get_by_role("button", name="More", exact=True).click()
    table.get_by_role("button", name="Mask the subjects of all").click()
    table.get_by_role("dialog").get_by_role("button", name="Make the masks").click()
    chip = table.get_by_role("button", name="Automatic masks: 3")
    expect(chip).to_have_attribute("aria-pressed", "true", timeout=LONG_MS)
    frames = table.locator(".d-thumb[data-id]")
    expect(frames).to_have_count(3)
    expect(frames.first.locator("img")).to_have_attribute("src", re.compile("/masked/"))
    expect(table.locator(".d-jobs")).to_contain_text("1 is left as it was")
    choose(table, 0)
    table.get_by_role("button", name="1 mask is right").click()
    expect(frames).to_have_count(2)
    assert [is_auto(row.mask) for row in store.pictures(dataset)] == [False, True, True, False]
    chip = table.get_by_role("button", name="Automatic masks: 2")
    chip.click()
    expect(frames).to_have_count(4)
    expect(frames.nth(1)).to_contain_text("automatic mask")
    table.keyboard.press("Control+z")
    expect(table.get_by_role("button", name="Automatic masks: 3")).to_be_visible()
    table.keyboard.press("Control+z")
    expect(table.locator(".d-toast")).to_contain_text("Back again")
    expect(table.get_by_role("button", name="Automatic masks")).to_have_count(0)
    assert not any(row.mask for row in store.pictures(dataset))


def test_on_the_table_of_pairs_masks_are_said_not_to_be_and_all_are_cropped(page, server, store):
    made = httpx.post(f"{server.address}/api/datasets", json={"name": "Pairs", "kind": "pairs"}).json()["id"]
    sides = [(f"{side}/{n}.png", make_pair(n, size=(128, 64))[at]) for n in (1, 2) for at, side in enumerate(("before", "after"))]
    files = [("files", (name, data, "image/png")) for name, data in sides]
    httpx.post(f"{server.address}/api/datasets/{made}/files", files=files)
    open_light_table(page, server, made)
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Masks", exact=True).click()
    expect(page.locator(".d-toast")).to_contain_text("Edit pairs have no masks: a pair is learnt whole")
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Crop all to one shape").click()
    looked(page).locator("#many-shape").select_option("1:1")
    looked(page).get_by_role("button", name="Crop 2 pairs").click()
    expect(page.locator(".d-toast")).to_contain_text("2 cropped", timeout=LONG_MS)
    assert [(image.width, image.height) for row in store.pictures(made) for image in row.images] == [(64, 64)] * 4

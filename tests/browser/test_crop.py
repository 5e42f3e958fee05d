"""The crop dialog and the exclusion of pictures in a real browser, and the bucket preview on Check."""

from __future__ import annotations

import httpx
import pytest
from PIL import Image
from playwright.sync_api import expect

from studio.datasets.store import DatasetStore
from tests.browser.light_table import open_light_table
from tests.studio.datasets.drawing import BLUE, GREEN, RED, YELLOW, draw_corners, draw_figure, encode
from tests.studio.datasets.pairs import make_pair

pytestmark = pytest.mark.slow


@pytest.fixture
def store(server):
    return DatasetStore(server.workspace)


@pytest.fixture
def dataset(server):
    """Four corners of 400 x 200 px, and three drawings."""
    made = httpx.post(f"{server.address}/api/datasets", json={"name": "Crops", "kind": "pictures"}).json()["id"]
    files = [("files", ("corners.png", encode(draw_corners(400, 200)), "image/png"))]
    files += [("files", (f"figure_{n}.png", encode(draw_figure(n, 200)), "image/png")) for n in range(3)]
    httpx.post(f"{server.address}/api/datasets/{made}/files", files=files, timeout=60)
    return made


@pytest.fixture
def table(page, server, dataset):
    return open_light_table(page, server, dataset)


def open_crop(page, number=0):
    page.locator(".d-thumb[data-id] .w").nth(number).click()
    page.get_by_role("button", name="Crop", exact=True).click()
    expect(page.locator("dialog.d-crop[data-state=ready]")).to_be_visible()
    return page.get_by_role("dialog")


def frame_of(page):
    """Left, top, width and height of the frame, as its fields say in px."""
    return [page.locator(f"#crop-{key}").input_value() for key in "xywh"]


def drag(page, start, end):
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    page.mouse.move(*end)
    page.mouse.up()


def shown(store, dataset, number=0):
    row = store.pictures(dataset)[number]
    with Image.open(store.path(dataset, row.face)) as image:
        return image.convert("RGB")


def test_a_frame_drawn_with_the_pointer_cuts_the_picture_and_undo_brings_it_back(table, store, dataset):
    dialog = open_crop(table)
    handle = table.locator(".cbox .se").bounding_box()
    plate = table.locator(".plate").bounding_box()
    drag(table, (handle["x"] + 13, handle["y"] + 13), (plate["x"] + plate["width"] / 2, plate["y"] + plate["height"] / 2))
    left, top, width, height = map(int, frame_of(table))
    assert (left, top) == (0, 0) and abs(width - 200) <= 6 and abs(height - 100) <= 6
    drag(
        table, (plate["x"] + 40, plate["y"] + 40), (plate["x"] + plate["width"] - 10, plate["y"] + plate["height"] - 10)
    )  # moved to the end
    left, top, *size = map(int, frame_of(table))
    assert (left, top) == (400 - size[0], 200 - size[1])
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    frame = table.locator(".d-thumb[data-id]").first
    expect(frame).to_contain_text(f"{size[0]} × {size[1]}")
    cut = shown(store, dataset)
    assert list(cut.size) == size and cut.getpixel((size[0] - 5, size[1] - 5)) == YELLOW
    src = frame.locator("img").get_attribute("src")
    table.keyboard.press("Control+z")
    expect(frame).to_contain_text("400 × 200")
    expect(frame.locator("img")).not_to_have_attribute("src", src)
    assert shown(store, dataset).size == (400, 200)


def test_a_new_frame_is_drawn_outside_the_old_one(table):
    open_crop(table)
    table.locator("#crop-w").fill("60")
    table.locator("#crop-w").press("Tab")
    plate = table.locator(".plate").bounding_box()
    drag(table, (plate["x"] + plate["width"] / 2, plate["y"] + 2), (plate["x"] + plate["width"] - 2, plate["y"] + plate["height"] / 2))
    left, top, width, height = map(int, frame_of(table))
    assert abs(left - 200) <= 4 and top <= 3 and abs(width - 199) <= 5 and abs(height - 99) <= 4


def test_the_keyboard_alone_cuts_turns_and_saves(table, store, dataset):
    table.locator(".d-thumb[data-id] .w").first.focus()
    table.keyboard.press("c")
    expect(table.locator("dialog.d-crop[data-state=ready]")).to_be_visible()
    for _ in range(20):
        table.keyboard.press("Shift+ArrowLeft")
    assert frame_of(table) == ["0", "0", "320", "200"]
    table.keyboard.press("ArrowRight")
    assert frame_of(table) == ["4", "0", "320", "200"]
    table.keyboard.press("r")
    assert frame_of(table) == ["0", "4", "200", "320"]
    table.keyboard.press("Enter")
    expect(table.get_by_role("dialog")).to_have_count(0)
    cut = shown(store, dataset)
    assert cut.size == (200, 320)
    assert [cut.getpixel(at) for at in ((5, 5), (195, 5), (5, 315), (195, 315))] == [BLUE, RED, YELLOW, GREEN]


def test_a_turned_and_mirrored_picture_is_saved_as_it_was_seen_and_begins_there_again(table, store, dataset):
    dialog = open_crop(table)
    for name in ("Turn left", "Mirror top to bottom"):
        dialog.get_by_role("button", name=name).click()
    for key, value in (("w", 100), ("h", 200)):
        table.locator(f"#crop-{key}").fill(str(value))
        table.locator(f"#crop-{key}").press("Tab")
    seen = frame_of(table)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    cut = shown(store, dataset)  # turned left: green, yellow over red, blue; then top and bottom change places
    assert cut.size == (100, 200) and cut.getpixel((50, 100)) == RED
    table.get_by_role("button", name="Crop", exact=True).click()
    expect(table.locator("dialog.d-crop[data-state=ready]")).to_be_visible()
    assert frame_of(table) == seen
    table.get_by_role("button", name="Whole picture").click()
    table.get_by_role("button", name="Save").click()
    expect(table.get_by_role("dialog")).to_have_count(0)
    expect(table.locator(".d-thumb[data-id]").first).to_contain_text("400 × 200")
    assert store.pictures(dataset)[0].edit == ""


def test_a_shape_of_the_training_holds_while_the_frame_is_drawn(table):
    dialog = open_crop(table)
    expect(dialog.get_by_role("button", name="Keep the subject")).to_be_disabled()
    label = dialog.locator("#crop-shape option", has_text="128 × 128").text_content()
    dialog.locator("#crop-shape").select_option(label=label)
    assert frame_of(table) == ["100", "0", "200", "200"]
    dialog.get_by_role("button", name="Keep the subject").click()
    handle, plate = table.locator(".cbox .se").bounding_box(), table.locator(".plate").bounding_box()
    drag(table, (handle["x"] + 13, handle["y"] + 13), (handle["x"] - plate["width"] / 8, handle["y"] + 13))
    *_, width, height = frame_of(table)
    assert abs(int(width) - int(height)) <= 1
    expect(dialog).to_contain_text("trains on it at 128 × 128 px")


def test_a_frame_too_small_to_be_sharp_is_said_before_it_is_saved(table):
    dialog = open_crop(table)
    for key in "wh":
        table.locator(f"#crop-{key}").fill("40")
        table.locator(f"#crop-{key}").press("Tab")
    expect(dialog).to_contain_text("enlarged 3.2 times: too small to be sharp")
    table.keyboard.press("Escape")
    expect(table.locator(".d-thumb[data-id]").first).to_contain_text("400 × 200")


def test_selected_pictures_are_excluded_and_included_and_undone(table, store, dataset):
    frames = table.locator(".d-thumb[data-id]")
    frames.nth(1).locator(".w").click()
    frames.nth(2).locator(".w").click()
    table.get_by_role("button", name="Exclude", exact=True).click()
    expect(frames.nth(1)).to_contain_text("excluded")
    expect(table.locator(".d-dock")).to_contain_text("2 are excluded from training.")
    assert [row.excluded for row in store.pictures(dataset)] == [False, True, True, False]
    table.get_by_role("button", name="Excluded: 2").click()
    expect(frames).to_have_count(2)
    table.get_by_role("button", name="Excluded: 2").click()
    table.keyboard.press("Control+z")
    expect(table.locator(".d-thumb.out")).to_have_count(0)
    assert store.info(dataset).num_excluded == 0
    table.keyboard.press("Escape")
    frames.nth(0).locator(".w").click()
    table.keyboard.press("x")
    expect(frames.nth(0)).to_contain_text("excluded")
    table.get_by_role("button", name="Include", exact=True).click()
    expect(table.locator(".d-thumb.out")).to_have_count(0)


def test_what_is_chosen_while_others_are_cropped_stays_chosen(table, store, dataset):
    boxes = table.locator(".d-thumb[data-id] .w")
    boxes.nth(0).click()
    boxes.nth(1).click()
    table.keyboard.press("c")
    dialog = table.locator("dialog.d-many[data-state=ready]")
    dialog.get_by_role("button", name="Middle").click()
    dialog.locator("#many-shape").select_option("1:1")
    table.locator("dialog.d-many[data-state=ready]").get_by_role("button", name="Crop 2 pictures").click()
    expect(dialog).to_have_count(0)
    boxes.nth(3).click()
    expect(table.locator(".d-toast")).to_contain_text("2 cropped", timeout=60_000)
    expect(table.get_by_text("1 selected")).to_be_visible()
    expect(boxes.nth(3)).to_be_checked()


def test_a_pair_is_cropped_on_both_sides_and_excluded(page, server, store):
    made = httpx.post(f"{server.address}/api/datasets", json={"name": "Pairs", "kind": "pairs"}).json()["id"]
    sides = zip(("before", "after"), make_pair(1, size=(128, 128)), strict=True)
    httpx.post(f"{server.address}/api/datasets/{made}/files", files=[("files", (f"{s}/1.png", d, "image/png")) for s, d in sides])
    open_light_table(page, server, made)
    card = page.locator(".pr")
    card.hover()
    card.get_by_role("button", name="Crop").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Before and after are edited alike")
    page.locator("#crop-w").fill("64")
    page.locator("#crop-w").press("Tab")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    (row,) = store.pictures(made)
    assert [(i.width, i.height) for i in row.images] == [(64, 128)] * 2
    card.hover()
    card.get_by_role("button", name="Exclude from training").click()
    expect(card).to_contain_text("Excluded from training.")
    assert store.pictures(made)[0].excluded


def test_the_bucket_preview_counts_for_the_resolution_that_is_asked_for(page, server, dataset):
    page.goto(f"{server.address}/check?dataset={dataset}")
    preview = page.locator(".cuts[data-state=ready]")
    expect(preview.locator("[data-bucket='128x128']")).to_contain_text("3 pictures")
    field = preview.get_by_label("Resolution, px")
    expect(field).to_have_value("128")
    field.fill("256")
    field.press("Enter")
    expect(preview.locator("[data-bucket='256x256']")).to_contain_text("all enlarged, up to 1.3 times")
    preview.get_by_role("button", name="All square").click()
    expect(preview.locator("[data-bucket='256x256']")).to_contain_text("4 pictures")
    field.fill("250")
    field.press("Enter")
    expect(page.get_by_text("The resolution is 250 px; it must be a multiple of 32")).to_be_visible()


def test_a_finding_about_a_long_picture_opens_its_crop(page, server, dataset):
    long = encode(draw_corners(900, 200))
    httpx.post(f"{server.address}/api/datasets/{dataset}/files", files=[("files", ("long.png", long, "image/png"))])
    page.goto(f"{server.address}/check?dataset={dataset}")
    page.wait_for_selector("#report[data-state=ready]")
    page.locator("#report [data-code=long]").get_by_role("button", name="Crop 05").click()
    expect(page.get_by_role("dialog")).to_contain_text("05  long.png")


def test_a_mask_is_painted_erased_and_taken_away(table, store, dataset):
    table.locator(".d-thumb[data-id] .w").first.dblclick()
    table.get_by_role("button", name="Mask", exact=True).click()
    dialog = table.locator("dialog.d-paint[data-state=ready]")
    expect(dialog).to_contain_text("Nothing is covered yet.")
    expect(dialog.get_by_role("button", name="Save")).to_be_disabled()
    plate = table.locator(".plate").bounding_box()
    middle = plate["y"] + plate["height"] / 2
    drag(table, (plate["x"] + plate["width"] * 0.2, middle), (plate["x"] + plate["width"] * 0.8, middle))
    expect(dialog).to_contain_text("% of the picture is learnt.")
    dialog.get_by_role("button", name="Erase").click()
    drag(table, (plate["x"] + plate["width"] * 0.6, middle), (plate["x"] + plate["width"] * 0.9, middle))
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    mask = read_mask(store, dataset)
    assert mask.size == (400, 200)
    assert [mask.getpixel((x, 100)) for x in (120, 200, 300)] == [255, 255, 0] and mask.getpixel((200, 190)) == 0
    table.keyboard.press("Control+z")
    expect(table.locator(".d-toast")).to_contain_text("Back again")
    assert not store.pictures(dataset)[0].mask


def test_a_mask_is_painted_with_the_keyboard_alone_and_inverted(table, store, dataset):
    table.locator(".d-thumb[data-id] .w").first.focus()
    table.keyboard.press("m")
    dialog = table.locator("dialog.d-paint[data-state=ready]")
    expect(dialog).to_be_visible()
    table.keyboard.press("Space")
    dialog.get_by_role("button", name="Invert").click()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    mask = read_mask(store, dataset)
    assert (mask.getpixel((200, 100)), mask.getpixel((20, 20))) == (0, 255)
    table.keyboard.press("m")
    expect(dialog).to_contain_text("9")  # nearly all of it
    dialog.get_by_role("button", name="Take the mask away").click()
    expect(dialog).to_have_count(0)
    assert not store.pictures(dataset)[0].mask


def read_mask(store, dataset):
    path = store.workspace.dataset(dataset) / store.pictures(dataset)[0].mask
    with Image.open(path) as mask:
        return mask.convert("L")

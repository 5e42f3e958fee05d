"""The light table in a real browser: drop, look, choose, remove, undo."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from dataclasses import replace

import httpx
import pytest
from PIL import Image
from playwright.sync_api import expect

from studio.datasets.store import DatasetStore
from tests.browser.held import Held
from tests.browser.light_table import open_light_table

pytestmark = pytest.mark.slow

COLOURS = ["red", "blue", "gold", "teal", "pink", "gray"]
DROP = """([files, place]) => {
  const transfer = new DataTransfer();
  for (const [name, data] of files) {
    transfer.items.add(new File([Uint8Array.from(atob(data), c => c.charCodeAt(0))], name));
  }
  const target = document.querySelector(place);
  for (const kind of ['dragenter', 'dragover', 'drop']) {
    target.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: transfer}));
  }
}"""


def picture(colour, size=(300, 300)):
    data = io.BytesIO()
    Image.new("RGB", size, colour).save(data, "PNG")
    return data.getvalue()


def drop(page, *files, place="body"):
    page.evaluate(DROP, [[[name, base64.b64encode(data).decode()] for name, data in files], place])


def choose(page, *files):
    page.set_input_files("#pick-files", [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files])


@pytest.fixture
def make_colours(server):
    """Makes a data set of six pictures; its id."""

    def make():
        made = httpx.post(f"{server.address}/api/datasets", json={"name": "Colours"}).json()["id"]
        files = [("files", (f"{c}.png", picture(c, (300, 300 if n else 200)), "image/png")) for n, c in enumerate(COLOURS)]
        httpx.post(f"{server.address}/api/datasets/{made}/files", files=files)
        return made

    return make


@pytest.fixture
def table(page, server, make_colours):
    """An open light table with six pictures."""
    return open_light_table(page, server, make_colours())


def test_dropped_pictures_make_a_data_set_named_after_the_zip(page, server):
    page.goto(f"{server.address}/dataset")
    expect(page.get_by_text("Drop 10 to 30 pictures here")).to_be_visible()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for colour in COLOURS:
            archive.writestr(f"{colour}.png", picture(colour))
    drop(page, ("Summer colours.zip", packed.getvalue()))
    expect(page.locator(".d-thumb[data-id]")).to_have_count(6)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Summer colours")
    expect(page).to_have_url(re.compile(r"\?dataset=summer-colours"))
    expect(page.get_by_role("link", name="Caption 6 pictures")).to_have_attribute("href", re.compile("/captions.dataset=summer-colours"))
    page.reload()
    expect(page.locator(".d-thumb[data-id]")).to_have_count(6)


def test_files_chosen_by_hand_come_in_with_captions_and_refused_ones_are_listed(page, server):
    page.goto(f"{server.address}/dataset")
    page.wait_for_selector("#light[data-state=ready]")
    choose(
        page, ("mug_01.png", picture("red")), ("mug_01.txt", b"a red mug"), ("mug_02.png", picture("blue")), ("sketch.psd", b"8BPS.....")
    )
    expect(page.locator(".d-thumb[data-id]")).to_have_count(2)
    expect(page.get_by_role("heading", name="1 file was not taken")).to_be_visible()
    expect(page.get_by_text("sketch.psd")).to_be_visible()
    expect(page.get_by_role("button", name="Retry sketch.psd")).to_be_visible()
    expect(page.locator(".d-dock")).to_contain_text("1 still needs a caption")


def test_a_folder_is_taken_with_its_subfolders_and_without_what_systems_leave_in_it(page, server, tmp_path):
    (tmp_path / "Blue mugs" / "more").mkdir(parents=True)
    for n, colour in enumerate(COLOURS):
        (tmp_path / "Blue mugs" / ("more" if n % 2 else "") / f"{colour}.png").write_bytes(picture(colour))
    (tmp_path / "Blue mugs" / "red.txt").write_text("a red mug", "utf-8")
    (tmp_path / "Blue mugs" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "Blue mugs" / "Thumbs.db").write_bytes(b"x")
    page.goto(f"{server.address}/dataset")
    page.wait_for_selector("#light[data-state=ready]")
    page.set_input_files("#pick-folder", tmp_path / "Blue mugs")
    expect(page.locator(".d-thumb[data-id]")).to_have_count(6)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Blue mugs")
    expect(page.locator(".d-dock")).to_contain_text("5 still need a caption")
    expect(page.get_by_text("not taken")).to_have_count(0)


def test_choosing_with_mouse_and_keyboard(table):
    frames = table.locator(".d-thumb[data-id] .w")
    frames.nth(1).click()
    expect(frames.nth(1)).to_be_checked()
    frames.nth(3).click(modifiers=["Shift"])
    expect(table.get_by_text("3 selected")).to_be_visible()
    table.keyboard.press("Escape")
    expect(table.get_by_text("selected")).to_have_count(0)
    frames.nth(0).focus()
    table.keyboard.press("Space")
    table.keyboard.press("Shift+ArrowRight")
    expect(table.get_by_text("2 selected")).to_be_visible()
    table.keyboard.press("Control+a")
    expect(table.get_by_text("6 selected")).to_be_visible()


def test_a_lasso_chooses_what_it_touches(table):
    table.wait_for_selector("#light[data-marks=ready]")  # nothing above the grid comes and moves it any more
    first, second = (table.locator(".d-thumb[data-id] .w").nth(n).bounding_box() for n in (0, 1))
    table.mouse.move(first["x"] - 12, first["y"] - 12)
    table.mouse.down()
    table.mouse.move(second["x"] + 20, second["y"] + 30, steps=4)
    table.mouse.up()
    expect(table.get_by_text("2 selected")).to_be_visible()


def test_no_picture_moves_under_the_pointer_when_marks_arrive_or_some_are_selected(page, server, make_colours):
    held = Held(page, "**/marks?*")
    open_light_table(page, server, make_colours())
    frames = page.locator(".d-thumb[data-id] .w")
    before = frames.nth(1).bounding_box()
    held.end()
    expect(page.get_by_role("button", name=re.compile("Needs a look"))).to_be_visible()
    assert frames.nth(1).bounding_box() == before
    frames.nth(0).click()
    expect(page.get_by_text("1 selected")).to_be_visible()
    assert frames.nth(1).bounding_box() == before
    assert page.locator(".bar").bounding_box()["height"] < 60  # one row, of which nothing is kept free for what is not there


def test_removed_pictures_come_back_by_undo(table):
    table.locator(".d-thumb[data-id] .w").nth(2).click()
    table.keyboard.press("Delete")
    expect(table.locator(".d-thumb[data-id]")).to_have_count(5)
    expect(table.locator(".d-toast")).to_contain_text("1 picture removed")
    table.keyboard.press("Control+z")
    expect(table.locator(".d-thumb[data-id]")).to_have_count(6)
    table.locator(".d-thumb[data-id] .w").nth(0).click()
    table.get_by_role("button", name="Remove", exact=True).click()
    table.locator(".d-toast").get_by_role("button", name="Undo").click()
    expect(table.locator(".d-thumb[data-id]")).to_have_count(6)


def test_the_shapes_filter(table):
    table.get_by_role("button", name="3:2: 1 picture").click()
    expect(table.locator(".d-thumb[data-id]")).to_have_count(1)
    table.get_by_role("button", name="3:2: 1 picture").click()
    expect(table.locator(".d-thumb[data-id]")).to_have_count(6)


def test_a_picture_is_looked_at_large_and_the_arrows_go_on(table):
    table.locator(".d-thumb[data-id] .w").nth(0).dblclick()
    dialog = table.get_by_role("dialog")
    expect(dialog).to_contain_text("1 of 6 red.png")
    expect(dialog).to_contain_text("300 × 200 px")
    table.keyboard.press("ArrowRight")
    expect(dialog).to_contain_text("2 of 6 blue.png")
    table.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_the_name_is_changed_in_place_and_shown_as_text(table):
    table.get_by_role("button", name="Rename this data set").click()
    field = table.get_by_role("textbox", name="Name of the data set")
    field.fill("<img src=x onerror=alert(1)>")
    field.press("Enter")
    expect(table.get_by_role("heading", level=1)).to_contain_text("<img src=x onerror=alert(1)>")
    expect(table.locator(".d-switch")).to_contain_text("<img src=x onerror=alert(1)>")


def test_a_data_set_that_is_gone_is_said_so(page, server):
    page.goto(f"{server.address}/dataset?dataset=never-was")
    expect(page.get_by_text("There is no data set called “never-was”")).to_be_visible()
    expect(page.get_by_role("link", name="Begin a new one")).to_be_visible()


def test_the_question_mark_lists_the_keys(table):
    table.keyboard.press("?")
    expect(table.get_by_role("dialog")).to_contain_text("Select all")
    table.keyboard.press("Escape")
    expect(table.get_by_role("dialog")).to_have_count(0)


def test_many_pictures_are_there_to_the_last_one(page, server):
    """More than the first answer holds: the others come where one looks, and what is chosen is all of them."""
    made = httpx.post(f"{server.address}/api/datasets", json={"name": "Many", "kind": "pictures"}).json()["id"]
    httpx.post(f"{server.address}/api/datasets/{made}/files", files=[("files", ("one.png", picture("teal"), "image/png"))])
    index = DatasetStore(server.workspace).index(made)
    (one,) = index.rows()
    with index.change() as rows:
        for number in range(1, 1300):
            rows.add(replace(one, id=f"{number:024x}", name=f"{number:04d}.png"))
    open_light_table(page, server, made)
    expect(page.locator(".d-dock")).to_contain_text("1,300 pictures are in.")
    page.locator(".d-thumb .w").first.focus()
    page.keyboard.press("End")
    expect(page.locator(".d-thumb").last).to_have_attribute("data-id", f"{1299:024x}")
    assert page.locator(".d-thumb").count() < 150  # only what is near the window is in the page
    page.keyboard.press("Control+a")
    expect(page.get_by_text("1,300 selected")).to_be_visible()
    page.keyboard.press("Delete")
    expect(page.get_by_text("1,300 pictures removed")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".d-dock")).to_contain_text("1,300 pictures are in.")


def test_what_was_removed_before_a_reload_comes_back_by_the_keyboard(table):
    table.locator(".d-thumb .w").first.click()
    table.locator(".d-thumb .w").nth(2).click(modifiers=["Shift"])
    table.keyboard.press("Delete")
    expect(table.locator(".d-dock")).to_contain_text("3 pictures are in.")
    table.reload()
    table.wait_for_selector("#light[data-state=ready]")
    table.get_by_role("button", name="More").click()
    expect(table.get_by_role("button", name="Undo the last change")).to_be_visible()
    table.keyboard.press("Escape")
    table.keyboard.press("Control+z")
    expect(table.locator(".d-dock")).to_contain_text("6 pictures are in.")
    expect(table.locator(".d-thumb").first).to_contain_text("01")


def test_a_shape_is_filtered_by_the_server_and_a_lasso_reaches_over_it(table):
    table.get_by_role("button", name=re.compile("^3:2: 1 picture")).click()
    expect(table.locator(".d-thumb")).to_have_count(1)
    table.get_by_role("button", name=re.compile("^3:2: 1 picture")).click()
    expect(table.locator(".d-thumb")).to_have_count(6)
    table.wait_for_selector("#light[data-marks=ready]")
    box = table.locator(".d-thumb .w").nth(1).bounding_box()
    table.mouse.move(box["x"] - 8, box["y"] - 8)
    table.mouse.down()
    table.mouse.move(box["x"] + 40, box["y"] + 40, steps=4)
    table.mouse.up()
    expect(table.get_by_text("1 selected")).to_be_visible()


@pytest.mark.parametrize("page", [{"viewport": {"width": 390, "height": 844}, "has_touch": True}], indirect=True, ids=["phone"])
def test_on_a_phone_all_that_can_be_done_with_chosen_pictures_is_in_view(table):
    table.locator(".d-thumb[data-id] .w").nth(1).tap()
    for name in ("Crop", "Mask", "Exclude", "Remove", "Clear the selection"):
        expect(table.locator(".selt").get_by_role("button", name=name, exact=True)).to_be_in_viewport(ratio=1)


def test_all_of_a_shape_are_chosen_once_it_is_known_which_they_are(table):
    held = []

    def hold(route):
        held.append(route)

    table.route("**/places?shape=*", hold)
    table.get_by_role("button", name=re.compile("^3:2: 1 picture")).click()
    table.keyboard.press("Control+a")
    expect(table.get_by_text("Selecting …")).to_be_visible()
    held[0].continue_()
    expect(table.get_by_text("1 selected")).to_be_visible()

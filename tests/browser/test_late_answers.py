"""What comes in between: an answer that comes after a newer one, a redraw between press and release, a second press before the answer.

The browser holds an answer back as long as a test wants (`Held`), and lets it go when something else has happened.
"""

from __future__ import annotations

import re

import httpx
import pytest
from PIL import Image, ImageFilter
from playwright.sync_api import expect

from studio.datasets.captions import set_caption
from studio.datasets.ingest import ingest_upload
from studio.datasets.samples import create_sample_dataset
from studio.datasets.store import DatasetStore
from tests.browser.captions_page import open_captions, texts, wait_for_text
from tests.browser.held import Held
from tests.browser.light_table import open_light_table
from tests.browser.test_dataset_page import COLOURS, drop, picture
from tests.studio.datasets.many import create_many
from tests.studio.datasets.pairs import make_pair

pytestmark = pytest.mark.slow


@pytest.fixture
def zog(server):
    store = DatasetStore(server.workspace)
    info = create_sample_dataset(store, "zog")
    yield store, info.id
    store.delete(info.id)


@pytest.fixture
def six(page, server):
    """An open light table with six pictures; its data set."""
    made = httpx.post(f"{server.address}/api/datasets", json={"name": "Colours"}).json()["id"]
    files = [("files", (f"{colour}.png", picture(colour), "image/png")) for colour in COLOURS]
    httpx.post(f"{server.address}/api/datasets/{made}/files", files=files).raise_for_status()
    open_light_table(page, server, made)
    return made


def middle(locator):
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_button_that_is_drawn_anew_between_press_and_release_is_pressed(page, server, zog):
    box = open_captions(page, server, zog[1])
    page.locator("#place label", has_text="Last").click()
    button = page.get_by_role("button", name="Put it last in all 12")
    expect(button).to_be_visible()
    box.fill("zog has left the field")
    page.mouse.move(*middle(button))
    page.mouse.down()  # the field is left, so it is saved; what is saved draws the button anew
    page.wait_for_selector("#notebook .sv.saved")
    page.mouse.up()
    expect(page.locator(".d-toast")).to_contain_text("Changed 12 captions")
    assert texts(zog)[0] == "has left the field, zog"


def test_what_is_chosen_before_the_data_sets_own_word_came_stays_and_takes_no_word_away(page, server, zog):
    store, dataset = zog
    held = Held(page, "**/gradio_api/**/predict*")
    page.goto(f"{server.address}/captions?dataset={dataset}")
    page.wait_for_selector("#notebook[data-state=ready]")
    held.wait()
    page.locator("#place label", has_text="Last").click()
    expect(page.locator("#place label.selected")).to_have_text("Last")
    held.end()
    expect(page.get_by_role("button", name="Put it last in all 12")).to_be_visible()
    expect(page.locator("#f-trigger").locator("textarea,input")).to_have_value("zog")
    expect(page.locator("#place label.selected")).to_have_text("Last")
    assert store.info(dataset).trigger_word == "zog"


def test_a_replace_waits_for_the_words_that_are_on_their_way(page, server, zog):
    box = open_captions(page, server, zog[1])
    page.keyboard.press("Control+f")
    page.get_by_label("Find", exact=True).fill("background")
    page.get_by_label("Put in its place").fill("wall")
    act = page.get_by_role("button", name="Replace in 12 captions")
    expect(act).to_be_enabled()
    held = Held(page, "**/api/captions/*/pictures/*")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/replace") else None)
    box.fill("zog before a background")
    held.wait()
    act.click()
    expect(act).to_be_disabled()
    assert not asked
    held.end()
    expect(page.locator(".d-toast")).to_contain_text("Changed 12 captions")
    expect(box).to_have_value("zog before a wall")
    expect(page.locator("#notebook")).to_have_attribute("data-state", "ready")
    assert texts(zog)[0] == "zog before a wall"


def test_what_is_typed_while_a_save_is_on_its_way_goes_out_after_it(page, server, zog):
    box = open_captions(page, server, zog[1])
    held = Held(page, "**/api/captions/*/pictures/*")
    box.fill("the first half")
    held.wait()
    box.press("End")
    page.keyboard.type(" and the second")
    held.end()
    wait_for_text(page, zog, 0, "the first half and the second")
    expect(page.locator("#notebook .sv")).to_have_class(re.compile("saved"))
    expect(box).to_have_value("the first half and the second")


def test_news_from_before_a_save_do_not_take_its_words_away(page, server, zog):
    box = open_captions(page, server, zog[1])
    box.fill("the first words")
    wait_for_text(page, zog, 0, "the first words")
    page.wait_for_selector("#notebook .sv.saved")
    held = Held(page, "**/changes?since=*", answered=True, times=1)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    held.wait()
    box.fill("the second words")
    wait_for_text(page, zog, 0, "the second words")
    page.wait_for_selector("#notebook .sv.saved")
    held.let_go()
    box.press("End")
    page.keyboard.type(", and more")
    wait_for_text(page, zog, 0, "the second words, and more")
    expect(box).to_have_value("the second words, and more")


def test_what_was_not_shown_is_not_done_to_the_tags(page, server, zog):
    before = texts(zog)
    open_captions(page, server, zog[1])
    page.get_by_role("button", name="Tags", exact=True).click()
    page.get_by_label("Tag", exact=True).fill("smiling")
    expect(page.get_by_role("button", name="Add in 12 captions")).to_be_enabled()
    held = Held(page, "**/tags/preview")
    act = page.locator(".tg .d-btn.pri")
    page.get_by_role("radio", name="Take out").click()
    expect(act).to_be_disabled()
    page.get_by_role("radio", name="Add").click()
    expect(act).to_be_disabled()
    page.get_by_label("Tag", exact=True).fill("waving")
    page.get_by_label("Tag", exact=True).press("Enter")
    held.wait()
    held.end()
    assert texts(zog) == before


def test_the_table_of_tags_shows_what_was_looked_for_last(page, server, zog):
    open_captions(page, server, zog[1])
    page.get_by_role("button", name="Tags", exact=True).click()
    like, table = page.get_by_label("Find a tag"), page.locator(".tgs")
    expect(table.locator("li")).not_to_have_count(0)
    held = Held(page, "**/words?kind=tags&*like=zog", answered=True)
    like.fill("zog")
    held.wait()
    like.fill("no tag is like this")
    expect(page.locator(".tg-r")).to_contain_text("No tag is like this.")
    held.let_go()
    expect(table.locator("li")).to_have_count(0)


def test_a_search_without_a_find_shows_all_again(page, server, zog):
    open_captions(page, server, zog[1])
    purple = sum("purple" in text for text in texts(zog))
    search, status = page.get_by_label("Search the captions"), page.locator(".flt [role=status]")
    search.fill("purple")
    expect(page.locator("#notebook .ct")).to_have_count(purple)
    search.fill("purple elephant")
    expect(status).to_have_text("No caption is like this; all are shown.")
    expect(page.locator("#notebook .ct")).to_have_count(12)


def test_what_was_searched_for_stays_shown_when_pictures_come_elsewhere(page, server, zog):
    store, dataset = zog
    open_captions(page, server, dataset)
    purple = sum("purple" in text for text in texts(zog))
    page.get_by_label("Search the captions").fill("purple")
    expect(page.locator("#notebook .ct")).to_have_count(purple)
    files = [("files", ("another.png", picture("gold"), "image/png"))]
    httpx.post(f"{server.address}/api/datasets/{dataset}/files", files=files).raise_for_status()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#notebook")).to_contain_text(f"{purple} of 13 pictures")
    expect(page.locator("#notebook .ct")).to_have_count(purple)


def test_the_picture_that_was_chosen_last_is_shown_whichever_comes_last(page, server):
    store = DatasetStore(server.workspace)
    made = create_many(store, 1000, "A thousand")
    open_captions(page, server, made)
    held = Held(page, "**/rows?places=*")
    page.locator("#notebook .room").evaluate("(room) => { room.scrollTop = room.scrollHeight; }")
    page.locator("#notebook .ct[data-index='999']").click()
    held.wait(2)  # the grid's, and that of the one that is to be shown
    page.locator("#notebook .room").evaluate("(room) => { room.scrollTop = 0; }")
    page.locator("#notebook .ct[data-index='1']").click()
    expect(page.get_by_label("Picture 02", exact=True)).to_be_visible()
    held.end()
    expect(page.get_by_label("Picture 02", exact=True)).to_be_visible()
    store.delete(made)


def test_removed_pictures_do_not_come_back_with_an_older_answer(page, server, six):
    frames = page.locator(".d-thumb[data-id]")
    held = Held(page, re.compile(f"/api/datasets/{six}$"), answered=True, times=1)
    frames.nth(1).locator(".w").click()
    page.keyboard.press("Delete")
    held.wait()
    frames.nth(2).hover()  # one that is chosen waits for the first; one that is looked at does not
    frames.nth(2).locator(".zoom").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove this picture").click()
    expect(frames).to_have_count(4)
    held.let_go()
    expect(frames).to_have_count(4)
    expect(page.locator(".d-dock")).to_contain_text("4 pictures are in.")


def test_an_open_menu_stays_whatever_is_drawn_around_it(page, server):
    made = httpx.post(f"{server.address}/api/datasets", json={"name": "Halves", "kind": "pairs"}).json()["id"]
    first, second = make_pair(1, size=(128, 128)), make_pair(2, size=(128, 128))
    files = [("before/1.png", first[0]), ("after/1.png", first[1]), ("before/2.png", second[0]), ("after/3.png", make_pair(3)[1])]
    address = f"{server.address}/api/datasets/{made}/files"
    httpx.post(address, files=[("files", (name, data, "image/png")) for name, data in files]).raise_for_status()
    open_light_table(page, server, made)
    expect(page.get_by_role("button", name="Match by name")).to_be_visible()
    held = Held(page, "**/kinds")
    page.locator(".pr input.d-in").first.fill("make it blue")
    page.locator(".pr input.d-in").first.press("Escape")
    held.wait()
    page.get_by_role("button", name="More", exact=True).click()
    httpx.post(address, files=[("files", ("after/2.png", second[1], "image/png"))]).raise_for_status()
    held.let_go()
    expect(page.get_by_role("button", name="Match by name")).to_have_count(0)  # what stands beside the menu is drawn anew
    expect(page.locator(".d-actions")).to_be_visible()
    assert page.evaluate("!!document.activeElement.closest('.d-actions')")


def test_a_second_press_on_a_slow_machine_opens_no_second_dialogue(page, server, six):
    held = Held(page, re.compile("/pictures/[^/]+/(edit|mask)$"))
    page.locator(".d-thumb[data-id] .w").first.focus()
    for key in "ccm":
        page.keyboard.press(key)
    held.wait(3)
    held.end()
    expect(page.get_by_role("dialog")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_two_undos_go_one_after_the_other(page, server, six):
    frames = page.locator(".d-thumb[data-id]")
    for left in (5, 4):
        frames.first.locator(".w").click()
        page.keyboard.press("Delete")
        expect(frames).to_have_count(left)
        expect(page.locator(".d-toast")).to_contain_text("1 picture removed")
    held = Held(page, "**/undo")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    held.wait()
    assert len(held) == 1  # the second waits for the first, whose answer is the older one
    held.let_go()
    held.wait()
    held.let_go()
    expect(frames).to_have_count(6)


def test_two_drops_before_there_is_a_data_set_come_into_one(page, own_server):
    page.goto(own_server.address)
    page.wait_for_selector("#home[data-state=ready]")
    held = Held(page, "**/api/datasets")
    drop(page, ("red.png", picture("red")))
    drop(page, ("blue.png", picture("blue")))
    held.wait()
    held.end()
    expect(page).to_have_url(re.compile(r"/dataset\?dataset="))
    expect(page.locator(".d-dock")).to_contain_text("2 pictures are in.")
    assert len(DatasetStore(own_server.workspace).list()) == 1


def test_a_panel_that_is_opened_again_before_its_pictures_are_here_has_them_once(page, server, zog):
    store, dataset = zog
    for row in store.pictures(dataset)[:6]:
        set_caption(store, dataset, row.id, "no word of ours", row.version)
    page.goto(f"{server.address}/check?dataset={dataset}")
    page.wait_for_selector("#report[data-state=ready]")
    held = Held(page, "**/part/*")
    opener = page.locator("#report [data-code=no_trigger_word]").get_by_role("button", name="Show all 6")
    for _ in range(3):
        opener.click()
    held.wait()
    held.end()
    expect(page.locator(".more:visible .mf")).to_contain_text("all 6 pictures")
    expect(page.locator(".more:visible .mt")).to_have_count(6)


def test_a_double_press_on_the_docks_button_removes_once_and_is_undone(page, server, zog, tmp_path):
    store, dataset = zog
    for number in (4, 5):
        source = Image.open(store.path(dataset, store.pictures(dataset)[number].id)).convert("RGB")
        source.filter(ImageFilter.GaussianBlur(16)).save(tmp_path / f"soft_{number}.png")
        ingest_upload(store, dataset, f"soft_{number}.png", tmp_path / f"soft_{number}.png")
    page.goto(f"{server.address}/check?dataset={dataset}")
    page.wait_for_selector("#report[data-state=ready]")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/act") else None)
    page.locator("#ck-mend").dblclick()
    expect(page.locator("#report [data-code=blurred]")).to_have_count(0)
    assert len(asked) == 1
    page.locator(".d-toast").get_by_role("button", name="Undo").click()
    expect(page.locator("#report [data-code=blurred]")).to_have_count(1)
    assert store.info(dataset).num_pictures == 14


def test_the_keyboard_does_not_edit_the_picture_before_the_one_on_its_way(page, server):
    page.goto(f"{server.address}/generate?mode=edit")
    page.wait_for_selector("#print[data-state=ready]")
    held = Held(page, "**/api/inputs")
    drop(page, ("apple.png", picture("red")))
    held.wait()
    page.get_by_label("Instruction", exact=True).fill("make it blue")
    page.get_by_label("Instruction", exact=True).press("Control+Enter")
    expect(page.locator("#e-image")).to_be_hidden()
    held.let_go()
    expect(page.locator("#print .src b")).to_have_text("apple.png")

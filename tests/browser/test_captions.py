"""The caption notebook in a real browser: silent saving, nothing lost, changes of many with a preview and a way back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from studio.datasets.captions import set_caption
from studio.datasets.samples import create_sample_dataset
from studio.datasets.store import DatasetStore
from tests.browser.captions_page import open_captions, texts, wait_for_text

pytestmark = pytest.mark.slow


@pytest.fixture
def zog(server):
    store = DatasetStore(server.workspace)
    info = create_sample_dataset(store, "zog")
    yield store, info.id
    store.delete(info.id)


def test_what_is_typed_is_saved_without_a_button(page, server, zog):
    box = open_captions(page, server, zog[1])
    box.fill("zog waves at the sea")
    page.wait_for_selector("#notebook .sv.saved")
    wait_for_text(page, zog, 0, "zog waves at the sea")
    page.reload()
    page.wait_for_selector("#notebook[data-state=ready]")
    expect(box).to_have_value("zog waves at the sea")


def test_ctrl_enter_saves_and_goes_on(page, server, zog):
    box = open_captions(page, server, zog[1])
    box.fill("first")
    box.press("Control+Enter")
    expect(page.get_by_label("Picture 02", exact=True)).to_be_visible()
    box.fill("second")
    box.press("Control+Enter")
    wait_for_text(page, zog, 0, "first")
    wait_for_text(page, zog, 1, "second")


def test_a_failed_save_says_so_keeps_the_words_and_goes_through_on_retry(page, server, zog):
    box = open_captions(page, server, zog[1])
    page.route("**/api/captions/*/pictures/*", lambda route: route.abort())
    box.fill("not lost")
    retry = page.get_by_role("button", name="Not saved, try again")
    with page.expect_request("**/api/captions/*/pictures/*"):
        retry.click()
    expect(retry).to_be_visible()  # that failed too, and a moment later it is tried again without being asked
    page.unroute("**/api/captions/*/pictures/*")
    wait_for_text(page, zog, 0, "not lost")


def test_a_caption_changed_elsewhere_is_told_and_neither_is_lost(page, server, zog):
    store, dataset = zog
    box = open_captions(page, server, zog[1])
    first = store.pictures(dataset)[0]
    set_caption(store, dataset, first.id, "words of another window", first.version)
    box.fill("words of this window")
    page.wait_for_selector("#notebook[data-state=clash]")
    assert "words of another window" in page.locator("#notebook .clip").inner_text()
    assert texts(zog)[0] == "words of another window"
    page.get_by_role("button", name="Keep mine").click()
    wait_for_text(page, zog, 0, "words of this window")


def test_replace_shows_its_effect_first_and_can_be_undone(page, server, zog):
    before = texts(zog)
    open_captions(page, server, zog[1])
    page.get_by_role("button", name="Find and replace").first.click()
    page.get_by_label("Find", exact=True).fill("background")
    page.get_by_label("Put in its place").fill("wall")
    act = page.get_by_role("button", name=re.compile("Replace in 12 captions"))
    act.wait_for()
    assert texts(zog) == before
    act.click()
    page.get_by_role("button", name="Undo").wait_for()
    assert all("wall" in t and "background" not in t for t in texts(zog))
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Put back as it was").wait_for()
    assert texts(zog) == before


def test_a_broken_pattern_is_told_at_its_field(page, server, zog):
    open_captions(page, server, zog[1])
    page.get_by_role("button", name="Find and replace").first.click()
    page.get_by_label("Regular expression").check()
    page.get_by_label("Find", exact=True).fill("zog(")
    page.locator("#fr-err:visible").wait_for()
    assert "not a regular expression" in page.locator("#fr-err").inner_text()
    assert page.get_by_role("button", name="Replace", exact=True).is_disabled()


def test_a_word_chip_counts_filters_and_takes_out(page, server, zog):
    open_captions(page, server, zog[1])
    chip = page.locator("#notebook .d-chip", has_text="purple")
    number = int(chip.locator("b").inner_text())
    assert number == sum("purple" in t for t in texts(zog))
    chip.click()
    page.get_by_role("button", name=f"Show the {number}").click()
    expect(page.locator("#notebook .ct")).to_have_count(number)
    page.get_by_role("button", name="Take out").click()
    page.get_by_role("button", name=re.compile(f"Replace in {number} captions")).click()
    page.get_by_role("button", name="Undo").wait_for()
    assert not any("purple" in t for t in texts(zog))


@pytest.mark.parametrize("word", ["two words", 'zo"g'])
def test_a_trigger_word_that_cannot_be_one_is_told_at_its_field(page, server, zog, word):
    open_captions(page, server, zog[1])
    page.locator("#f-trigger textarea, #f-trigger input").fill(word)
    page.locator("#f-trigger .d-err").wait_for()
    assert "must be one word" in page.locator("#f-trigger .d-err").inner_text()
    assert zog[0].info(zog[1]).trigger_word == "zog"


def test_the_trigger_word_moves_to_the_end_of_all_captions(page, server, zog):
    open_captions(page, server, zog[1])
    page.locator("#place label", has_text="Last").click()
    page.get_by_role("button", name="Put it last in all 12").click()
    page.get_by_role("button", name="Undo").wait_for()
    assert all(t.endswith(", zog") and not t.startswith("zog") for t in texts(zog))
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Put back as it was").wait_for()
    assert all(t.startswith("zog ") for t in texts(zog))


def test_the_keyboard_alone_moves_through_the_pictures(page, server, zog):
    open_captions(page, server, zog[1])
    page.locator("#notebook .ct").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#notebook .ct[aria-current]")).to_have_attribute("data-index", "4")
    page.keyboard.press("Enter")
    expect(page.locator("#cap")).to_be_focused()
    page.keyboard.press("Alt+ArrowLeft")
    expect(page.get_by_label("Picture 04", exact=True)).to_be_visible()


def test_tokens_are_counted_and_the_limit_is_told(page, server, zog):
    box = open_captions(page, server, zog[1])
    expect(page.locator("#cap-tok")).to_have_text("5 of 22 tokens")
    box.fill("zog " * 30)
    page.locator("#cap-tok", has_text="are cut off").wait_for()


def test_the_base_model_is_asked_what_it_makes_of_the_trigger_word(page, server, zog):
    open_captions(page, server, zog[1])
    known = page.locator(".kn")
    expect(known).to_contain_text("one of the 1,909 tokens of Pocket")
    known.get_by_role("button", name="See what it draws").click()
    expect(known.get_by_role("img", name="What Pocket draws for “zog”")).to_be_visible(timeout=120_000)


def test_what_all_captions_share_is_told_and_leads_to_taking_it_out(page, server, zog):
    open_captions(page, server, zog[1])
    advice = page.locator(".adv")
    expect(advice).to_contain_text("“background” stands in 12 of 12")
    advice.get_by_role("button", name="Take “background” out").click()
    page.get_by_role("button", name=re.compile("Replace in 12 captions")).click()
    page.get_by_role("button", name="Undo", exact=True).wait_for()
    assert not any("background" in t for t in texts(zog))
    expect(advice).not_to_contain_text("background")


def test_without_a_data_set_the_page_teaches(page, server):
    page.goto(server.address + "/captions")
    page.wait_for_selector("#notebook[data-state=empty]")
    assert page.get_by_role("link", name="Go to the pictures").is_visible()

"""The preview of what training reads: the server's own draws, by the keyboard, on a phone, and handed over to Train."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

from studio.datasets.captions import change_captions
from studio.datasets.history import Cause
from studio.datasets.readings import plan_reading, preview_readings
from studio.datasets.samples import create_sample_dataset
from studio.datasets.store import DatasetStore
from tests.browser.captions_page import open_captions, texts
from tests.studio.datasets.pairs import make_pair

SETTINGS = {"caption_dropout": 0.2, "shuffle_tags": True, "keep_tags": 2, "seed": 9}
TAGS = "zog, red wall, smiling, waving, at night"


@pytest.fixture
def zog(server):
    store = DatasetStore(server.workspace)
    info = create_sample_dataset(store, "zog")
    words = {picture.id: f"{TAGS}, number {n}" for n, picture in enumerate(store.pictures(info.id))}
    change_captions(store, info.id, words, by="person", cause=Cause("replace", many=True))
    yield store, info.id
    store.delete(info.id)


def open_preview(page, server, dataset):
    open_captions(page, server, dataset)
    tool = page.get_by_role("button", name="Preview", exact=True)
    tool.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Caption dropout")).to_be_focused()
    return page.locator(".rd-list")


def set_up(page):
    page.get_by_label("Caption dropout").fill("20")
    page.get_by_label("Seed", exact=True).fill("9")
    page.get_by_label("Shuffle tags").check()
    page.get_by_label("Tags that keep their place").fill("2")


def expect_rows(page, store, dataset, *, among=None, settings=SETTINGS):
    rows = preview_readings(store, dataset, plan_reading(settings, "zog"), among=among)
    told = [text or "(empty caption)" for row in rows for text in row.passes]
    expect(page.locator(".rd-list ol li")).to_have_text(told)
    return told


def test_it_shows_what_the_trainers_functions_say_and_changes_nothing(page, server, zog):
    store, dataset = zog
    before = texts(zog)
    open_preview(page, server, dataset)
    expect_rows(page, store, dataset, settings={"caption_dropout": 0.05, "seed": 1})  # what stands there at first
    set_up(page)
    told = expect_rows(page, store, dataset)
    assert len(told) == 40 and "(empty caption)" in told and len(set(told)) > 20
    expect(page.locator(".rd .sum")).to_contain_text("Tags change places in 12 of 12 captions. Encoded once: 96 texts instead of 12.")
    page.get_by_role("button", name="Another seed").click()
    expect(page.locator(".rd-list ol li")).not_to_have_text(told)
    assert texts(zog) == before


def test_selected_captions_alone_are_shown_and_typing_follows(page, server, zog):
    store, dataset = zog
    open_preview(page, server, dataset)
    set_up(page)
    expect_rows(page, store, dataset)
    page.locator("#notebook .ct").nth(3).focus()
    page.keyboard.press("Space")
    expect_rows(page, store, dataset, among=[1])
    expect(page.locator(".rd .sum")).to_contain_text("The selected ones.")
    page.locator("#cap").fill("one, two, three, four, five")
    page.wait_for_selector("#notebook .sv.saved")
    expect(page.locator(".rd-list ol li").first).to_contain_text("one, two,")
    expect_rows(page, store, dataset, among=[1])


@pytest.mark.parametrize(
    ("label", "value", "words"),
    [
        ("Caption dropout", "95", "from 0 to 90 per cent"),
        ("Tags that keep their place", "-1", "from 0 to 100"),
        ("Seed", "", "without one each run draws anew"),
    ],
)
def test_a_wrong_value_is_told_with_its_rule_and_mended(page, server, zog, label, value, words):
    open_preview(page, server, zog[1])
    set_up(page)
    field = page.get_by_label(label, exact=True)
    right = field.input_value()
    field.fill(value)
    expect(page.locator(".rd .d-err")).to_contain_text(words)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("link", name="Use on Train")).to_be_hidden()
    field.fill(right)
    expect(page.locator(".rd .d-err")).to_be_hidden()
    expect_rows(page, *zog)


def test_escape_closes_it_and_another_tool_takes_its_place(page, server, zog):
    listed = open_preview(page, server, zog[1])
    page.keyboard.press("Escape")
    expect(listed).to_be_hidden()
    expect(page.get_by_role("button", name="Preview", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(listed).to_be_visible()
    page.get_by_role("button", name="Tags", exact=True).click()
    expect(listed).to_be_hidden()


def test_train_takes_the_settings_over(page, server, zog):
    open_preview(page, server, zog[1])
    set_up(page)
    expect_rows(page, *zog)
    page.get_by_role("link", name="Use on Train").click()
    page.wait_for_selector("#forecast[data-state=ready]")
    for name, value in (("caption_dropout", "0.2"), ("keep_tags", "2"), ("seed", "9")):
        expect(page.locator(f"#f-{name}").locator("textarea,input").first).to_have_value(value)
    expect(page.locator("#f-shuffle_tags input")).to_be_checked()


def test_it_fits_a_phone(page, server, zog):
    page.set_viewport_size({"width": 390, "height": 844})
    open_preview(page, server, zog[1])
    set_up(page)
    expect_rows(page, *zog)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_instructions_of_pairs_have_no_preview(page, server):
    made = httpx.post(f"{server.address}/api/datasets", json={"name": "Day to night", "kind": "pairs"}).json()["id"]
    sides = zip(("before", "after"), make_pair(1), strict=True)
    files = [("files", (f"{side}/1.png", data, "image/png")) for side, data in sides]
    httpx.post(f"{server.address}/api/datasets/{made}/files", files=files, timeout=60)
    open_captions(page, server, made)
    expect(page.get_by_role("button", name="Find and replace")).to_be_visible()
    expect(page.get_by_role("button", name="Preview", exact=True)).to_have_count(0)
    DatasetStore(server.workspace).delete(made)

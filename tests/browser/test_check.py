"""The Check page in a real browser: it checks by itself, its buttons act, and every act can be undone."""

from __future__ import annotations

import json

import pytest
from PIL import Image, ImageFilter
from playwright.sync_api import expect

from studio.datasets.captions import set_caption
from studio.datasets.ingest import ingest_upload
from studio.datasets.samples import create_sample_dataset
from studio.datasets.store import DatasetStore

pytestmark = pytest.mark.slow


@pytest.fixture
def zog(server, tmp_path):
    """The sample pictures and a blurred one without a caption."""
    store = DatasetStore(server.workspace)
    info = create_sample_dataset(store, "zog")
    source = Image.open(store.path(info.id, store.pictures(info.id)[4].id)).convert("RGB")
    source.filter(ImageFilter.GaussianBlur(16)).save(tmp_path / "soft.png")
    ingest_upload(store, info.id, "soft.png", tmp_path / "soft.png")
    yield store, info.id
    store.delete(info.id)


def open_check(page, server, dataset):
    page.goto(f"{server.address}/check?dataset={dataset}")
    page.wait_for_selector("#report[data-state=ready]")


def finding(page, code):
    return page.locator(f"#report [data-code={code}]")


def test_the_first_visit_checks_by_itself_and_says_what_to_mend(page, server, zog):
    open_check(page, server, zog[1])
    expect(page.get_by_role("img", name="Readiness")).to_be_visible()
    expect(page.locator("#report .say p")).to_have_count(3)
    expect(page.locator("#report .pt > div")).to_have_count(3)
    expect(page.locator("#report .pt > div").nth(1)).to_contain_text("One picture is blurred")
    expect(finding(page, "blurred")).to_contain_text("One picture is blurred")
    expect(finding(page, "no_caption")).to_contain_text("no caption")
    expect(page.get_by_text("How each picture will be cut")).to_be_visible()
    expect(page.locator("#report .bx img")).to_have_count(13)


def test_one_button_removes_and_undo_brings_back(page, server, zog):
    store, dataset = zog
    open_check(page, server, dataset)
    finding(page, "blurred").get_by_role("button", name="Remove 13").click()
    expect(finding(page, "blurred")).to_have_count(0)
    assert store.info(dataset).num_pictures == 12
    page.get_by_role("button", name="Undo").click()
    expect(finding(page, "blurred")).to_have_count(1)
    assert store.info(dataset).num_pictures == 13


def test_an_ignored_finding_is_folded_away_and_can_be_shown_again(page, server, zog):
    open_check(page, server, zog[1])
    finding(page, "blurred").get_by_role("button", name="Ignore").click()
    expect(finding(page, "blurred")).to_have_count(0)
    page.locator("#ignored").click()
    page.get_by_role("button", name="Show again").click()
    expect(finding(page, "blurred")).to_have_count(1)


def test_the_missing_caption_is_written_by_its_button(page, server, zog):
    store, dataset = zog
    open_check(page, server, dataset)
    finding(page, "no_caption").get_by_role("button", name="Caption").click()
    expect(finding(page, "no_caption")).to_have_count(0, timeout=120_000)
    last = store.pictures(dataset)[-1]
    assert last.text_by == "captioner"
    assert last.text.startswith("zog")


def test_an_old_report_is_told_and_checked_again(page, server, zog):
    store, dataset = zog
    open_check(page, server, dataset)
    first = store.pictures(dataset)[0]
    set_caption(store, dataset, first.id, "without the word", first.version)
    page.reload()
    page.wait_for_selector("#report[data-state=ready]")
    expect(page.get_by_text("The data set has changed since this check.")).to_be_visible()
    page.locator("#ck-again").click()
    expect(finding(page, "no_trigger_word")).to_be_visible()
    expect(page.get_by_text("The data set has changed since this check.")).to_have_count(0)


def test_the_trigger_word_is_added_by_its_button(page, server, zog):
    store, dataset = zog
    first = store.pictures(dataset)[0]
    set_caption(store, dataset, first.id, "a purple wall", first.version)
    open_check(page, server, dataset)
    finding(page, "no_trigger_word").get_by_role("button", name="Add").click()
    expect(finding(page, "no_trigger_word")).to_have_count(0)
    assert store.picture(dataset, first.id).text.startswith("zog")


def test_the_report_is_a_download(page, server, zog):
    open_check(page, server, zog[1])
    with page.expect_download() as download:
        page.locator("#ck-report").click()
    assert json.loads(download.value.path().read_text("utf-8"))["num_pictures"] == 13


def test_the_report_opens_as_a_page_that_prints_on_a4(page, server, zog):
    open_check(page, server, zog[1])
    with page.context.expect_page() as opened:
        page.locator("#ck-print").click()
    paper = opened.value
    paper.wait_for_load_state()
    expect(paper.get_by_role("heading", name="Report on")).to_be_visible()
    expect(paper.locator("li.warn")).to_have_count(3)
    paper.emulate_media(media="print")
    paper.set_viewport_size({"width": 680, "height": 960})  # what A4 leaves between its margins
    assert paper.evaluate("document.documentElement.scrollWidth") <= 680
    assert paper.evaluate("[...document.images].every((i) => i.complete && i.naturalWidth > 0)")
    assert paper.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_the_pictures_behind_the_first_ones_open_below(page, server, zog):
    store, dataset = zog
    for picture in store.pictures(dataset)[:6]:
        set_caption(store, dataset, picture.id, "no word of ours", picture.version)
    open_check(page, server, dataset)
    finding(page, "no_trigger_word").get_by_role("button", name="Show all 6").click()
    expect(page.locator(".more:visible .mt")).to_have_count(6)
    expect(page.locator(".more:visible .mf")).to_contain_text("all 6 pictures")
    finding(page, "no_trigger_word").get_by_role("button", name="Show all 6").click()
    expect(page.locator(".more:visible")).to_have_count(0)


def test_without_a_data_set_the_page_teaches(page, server):
    page.goto(server.address + "/check")
    page.wait_for_selector("#report[data-state=empty]")
    expect(page.get_by_role("link", name="Go to the pictures")).to_be_visible()


def test_the_map_is_drawn_when_it_comes_into_view_and_its_pictures_can_be_reached_by_keys(page, server, zog):
    open_check(page, server, zog[1])
    page.locator(".dm").scroll_into_view_if_needed()
    page.wait_for_selector(".dm[data-state=ready]")
    expect(page.locator(".dm [role=status]")).to_contain_text("All 13 pictures")
    canvas = page.locator(".dm canvas")
    colours = "(c) => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size"
    page.wait_for_function(f"({colours})(document.querySelector('.dm canvas')) > 100")
    canvas.focus()
    canvas.press("ArrowRight")
    first = page.locator(".dm .tip").inner_text()
    canvas.press("ArrowRight")
    canvas.press("ArrowDown")
    expect(page.locator(".dm .tip")).not_to_have_text(first)
    canvas.press("Enter")
    page.wait_for_url("**/captions?**picture=**")

"""The Compare page in a real browser, on a run that was really trained: drawn cell by cell, starred, kept, exported."""

from __future__ import annotations

import re

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from studio.runs.store import RunStore
from tests.run_folders import RunWriter
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
PHONE = {"viewport": {"width": 390, "height": 844}}
DRAWN = "#strip[data-state=ready][data-done='9/9']"
# “Stop” stands there only while it draws; that it stood there stays.
REMEMBER_STOP = """() => {
  const look = () => { window.couldBeStopped ||= !!document.querySelector('#dock #stop')?.checkVisibility(); };
  new MutationObserver(look).observe(document.querySelector('#strip'), {subtree: true, childList: true});
}"""


def open_compare(page, server, run_id):
    page.goto(f"{server.address}/compare?run={run_id}")
    page.wait_for_selector("#strip[data-state]:not([data-state=''])")


@pytest.fixture(scope="module")
def strip(browser, server, trained_run):
    """The whole strip of the trained run, drawn by the button of the page: base and two checkpoints, three prompts."""
    page = browser.new_page()
    open_compare(page, server, trained_run.id)
    page.get_by_role("button", name="Draw 9 pictures").click()
    page.wait_for_selector(DRAWN, timeout=180_000)
    page.close()
    return trained_run


def test_pictures_come_one_by_one_and_a_reload_goes_on(page, server, strip):
    open_compare(page, server, strip.id)
    page.wait_for_selector(DRAWN)
    page.get_by_label("Seed", exact=True).fill("7")
    page.evaluate(REMEMBER_STOP)
    page.get_by_label("Seed", exact=True).press("Enter")
    page.wait_for_function("window.couldBeStopped")
    page.reload()
    page.wait_for_selector(DRAWN, timeout=180_000)
    expect(page.get_by_label("Seed", exact=True)).to_have_value("7")
    assert page.evaluate("[...document.querySelectorAll('.d-cell img')].length") == 9


def test_the_columns_name_step_and_held_out_loss_and_the_first_is_the_base(page, server, strip):
    open_compare(page, server, strip.id)
    page.wait_for_selector(DRAWN)
    heads = page.locator("#strip .ch")
    expect(heads).to_have_count(3)
    expect(heads.nth(0)).to_contain_text("Base")
    expect(heads.nth(2)).to_contain_text("40")
    expect(heads.nth(2)).to_have_attribute("title", re.compile(r"step 40, held-out loss 0\.\d+"))


def test_two_cells_are_held_against_each_other(page, server, strip):
    open_compare(page, server, strip.id)
    page.wait_for_selector(DRAWN)
    page.get_by_role("button", name="zog on a blue background, step 20", exact=True).click()
    page.get_by_role("button", name="zog on a blue background, step 40", exact=True).click()
    expect(page.locator("#strip .d-ab .la")).to_contain_text("20")
    expect(page.locator("#strip .d-ab .lb")).to_contain_text("40")
    expect(page.locator("#strip .abt")).to_contain_text("Held-out loss")
    slider = page.get_by_role("slider", name="Slide between A and B")
    slider.press("End")
    expect(slider).to_have_attribute("aria-valuenow", "100")


def test_the_pair_that_was_offered_gives_way_click_by_click(page, server, strip):
    open_compare(page, server, strip.id)
    page.wait_for_selector(DRAWN)
    offered = page.locator("#strip .d-cell.pick")
    expect(offered).to_have_count(2)
    first, second = (offered.nth(n).get_attribute("data-cell") for n in (0, 1))
    for cell in (first, second):
        page.locator(f"[data-cell='{cell}']").click()
        expect(page.locator("#strip .d-ab")).to_be_visible()
    expect(page.locator(f"[data-cell='{first}'] .ab")).to_have_text("A")
    expect(page.locator(f"[data-cell='{second}'] .ab")).to_have_text("B")
    page.locator(f"[data-cell='{second}']").click()
    expect(offered).to_have_count(1)


def test_zoom_moves_all_pictures_together(page, server, strip):
    open_compare(page, server, strip.id)
    page.wait_for_selector(DRAWN)
    page.get_by_role("button", name="Zoom in").click()
    expect(page.locator("#strip .zm .d-num")).to_have_text("150 %")
    scales = page.evaluate("[...document.querySelectorAll('.d-cell img')].map((i) => new DOMMatrix(getComputedStyle(i).transform).a)")
    assert set(scales) == {1.5}
    page.locator("#strip .d-cell").first.focus()
    page.keyboard.press("0")
    expect(page.locator("#strip .zm .d-num")).to_have_text("100 %")


def test_the_star_and_keep_are_remembered(page, server, strip):
    open_compare(page, server, strip.id)
    page.wait_for_selector(DRAWN)
    page.get_by_role("button", name=re.compile("^Star step 20")).click()
    page.get_by_role("button", name="Keep step 20").click()
    expect(page.locator("#dock")).to_contain_text("Step 20 is kept.")
    assert RunStore(server.workspace).get(strip.id).kept_step == 20
    page.reload()
    page.wait_for_selector(DRAWN)
    expect(page.locator("#go-generate")).to_have_attribute("href", re.compile(f"/generate\\?.*run={strip.id}"))


def test_the_step_that_was_kept_is_told_also_where_the_star_moved_meanwhile(page, server, strip):
    open_compare(page, server, strip.id)
    page.wait_for_selector(DRAWN)
    star = {step: page.get_by_role("button", name=re.compile(f"^Star step {step}")) for step in (20, 40)}
    star[40].click()
    held = []
    page.route("**/keep", lambda route: held.append(route), times=1)
    page.get_by_role("button", name="Keep step 40").click()
    star[20].click()
    expect(star[20]).to_have_attribute("aria-pressed", "true")
    wait_until(lambda: page.evaluate("true") and held, "the request to keep")
    held[0].continue_()
    expect(page.locator(".d-toast")).to_contain_text("Step 40 is kept.")
    assert RunStore(server.workspace).get(strip.id).kept_step == 40
    page.get_by_role("button", name="Keep step 20").click()  # as the other tests of this run know it
    expect(page.locator("#dock")).to_contain_text("Step 20 is kept.")


def test_at_scale_0_every_column_is_the_base_and_comes_at_once(page, server, strip):
    open_compare(page, server, strip.id)
    page.wait_for_selector(DRAWN)
    slider = page.get_by_label("LoRA scale")
    slider.focus()
    slider.press("Home")
    page.wait_for_function("() => new Set([...document.querySelectorAll('.d-strip .d-cell img')].slice(0, 3).map((i) => i.src)).size === 1")
    slider.fill("1")
    page.wait_for_function("() => new Set([...document.querySelectorAll('.d-strip .d-cell img')].slice(0, 3).map((i) => i.src)).size === 3")


@pytest.fixture
def chosen_anew(server, strip):
    """What the page shows of a run is one for all: the nine pictures stand there again, wherever a test ends."""
    compare = f"{server.address}/api/runs/{strip.id}/compare"
    status = httpx.get(compare).json()["status"]
    wanted = {"prompts": [p["text"] for p in status["prompts"]], "steps": [c["step"] for c in status["columns"] if c["step"]]}
    yield
    httpx.post(compare, json={**wanted, "seed": status["seed"], "scale": status["scale"]}).raise_for_status()


def test_prompts_and_columns_can_be_chosen(page, server, strip, chosen_anew):
    open_compare(page, server, strip.id)
    page.wait_for_selector(DRAWN)
    page.get_by_role("button", name="Prompts and columns").click()
    box = page.get_by_label("Prompts", exact=True)
    box.fill("")
    expect(page.get_by_text("Write at least one prompt.")).to_be_visible()
    box.fill("zog on a red background")
    page.locator("#chooser").get_by_role("button", name=re.compile("^20")).click()
    page.get_by_role("button", name="Draw 2 pictures").click()
    page.wait_for_selector("#strip[data-state=ready][data-done='2/2']", timeout=60_000)
    page.get_by_role("button", name="Prompts and columns").click()
    page.get_by_label("Prompts", exact=True).fill("zog on a red background\nzog on a blue background\na cat on a green background")
    page.locator("#chooser").get_by_role("button", name=re.compile("^20")).click()
    page.get_by_role("button", name="Draw 9 pictures").click()
    page.wait_for_selector(DRAWN, timeout=120_000)


def test_a_wrong_seed_is_told_and_nothing_is_drawn(page, server, strip):
    open_compare(page, server, strip.id)
    page.wait_for_selector(DRAWN)
    page.get_by_label("Seed", exact=True).fill("minus one")
    page.get_by_label("Seed", exact=True).press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("it must be a whole number")
    expect(page.locator("#strip")).to_have_attribute("data-state", "ready")


def test_the_sheet_is_exported(page, server, strip):
    open_compare(page, server, strip.id)
    page.wait_for_selector(DRAWN)
    with page.expect_download() as download:
        page.get_by_role("link", name="Export PNG").click()
    assert download.value.suggested_filename == f"{strip.id}-compare.png"


def test_a_run_without_checkpoints_sends_back_to_monitor(page, server):
    writer = RunWriter(server.workspace, "compare-nothing")
    writer.begin()
    writer.end("stopped", step=0)
    open_compare(page, server, writer.run_id)
    expect(page.get_by_role("heading", name="This run has no checkpoint")).to_be_visible()
    expect(page.get_by_role("link", name="Go to Monitor")).to_be_visible()


@pytest.mark.parametrize("page", [{}, {"color_scheme": "dark"}, PHONE, {**PHONE, "color_scheme": "dark"}], indirect=True)
def test_nothing_stands_in_anybodys_way(page, server, strip):
    open_compare(page, server, strip.id)
    page.wait_for_selector(DRAWN)
    page.get_by_role("button", name="Prompts and columns").click()
    serious = [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], [n["target"] for n in v["nodes"]]) for v in serious]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

"""Editing a picture on the Generate page in a real browser, by models that the trainer really made, and the other families beside it."""

from __future__ import annotations

import base64
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageChops
from playwright.sync_api import expect

from studio.workers.history import History
from tests.browser.press import READY, ending, press
from tests.edit_runs import sample_picture
from tests.short_runs import train_short

pytestmark = pytest.mark.slow
PHONE = {"viewport": {"width": 390, "height": 844}}
# Drops a file as a person does: the browser makes the DataTransfer, the page's own listeners take it.
DROP = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0)), transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type}));
  const how = {dataTransfer: transfer, bubbles: true, cancelable: true};
  for (const kind of ['dragenter', 'dragover', 'drop']) document.body.dispatchEvent(new DragEvent(kind, how));
}"""


@pytest.fixture(scope="session")
def edit_run(server):
    """A short real run on pairs."""
    return train_short(server.workspace, "edits-short", "sd15/instruct_pix2pix")


def open_edit(page, server, run="edits-short"):
    page.goto(f"{server.address}/generate?mode=edit" + (f"&run={run}" if run else ""))
    page.wait_for_selector("#print[data-state=ready], #print[data-state=drawing]")


def drop(page, path, name="apple.webp", kind="image/webp"):
    page.evaluate(DROP, [name, kind, base64.b64encode(path.read_bytes()).decode()])


def edit(page, instruction="make the background blue", steps=4, seed=5):
    page.get_by_label("Instruction", exact=True).fill(instruction)
    if page.locator("#g-more").is_hidden():
        page.get_by_role("button", name="Seed, steps, leave out, sampler").click()
    press(page, "Edit", steps=steps, seed=seed)


def test_a_dropped_picture_is_edited_and_stands_before_and_after_under_one_slider(page, server, edit_run):
    open_edit(page, server)
    drop(page, sample_picture())
    expect(page.locator("#print .src b")).to_have_text("apple.webp")
    expect(page.locator("#print .src")).to_contain_text("128 × 128 px")
    edit(page)
    slider = page.get_by_role("slider", name="Slide between before and after")
    expect(slider.locator("img")).to_have_count(2)
    expect(slider.locator("img").first).to_have_attribute("alt", "Before: apple.webp")
    expect(slider.locator("img").last).to_have_attribute("alt", "After: make the background blue")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuenow", "55")
    expect(page.locator("#print .cap")).to_contain_text("seed 5 · 128 × 128 px · 4 steps · words 3 · picture 1.5 · edits-short 1.00")
    newest = History(server.workspace).list(limit=1, edits=True)[0]
    assert newest.settings["image"]["name"] == "apple.webp" and newest.settings["prompt"] == "make the background blue"


def test_the_same_settings_edit_the_same_pixels_and_an_earlier_edit_brings_them_back(page, server, edit_run):
    history = History(server.workspace)
    open_edit(page, server)
    drop(page, sample_picture())
    edit(page, seed=11)
    page.get_by_role("slider", name="Keep the picture").fill("2.2")
    edit(page, instruction="make it red", seed=12)
    page.locator("#earlier-edits").get_by_role("button", name="make the background blue", exact=True).first.click()
    expect(page.get_by_label("Instruction", exact=True)).to_have_value("make the background blue")
    expect(page.get_by_label("Seed", exact=True)).to_have_value("11")
    expect(page.get_by_role("slider", name="Keep the picture")).to_have_value("1.5")
    first = history.list(limit=2, edits=True)[1]
    with ending(page):
        page.get_by_role("button", name=re.compile("^Edit(,|$)")).click()
    again = history.list(limit=1, edits=True)[0]
    assert Image.open(history.path(first.id)).tobytes() == Image.open(history.path(again.id)).tobytes()


def test_the_result_can_be_edited_further_and_a_reload_finds_it_again(page, server, edit_run):
    open_edit(page, server)
    drop(page, sample_picture())
    edit(page)
    page.get_by_role("button", name="Edit the result").click()
    expect(page.locator("#print .src b")).to_have_text("make the background blue.png")
    page.reload()
    page.wait_for_selector(READY)
    expect(page.locator("#print .src b")).to_have_text("make the background blue.png")
    edit(page, instruction="make it smaller")
    expect(page.locator("#print .d-ab img").last).to_have_attribute("alt", "After: make it smaller")


def test_a_strip_shows_seven_ways_of_keeping_the_picture_and_a_click_uses_one(page, server, edit_run):
    open_edit(page, server)
    drop(page, sample_picture())
    edit(page)
    page.get_by_role("button", name="Draw the strip").click()
    expect(page.locator("#keeps .ks img")).to_have_count(7, timeout=120_000)
    page.wait_for_selector(READY, timeout=60_000)
    page.get_by_role("button", name="Use value 2.00").click()
    expect(page.get_by_role("slider", name="Keep the picture")).to_have_value("2")
    expect(page.locator("#print .cap")).to_contain_text("picture 2")


def test_a_picture_that_the_model_has_not_seen_is_offered_with_its_instruction(page, server, edit_run):
    page.goto(f"{server.address}/generate?mode=edit&run=edits-short")
    page.evaluate(
        "sessionStorage.setItem('darkroom:edit', JSON.stringify({prompt: '', values: {}, mix: [], image: null, run: 'edits-short'}))"
    )
    page.reload()
    page.wait_for_selector(READY)
    page.get_by_role("button", name=re.compile("^Edit this one: ")).first.click()
    expect(page.locator("#print .src b")).to_be_visible()
    expect(page.get_by_label("Instruction", exact=True)).not_to_have_value("")


def test_what_is_no_picture_is_told_where_the_picture_stands(page, server, edit_run, tmp_path):
    open_edit(page, server)
    fake = tmp_path / "evil.png"
    fake.write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg' onload='document.title=1'/>")
    page.locator("#pick-image").set_input_files(str(fake))
    expect(page.locator("#e-image")).to_contain_text("“evil.png” cannot be edited. It is an SVG drawing")


def test_nothing_is_drawn_without_a_picture_or_a_model(page, server, edit_run):
    open_edit(page, server)
    page.evaluate(
        "sessionStorage.setItem('darkroom:edit', JSON.stringify({prompt: 'x', values: {}, mix: [], image: null, run: 'edits-short'}))"
    )
    page.reload()
    page.wait_for_selector(READY)
    page.get_by_role("button", name=re.compile("^Edit(,|$)")).click()
    expect(page.locator("#e-image")).to_contain_text("There is no picture to edit yet")
    drop(page, sample_picture())
    expect(page.locator("#e-image")).to_be_hidden()
    page.get_by_role("switch", name="edits-short on").click()
    page.get_by_role("button", name=re.compile("^Edit(,|$)")).click()
    expect(page.locator("#print .mixer [role=alert]")).to_contain_text("No model is on")


def test_a_drop_while_drawing_from_words_turns_to_editing(page, server, edit_run):
    page.goto(f"{server.address}/generate?mode=words")
    page.wait_for_selector(READY)
    drop(page, sample_picture())
    expect(page.get_by_role("radio", name="Edit a picture")).to_have_attribute("aria-checked", "true")
    expect(page.locator("#print .src b")).to_have_text("apple.webp")
    assert "mode=edit" in page.url


@pytest.mark.parametrize("backend", ["sd15/text_to_image", "flux/text_to_image"])
def test_a_lora_of_each_family_is_the_base_at_scale_0_and_changes_the_picture_at_1(page, server, backend):
    family = backend.partition("/")[0]
    train_short(server.workspace, f"zog-{family}", backend)
    page.goto(f"{server.address}/generate?run=zog-{family}")
    page.wait_for_selector(READY)
    history, drawn = History(server.workspace), []
    for scale, on in (("0", True), ("1", True), ("1", False)):
        page.locator("#print .lo .d-range").fill(scale)
        if not on:
            page.get_by_role("switch", name=f"zog-{family} on").click()
        page.get_by_label("Prompt", exact=True).fill("zog on a red background")
        press(page, "Draw", steps=4, seed=3)
        drawn.append(Image.open(history.path(history.list(limit=1, edits=False)[0].id)).convert("RGB"))
    newest = history.list(limit=1)[0].settings
    assert newest["base_model"] == {"sd15": "pocket-sd15", "flux": "pocket-flux"}[family]
    at_0, at_1, base = drawn
    assert at_0.tobytes() == base.tobytes()
    assert max(high for _, high in ImageChops.difference(at_1, base).getextrema()) > 8


def test_flux_offers_its_own_samplers_and_says_what_it_does_not_read(page, server, trained_run):
    page.goto(f"{server.address}/generate?mode=words")
    page.wait_for_selector(READY)
    take_out = page.get_by_role("button", name=re.compile("^Take .* out$"))  # other tests' LoRAs would be told first that they do not fit
    for _ in range(take_out.count()):
        take_out.first.click()
    page.get_by_role("button", name="Leave out, sampler, base model").click()
    page.get_by_label("Base model").select_option("pocket-flux")
    expect(page.get_by_label("Leave out", exact=True)).to_be_disabled()
    expect(page.locator("#print .unread")).to_contain_text("Pocket Flux draws with the words only")
    assert page.locator("#f-sampler option:not([hidden])").all_text_contents() == ["as the base model came", "Euler", "DPM++ 2M", "UniPC"]
    expect(page.get_by_label("Refiner", exact=True)).to_be_hidden()
    page.get_by_label("Base model").select_option("pocket-sdxl")
    expect(page.get_by_label("Refiner", exact=True)).to_be_visible()
    page.get_by_label("Refiner", exact=True).fill("/nowhere/refiner")
    page.get_by_label("Prompt", exact=True).fill("a cat")
    page.get_by_role("button", name=re.compile("^Draw(,|$)")).click()
    expect(page.locator("#e-refiner")).to_contain_text("The refiner “refiner” cannot be used", timeout=60_000)


@pytest.mark.parametrize("page", [{}, {"color_scheme": "dark"}, PHONE], indirect=True, ids=["light", "dark", "phone"])
def test_the_edit_way_is_accessible_and_fits(page, server, edit_run):
    open_edit(page, server)
    drop(page, sample_picture())
    edit(page)
    found = Axe().run(page)
    serious = [v for v in found.response["violations"] if v["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], [n["target"] for n in v["nodes"]][:4]) for v in serious]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_pairs_of_a_run_are_compared_with_what_they_were_and_should_become(page, server, edit_run):
    page.goto(f"{server.address}/compare?run=edits-short")
    page.wait_for_selector("#strip[data-state=ready]")
    expect(page.locator("#strip .ch b")).to_have_text(["Before", "Target", "6", "12"])
    page.get_by_role("button", name="Pairs and columns").click()
    expect(page.locator("#cmp-pairs button")).to_have_count(4)
    page.locator("#cmp-pairs button.on").first.click()
    page.locator("#cmp-apply").click()
    page.wait_for_selector("#strip[data-state=ready]:not([data-done=''])", timeout=180_000)  # empty until something was begun
    expect(page.locator("#strip .d-cell img")).to_have_count(8)
    page.locator("[data-cell='0/0']").click()
    page.locator("[data-cell='0/3']").click()
    expect(page.locator("#strip .d-ab .la")).to_have_text(re.compile("A.*before"))
    page.locator("[data-cell='0/1']").click()
    expect(page.locator("#strip .abt")).to_contain_text("Colours like the target")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export PNG").click()
    assert Image.open(download.value.path()).width > 4 * 128
    page.locator("[data-column='3']").click()
    page.get_by_role("button", name="Keep step 12").click()
    page.locator("#go-generate").click()
    page.wait_for_selector("#print[data-state=ready]")
    expect(page.get_by_role("radio", name="Edit a picture")).to_have_attribute("aria-checked", "true")
    expect(page.locator("#print .lo .bd")).to_contain_text("step 12, kept")

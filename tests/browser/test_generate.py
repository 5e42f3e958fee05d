"""The Generate page in a real browser, drawing with a LoRA that was really trained."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from studio.workers.history import History
from tests.adapters import write_adapter
from tests.browser.press import READY, press

pytestmark = pytest.mark.slow
PHONE = {"viewport": {"width": 390, "height": 844}}


def open_generate(page, server, run=None):
    page.goto(f"{server.address}/generate" + (f"?run={run.id}" if run else ""))
    page.wait_for_selector("#print[data-state=ready], #print[data-state=drawing]")


def draw(page, prompt="zog on a red background", steps=4, seed=5):
    page.get_by_label("Prompt", exact=True).fill(prompt)
    press(page, "Draw", steps=steps, seed=seed)


def test_a_picture_is_drawn_with_the_runs_lora_and_its_settings_stand_under_it(page, server, trained_run):
    open_generate(page, server, trained_run)
    expect(page.locator("#print .lo .bd b")).to_have_text("zog-trained")
    draw(page)
    expect(page.locator("#print .cap")).to_contain_text("seed 5 · 128 × 128 px · 4 steps · zog-trained 1.00")
    expect(page.locator("#print .d-tray img")).to_have_attribute("alt", "zog on a red background, seed 5")
    newest = History(server.workspace).list(limit=1)[0]
    assert newest.settings["loras"][0]["key"].startswith(f"run:{trained_run.id}")


def test_progress_is_told_step_by_step_a_reload_finds_it_again_and_stop_ends_it(page, server, trained_run):
    open_generate(page, server, trained_run)
    page.get_by_label("Prompt", exact=True).fill("zog on a blue background")
    page.get_by_role("textbox", name="Steps").fill("150")
    for side in ("Width in px", "Height in px"):
        page.get_by_label(side).fill("256")  # so large that it outlasts a reload, however slow that is
    page.get_by_role("button", name=re.compile("^Draw(,|$)")).click()
    expect(page.locator("#print .doing")).to_have_text(re.compile(r"Drawing, step \d+ of 150"), timeout=60_000)
    page.reload()
    page.wait_for_selector("#print[data-state=drawing]")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("zog on a blue background")
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector(READY)


def test_scale_0_equals_the_base(page, server, trained_run):
    open_generate(page, server, trained_run)
    page.locator("#print .lo .d-range").fill("0")
    draw(page, seed=9)
    page.get_by_role("switch", name="zog-trained on").click()
    draw(page, seed=9)
    with_zero, base = reversed(History(server.workspace).list(limit=2))
    history = History(server.workspace)
    assert [len(o.settings["loras"]) for o in (with_zero, base)] == [1, 0]
    assert Image.open(history.path(with_zero.id)).tobytes() == Image.open(history.path(base.id)).tobytes()


def test_a_strip_goes_on_when_one_of_it_is_deleted_meanwhile_shows_seven_scales_and_a_click_uses_one(page, server, trained_run):
    def deleted(route):
        httpx.delete(route.request.url).raise_for_status()
        route.continue_()

    page.route("**/api/generate/history/*", deleted, times=1)
    open_generate(page, server, trained_run)
    page.get_by_label("Prompt", exact=True).fill("zog on a green background")
    page.get_by_role("textbox", name="Steps").fill("4")
    page.get_by_role("button", name="Draw the strip").click()
    expect(page.locator("#scale .ks img")).to_have_count(7, timeout=120_000)
    page.wait_for_selector(READY, timeout=60_000)
    page.get_by_role("button", name="Use scale 0.50").click()
    expect(page.locator("#print .sl2 .d-num")).to_have_text("0.50")
    expect(page.locator("#print .cap")).to_contain_text("0.50")
    page.reload()
    page.wait_for_selector(READY)
    expect(page.locator("#scale .ks img")).to_have_count(7)


def test_an_earlier_picture_brings_its_settings_back(page, server, trained_run):
    open_generate(page, server, trained_run)
    draw(page, prompt="a fish", seed=21)
    draw(page, prompt="a tree", seed=22)
    fish = page.get_by_role("button", name="a fish", exact=True).first
    fish.click()
    expect(fish).to_be_focused()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("a fish")
    expect(page.get_by_label("Seed", exact=True)).to_have_value("21")
    expect(page.locator("#print .d-tray img")).to_have_attribute("alt", "a fish, seed 21")


def test_a_picture_can_be_saved_and_deleted(page, server, trained_run):
    open_generate(page, server, trained_run)
    draw(page, prompt="to be deleted", seed=33)
    with page.expect_download() as download:
        page.get_by_role("link", name="Save").click()
    assert download.value.suggested_filename.endswith(".png")
    page.get_by_role("button", name="Delete this picture").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="to be deleted", exact=True)).to_have_count(0)
    assert all(o.settings["prompt"] != "to be deleted" for o in History(server.workspace).list())


def test_a_fault_stands_at_its_field_and_goes_when_it_is_mended(page, server, trained_run):
    open_generate(page, server, trained_run)
    page.get_by_label("Prompt", exact=True).fill("zog")
    page.get_by_role("textbox", name="Steps").fill("0")
    page.get_by_label("Follow the words").fill("99")
    page.get_by_role("button", name=re.compile("^Draw(,|$)")).click()
    steps = page.get_by_role("textbox", name="Steps")
    expect(steps).to_have_attribute("aria-invalid", "true")
    expect(steps).to_be_focused()
    expect(page.locator("#e-num_inference_steps")).to_contain_text("it must be a number from 1 to 150")
    expect(page.locator("#e-guidance_scale")).to_contain_text("0 to 30")
    steps.fill("4")
    expect(page.locator("#e-num_inference_steps")).to_be_hidden()


def test_the_trigger_word_is_inserted_by_a_click(page, server, trained_run):
    open_generate(page, server, trained_run)
    page.get_by_label("Prompt", exact=True).fill("a beach with")
    page.get_by_role("button", name="Insert zog into the prompt").click()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("a beach with zog")


def test_a_run_newly_named_by_the_address_brings_its_proposed_lora_in_place_of_an_older_checkpoint(page, server, trained_run):
    proposed, other = [lora["key"] for lora in httpx.get(f"{server.address}/api/loras").json() if lora["run"] == trained_run.id][:2]
    draft = {"prompt": "zog", "values": {}, "mix": [{"key": other, "weight": 1, "on": True}], "run": "another"}
    page.add_init_script(f"sessionStorage['darkroom:generate'] ||= {json.dumps(json.dumps(draft))}")
    open_generate(page, server, trained_run)
    expect(page.locator("#print .lo")).to_have_count(1)
    expect(page.locator("#print .lo")).to_have_attribute("data-key", proposed)


def test_other_checkpoints_and_files_can_be_mixed_in(page, server, trained_run, tmp_path):
    open_generate(page, server, trained_run)
    page.get_by_role("button", name="Add", exact=True).click()
    earlier = f"[data-key='run:{trained_run.id}@40']"
    page.locator(f"#lora-menu .fold:has(+ .more {earlier})").click()  # other tests' runs have folds of their own
    page.locator(f"#lora-menu {earlier}").click()
    expect(page.locator("#print .lo")).to_have_count(2)
    page.locator("#print .lo .d-range").first.fill("1")
    path = write_adapter(tmp_path / "Soft Fruit.safetensors", 5)
    page.locator("#lora-file").set_input_files(str(path))
    expect(page.locator("#print .lo")).to_have_count(3)
    expect(page.locator("#print .mixer")).to_contain_text("Together 3.00")
    bad = tmp_path / "model.pt"
    bad.write_bytes(b"PK\x03\x04")
    page.locator("#lora-file").set_input_files(str(bad))
    expect(page.locator("#print .mixer [role=alert]")).to_contain_text("not a .safetensors file")
    expect(page.locator("#print .lo")).to_have_count(3)


def test_hostile_words_stay_words(page, server, trained_run):
    open_generate(page, server, trained_run)
    draw(page, prompt="<img src=x onerror=\"document.title='owned'\">", seed=44)
    assert "owned" not in page.title()
    assert page.locator("#print img[src=x]").count() == 0


def test_with_nothing_trained_the_base_can_be_drawn(page, own_server):
    open_generate(page, own_server)
    expect(page.locator("#print .mixer")).to_contain_text("No LoRA yet")
    expect(page.get_by_role("button", name="Draw the strip")).to_be_disabled()
    expect(page.get_by_role("heading", name="Earlier pictures")).to_be_hidden()


@pytest.mark.parametrize("page", [{}, {"color_scheme": "dark"}, PHONE, {**PHONE, "color_scheme": "dark"}], indirect=True)
def test_nothing_stands_in_anybodys_way(page, server, trained_run):
    open_generate(page, server, trained_run)
    page.get_by_role("button", name="Leave out, sampler, base model").click()
    page.get_by_role("button", name="Add", exact=True).click()
    serious = [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], [n["target"] for n in v["nodes"]]) for v in serious]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

"""The whole walk with mouse, keyboard and files: twelve pictures dropped, captioned, checked, trained, compared, drawn.

It is one person's session on an empty workspace, told in order; the clicks are counted as a person would.
"""

from __future__ import annotations

import base64
import re

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from backends.contract.events import read_events
from backends.contract.rundir import RunDir, complete_checkpoints
from studio.datasets.store import DatasetStore
from studio.runs.store import RunStore
from studio.workers.history import History
from tests.browser.test_dataset_page import DROP
from tests.conftest import ROOT
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
MINUTE = 60_000


class Person:
    """A page, and how often it was clicked."""

    def __init__(self, page):
        self.page, self.clicks = page, 0

    def click(self, selector, name=None):
        """One click, as soon as it can be done."""
        target = self.page.get_by_role(selector, name=name) if name else self.page.locator(selector)
        expect(target).to_be_visible(timeout=MINUTE)
        expect(target).to_be_enabled(timeout=MINUTE)
        target.click()
        self.clicks += 1


def drop_zog(page):
    """Drops the twelve sample pictures, without their captions."""
    pictures = sorted((ROOT / "assets" / "samples" / "zog").glob("*.png"))
    assert len(pictures) == 12
    page.evaluate(DROP, [[[p.name, base64.b64encode(p.read_bytes()).decode()] for p in pictures], "body"])


def points(page):
    """How many points the live curve shows."""
    return int(page.locator("[data-points]").first.get_attribute("data-points") or 0)


def steps_done(run):
    return max((e["step"] for e in read_events(run.events) if e["t"] == "step"), default=0)


def prepare_and_start(person, server):
    """From the drop to a running training; the run's id."""
    page = person.page
    page.goto(f"{server.address}/dataset")
    page.wait_for_selector("#light[data-state=ready]")
    drop_zog(page)
    expect(page.get_by_text("12 pictures are in.")).to_be_visible(timeout=MINUTE)
    person.click("link", "Caption 12 pictures")
    expect(page.get_by_text("Every picture has a caption.")).to_be_visible(timeout=3 * MINUTE)
    dataset_id = re.search(r"dataset=([\w-]+)", page.url)[1]
    texts = [p.text for p in DatasetStore(server.workspace).pictures(dataset_id)]
    assert len(texts) == 12
    assert all(text.startswith("zog on a") and "background" in text for text in texts), texts
    person.click("button", "Next: check")
    page.wait_for_selector("#report[data-state=ready]", timeout=2 * MINUTE)
    person.click("button", "Next: train")
    page.wait_for_selector("#forecast[data-state=ready]", timeout=MINUTE)
    person.click("#start")
    page.wait_for_url(re.compile("/monitor"), timeout=MINUTE)
    assert person.clicks <= 4
    return re.search(r"run=([\w-]+)", page.url)[1]


def watch(page, server, run_id):
    """Points arrive while it runs; a reload in mid-run changes nothing for the run."""
    run = RunDir(server.workspace.run(run_id))
    expect(page.locator("[data-points]").first).to_be_visible(timeout=3 * MINUTE)
    page.wait_for_function("() => +document.querySelector('[data-points]')?.dataset.points > 5", timeout=3 * MINUTE)
    seen, before = points(page), steps_done(run)
    assert before < 300, "the run was over before its first points were seen"
    page.reload()
    page.wait_for_function(f"() => +document.querySelector('[data-points]')?.dataset.points > {seen}", timeout=3 * MINUTE)
    assert RunStore(server.workspace).get(run_id).state in ("running", "finished")
    expect(page.get_by_role("heading", name="Your LoRA is ready")).to_be_visible(timeout=10 * MINUTE)
    done = RunStore(server.workspace).get(run_id)
    assert (done.state, done.step) == ("finished", 300)
    assert done.learned, f"held-out ratio {done.heldout_ratio}"
    assert len(complete_checkpoints(run)) >= 4


def compare(person, server, run_id):
    """At least four columns by three rows, all drawn; two of them under the slider; one kept."""
    page = person.page
    person.click("#compare")
    page.wait_for_selector("#strip[data-state=ready]", timeout=MINUTE)
    person.click("#draw")
    assert person.clicks <= 6
    page.wait_for_function(
        "() => document.querySelector('#strip').dataset.done?.split('/').reduce((a, b) => a > 0 && a == b)", timeout=5 * MINUTE
    )
    columns, rows = page.locator(".d-strip .ch").count(), page.locator(".d-strip .rq").count()
    assert columns >= 5, "the base and four checkpoints"
    assert rows >= 3
    assert page.locator("[data-cell] img").count() == columns * rows
    page.locator("[data-cell='0/0']").click()
    page.locator("[data-cell='0/2']").click()
    expect(page.locator(".d-ab")).to_be_visible()
    sheet = httpx.get(f"{server.address}/api/runs/{run_id}/compare/sheet.png")
    assert sheet.headers["content-type"] == "image/png"
    page.locator("#keep").click()
    wait_until(lambda: RunStore(server.workspace).get(run_id).kept_step, limit_s=20)


def drawn(page, server):
    """Presses Draw and waits for a new picture; its pixels."""
    history = History(server.workspace)
    before = {o.id for o in history.list()}
    page.locator("#draw").click()
    new = wait_until(lambda: [o for o in history.list() if o.id not in before], limit_s=120, pause_s=0.2)
    page.wait_for_selector("#print[data-state=ready]", timeout=MINUTE)
    with Image.open(history.path(new[0].id)) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def generate(page, server):
    """Scale 0 is the base's picture to the pixel; scale 1 is another."""
    page.locator("#go-generate").click()
    page.wait_for_selector("#print[data-state=ready]", timeout=MINUTE)
    page.locator("#prompt").fill("zog on a red background")
    scale = page.locator(".mixer input[type=range]")
    at_one = drawn(page, server)
    scale.fill("0")
    at_zero = drawn(page, server)
    page.get_by_role("button", name=re.compile("^Take .* out$")).click()
    base = drawn(page, server)
    assert np.abs(at_zero - base).max() == 0
    assert np.abs(at_one - base).mean() > 5


def test_from_twelve_pictures_to_a_drawing_with_the_lora(own_server, page):
    person = Person(page)
    run_id = prepare_and_start(person, own_server)
    watch(page, own_server, run_id)
    compare(person, own_server, run_id)
    generate(page, own_server)

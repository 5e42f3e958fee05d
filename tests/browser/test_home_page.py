"""Home: the two ways to begin, and recent work with its next step."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.test_dataset_page import COLOURS, drop, picture
from tests.run_folders import RunWriter

pytestmark = pytest.mark.slow


def test_the_first_visit_offers_the_sample_pictures_ready_to_train(own_server, page):
    page.goto(own_server.address)
    expect(page.get_by_role("heading", name="Develop your first model")).to_be_visible()
    page.get_by_role("button", name="Start with Zog").click()
    expect(page).to_have_url(re.compile(r"/train\?dataset=zog"))
    made = httpx.get(f"{own_server.address}/api/datasets/{page.url.partition('dataset=')[2]}").json()
    assert made["num_pictures"] == made["num_captions"] == 12
    assert made["trigger_word"] == "zog"


def test_dropping_on_home_begins_a_data_set_and_carries_the_refused_along(own_server, page):
    page.goto(own_server.address)
    page.wait_for_selector("#home[data-state=ready]")
    drop(page, *[(f"mug_{c}.png", picture(c)) for c in COLOURS], ("notes.docx", b"PK\x03\x04 not one"))
    expect(page).to_have_url(re.compile(r"/dataset\?dataset="))
    expect(page.locator(".d-thumb[data-id]")).to_have_count(6)
    expect(page.get_by_text("notes.docx")).to_be_visible()


def test_recent_work_shows_what_comes_next(own_server, page):
    made = httpx.post(f"{own_server.address}/api/datasets", json={"name": "Mugs <b>"}).json()["id"]
    httpx.post(f"{own_server.address}/api/datasets/{made}/files", files=[("files", ("a.png", picture("red"), "image/png"))])
    page.goto(own_server.address)
    card = page.get_by_role("article").filter(has_text="Mugs <b>")
    expect(card).to_contain_text("1 picture")
    expect(card).to_contain_text("No captions yet")
    card.get_by_role("link", name="Captions: Mugs <b>").click()
    expect(page).to_have_url(re.compile(f"/captions.dataset={made}"))


POLL_MS = 4100  # a little more than the page waits between two looks


@pytest.fixture
def living(server):
    """A run that goes on, until its test ends."""
    writer = RunWriter(server.workspace, "live-home", dataset_id="live-home")
    writer.live()
    writer.begin()
    yield writer
    writer.end("stopped", step=20)


def test_while_a_run_lives_the_page_follows_it_keeps_the_focus_and_outlives_a_server_that_is_away(page, server, living):
    page.clock.install()
    page.goto(server.address)
    page.wait_for_selector("#home[data-state=ready]")
    link, bar = page.get_by_role("link", name="Watch it develop: live-home").first, page.get_by_role("progressbar", name="of 200").first
    link.focus()
    living.train(1, 12)
    page.clock.run_for(POLL_MS)
    expect(bar).to_have_attribute("aria-label", "Step 12 of 200")
    expect(link).to_be_focused()
    page.route("**/api/home", lambda route: route.abort())
    page.clock.run_for(POLL_MS)
    expect(page.get_by_text("Reconnecting.")).to_be_visible()
    expect(link).to_be_focused()
    page.unroute("**/api/home")
    living.train(13, 20)
    page.clock.run_for(POLL_MS)
    expect(bar).to_have_attribute("aria-label", "Step 20 of 200")
    expect(page.get_by_text("Reconnecting.")).to_be_hidden()

"""Home: the two ways to begin, and recent work with its next step."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.test_dataset_page import COLOURS, drop, picture

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

"""Whole data sets in a real browser: copied, merged, split, put into the trash and taken out of it again, on Home and on their page."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.light_table import open_light_table
from tests.studio.datasets.drawing import draw_figure, encode

pytestmark = pytest.mark.slow


def fill(server, name, seeds):
    made = httpx.post(f"{server.address}/api/datasets", json={"name": name, "kind": "pictures"}).json()["id"]
    files = [("files", (f"{seed}.png", encode(draw_figure(seed, 160)), "image/png")) for seed in seeds]
    httpx.post(f"{server.address}/api/datasets/{made}/files", files=files, timeout=30)
    return made


def open_home(page, server):
    page.goto(server.address)
    page.wait_for_selector("#home[data-state=ready]")


def more(page, name, what):
    page.get_by_role("button", name=f"More for {name}", exact=True).click()
    page.get_by_role("button", name=what, exact=True).click()


def card(page, name):
    return page.locator("article.wk").filter(has=page.get_by_role("heading", name=name, exact=True))


def test_copy_merge_and_split_from_the_card_on_home(page, own_server):
    fill(own_server, "Foxes", range(6))
    fill(own_server, "Owls", range(4, 9))
    open_home(page, own_server)
    more(page, "Foxes", "Copy")
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(card(page, "Foxes (copy)")).to_contain_text("6 pictures")
    more(page, "Owls", "Merge with others")
    page.get_by_role("checkbox", name=re.compile("^Foxes 6")).check()
    expect(page.get_by_label("Its name")).to_have_value("Owls and Foxes")
    page.get_by_role("dialog").get_by_role("button", name="Merge").click()
    expect(card(page, "Owls and Foxes")).to_contain_text("9 pictures")
    expect(page.locator(".jb", has_text="Merge")).to_contain_text("2 pictures were there already and came once: 4.png, 5.png.")
    more(page, "Owls and Foxes", "Split in two")
    page.get_by_label("Share in per cent").fill("33")
    page.get_by_role("dialog").get_by_role("button", name="Split").click()
    expect(card(page, "Owls and Foxes (33 %)")).to_contain_text("3 pictures")
    expect(card(page, "Owls and Foxes (rest)")).to_contain_text("6 pictures")
    page.reload()
    expect(page.locator(".jb", has_text="Split")).to_contain_text("The first data set stays as it was.")
    page.get_by_role("button", name="Close: Split “Owls and Foxes”").click()
    expect(page.locator(".jb", has_text="Split")).to_have_count(0)


def test_the_trash_gives_back_and_deletes_for_good_with_numbers(page, own_server):
    fill(own_server, "Foxes", range(3))
    fill(own_server, "Owls", range(3, 5))
    open_home(page, own_server)
    more(page, "Foxes", "Move to the trash")
    expect(card(page, "Foxes")).to_have_count(0)
    page.locator(".d-toast").get_by_role("button", name="Undo").click()
    expect(card(page, "Foxes")).to_contain_text("3 pictures")
    more(page, "Foxes", "Move to the trash")
    more(page, "Owls", "Move to the trash")
    expect(page.get_by_role("heading", name="Develop your first model")).to_be_visible()
    page.get_by_role("button", name="Trash (2)").click()
    trash = page.get_by_role("dialog", name="Trash")
    expect(trash).to_contain_text(re.compile(r"Owls2 pictures, 0\.\d MB\. 29 days left\."))
    trash.get_by_role("button", name="Restore Foxes").click()
    expect(trash.get_by_text("Foxes", exact=True)).to_have_count(0)
    trash.get_by_role("button", name="Delete Owls for good").click()
    question = page.get_by_role("dialog", name="Delete “Owls” for good?")
    expect(question).to_contain_text(re.compile(r"2 pictures, 0\.\d MB\. This cannot be undone"))
    question.get_by_role("button", name="Keep it").click()
    trash.get_by_role("button", name="Delete Owls for good").click()
    page.get_by_role("dialog", name="Delete “Owls” for good?").get_by_role("button", name="Delete for good").click()
    expect(trash).to_contain_text("Nothing is in the trash.")
    page.keyboard.press("Escape")
    expect(card(page, "Foxes")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Trash"))).to_have_count(0)


def test_on_its_own_page_a_data_set_is_put_away_and_home_brings_it_back(page, server):
    made = fill(server, "Wolves and bears", range(2))
    open_light_table(page, server, made)
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Move to the trash").click()
    expect(page).to_have_url(re.compile(r"/$"))
    expect(page.locator(".d-toast")).to_contain_text("“Wolves and bears” is in the trash for 30 days")
    page.locator(".d-toast").get_by_role("button", name="Undo").click()
    expect(card(page, "Wolves and bears")).to_be_visible()


@pytest.mark.parametrize("page", [{"viewport": {"width": 390, "height": 844}}], indirect=True)
def test_on_a_phone_the_menu_stays_inside_the_window(page, own_server):
    for name in ("Foxes", "Owls", "Bears"):
        fill(own_server, name, range(2))
    open_home(page, own_server)
    page.get_by_role("button", name="More for Foxes").click()
    box = page.locator(".d-actions").bounding_box()
    assert box["x"] >= 0 and box["y"] >= 0
    assert box["x"] + box["width"] <= 390 and box["y"] + box["height"] <= 844
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name="Merge with others")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".d-actions")).to_have_count(0)


@pytest.mark.parametrize("page", [{"viewport": {"width": 390, "height": 844}}], indirect=True)
def test_on_a_phone_the_long_menu_of_the_dataset_page_stays_inside_the_window(page, server):
    made = fill(server, "Phones", range(3))
    open_light_table(page, server, made)
    page.get_by_role("button", name="More", exact=True).click()
    box = page.locator(".d-actions").bounding_box()
    assert box["x"] >= 0 and box["y"] >= 0
    assert box["x"] + box["width"] <= 390 and box["y"] + box["height"] <= 844

"""Edit pairs of a very large data set on the light table: what is in the page, its last pair, its filters, and edits that stay."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from studio.datasets.store import DatasetStore
from tests.browser.light_table import open_light_table
from tests.studio.datasets.many import create_many_pairs, instruction

pytestmark = pytest.mark.slow
MANY = 50_000
FIELDS = ".pr input.d-in:enabled"
LONG_MS = 60_000  # for what computes, on a busy machine


@pytest.fixture(scope="module")
def many(server):
    store = DatasetStore(server.workspace)
    made = create_many_pairs(store, MANY, "Fifty thousand pairs")
    yield store, made
    store.delete(made)


def nodes(page):
    return page.evaluate("document.querySelectorAll('*').length")


def at(page, place):
    return page.locator(f".pr[data-place='{place}']")


def field(page, number):
    return page.get_by_label(f"Instruction for pair {number}", exact=True)


def scroll_to_end(page):
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")


def test_the_last_of_fifty_thousand_pairs_is_shown_and_what_is_written_there_stays(page, server, many):
    rows = []
    page.on("response", lambda answer: rows.append(len(answer.body())) if "/rows?places=" in answer.url else None)
    open_light_table(page, server, many[1])
    expect(page.locator(".d-head")).to_contain_text("50,000 pairs")
    assert nodes(page) < 2000
    scroll_to_end(page)
    expect(at(page, MANY - 1).locator("img")).to_have_count(2)
    expect(at(page, MANY).locator(".pz")).to_be_visible()  # the last one waits for its picture before
    assert nodes(page) < 2000 and rows and max(rows) < 100_000
    expect(field(page, MANY - 1)).to_have_value(instruction(MANY - 2))
    field(page, MANY - 1).fill("the very last whole one")
    field(page, MANY - 1).press("Escape")
    expect(at(page, MANY - 1).get_by_text("Saved")).to_be_visible()
    page.reload()
    page.wait_for_selector("#light[data-state=ready]")
    scroll_to_end(page)
    expect(field(page, MANY - 1)).to_have_value("the very last whole one")
    (row,) = many[0].index(many[1]).at([MANY - 1])
    assert (row.text, row.text_by) == ("the very last whole one", "person")


def test_a_link_leads_to_a_pair_in_the_middle_and_enter_walks_on_to_pairs_that_are_not_here_yet(page, server, many):
    (row,) = many[0].index(many[1]).at([MANY // 2])
    page.goto(f"{server.address}/dataset?dataset={many[1]}&picture={row.id}")
    expect(field(page, MANY // 2)).to_be_focused()
    for step in range(1, 16):
        page.keyboard.press("Enter")
        expect(field(page, MANY // 2 + step)).to_be_focused()
    assert nodes(page) < 2000


def test_only_those_without_an_instruction_are_shown_counted_and_written(page, server, many):
    open_light_table(page, server, many[1])
    silent = sum(not instruction(n) for n in range(MANY - 1))
    chip = page.get_by_role("button", name=re.compile("Instruction missing"))
    expect(chip).to_have_text(f"Instruction missing {silent:,}")
    chip.click()
    expect(page.locator(FIELDS).nth(1)).to_have_attribute("id", re.compile("^in-"))
    expect(field(page, 10)).to_have_value("")
    expect(field(page, 11)).to_have_count(0)
    field(page, 10).fill("now it has one")
    field(page, 10).press("Enter")
    expect(field(page, 20)).to_be_focused()
    expect(chip).to_have_text(f"Instruction missing {silent - 1:,}")
    expect(field(page, 10)).to_have_value("now it has one")  # what was just written does not vanish under the hand
    scroll_to_end(page)
    expect(field(page, MANY - 10)).to_have_value("")
    assert nodes(page) < 2000


def test_far_down_a_pair_is_swapped_excluded_and_removed_and_each_is_undone(page, server, many):
    store, dataset = many
    open_light_table(page, server, dataset)
    scroll_to_end(page)
    place = MANY - 4
    expect(at(page, place).locator("img")).to_have_count(2)
    sources = "(pair) => [...pair.querySelectorAll('img')].map((image) => image.src)"
    before = at(page, place).evaluate(sources)
    page.get_by_role("button", name=f"Swap before and after, pair {place}").click()
    expect(page.locator(".d-toast")).to_contain_text("Before and after swapped")
    expect(at(page, place).locator("img").first).to_have_attribute("src", re.compile(before[1].split("/")[-2]))
    page.keyboard.press("Control+z")
    expect(page.locator(".d-toast")).to_contain_text("Back again")
    expect(at(page, place).locator("img").first).to_have_attribute("src", re.compile(before[0].split("/")[-2]))
    page.get_by_role("button", name=f"Exclude from training, or include, pair {place}").click()
    expect(at(page, place)).to_contain_text("Excluded from training.")
    expect(page.get_by_role("button", name="Excluded 1")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.get_by_role("button", name="Excluded 1")).to_have_count(0)
    page.get_by_role("button", name=f"Remove, pair {place}").click()
    expect(page.locator(".d-head")).to_contain_text("49,999 pairs")
    expect(at(page, place)).to_have_count(0)
    page.keyboard.press("Control+z")
    expect(page.locator(".d-head")).to_contain_text("50,000 pairs")
    expect(at(page, place).locator("img")).to_have_count(2)
    assert store.info(dataset).num_pictures == MANY and nodes(page) < 2000


def test_all_of_a_filter_are_excluded_by_one_request_and_brought_back(page, server, many):
    store, dataset = many
    open_light_table(page, server, dataset)
    chip = page.get_by_role("button", name=re.compile("Instruction missing"))
    silent = store.info(dataset).num_silent
    expect(chip).to_have_text(f"Instruction missing {silent:,}")
    asked = []
    page.on("request", lambda request: asked.append(request) if request.url.endswith("/exclude") else None)
    chip.click()
    page.keyboard.press("Control+a")
    expect(page.locator(".selt b")).to_have_text(f"{silent:,} selected")
    page.keyboard.press("x")
    expect(page.locator(".d-toast")).to_contain_text(f"{silent:,} pairs excluded from training", timeout=LONG_MS)
    assert len(asked) == 1 and len(asked[0].post_data) < 100_000
    assert (store.info(dataset).num_excluded, store.info(dataset).num_silent) == (silent, 0)
    expect(chip).to_have_count(0)
    expect(page.locator(".selt").get_by_role("button", name="Include")).to_be_visible()  # also of those that are not in the page
    scroll_to_end(page)
    expect(at(page, MANY - 10)).to_have_class(re.compile("sel"))
    page.keyboard.press("Control+z")
    expect(page.locator(".d-toast")).to_contain_text("Back again", timeout=LONG_MS)
    expect(chip).to_have_text(f"Instruction missing {silent:,}")
    assert store.info(dataset).num_excluded == 0 and nodes(page) < 2000


def test_all_fifty_thousand_are_chosen_at_once_and_a_run_reaches_beyond_what_is_in_the_page(page, server, many):
    store, dataset = many
    open_light_table(page, server, dataset)
    page.keyboard.press("Control+a")
    expect(page.locator(".selt b")).to_have_text("50,000 selected")
    page.keyboard.press("Escape")
    page.get_by_role("checkbox", name="Select pair 3", exact=True).click()
    scroll_to_end(page)
    page.get_by_role("checkbox", name=f"Select pair {MANY - 2}", exact=True).click(modifiers=["Shift"])
    expect(page.locator(".selt b")).to_have_text(f"{MANY - 4:,} selected")
    page.keyboard.press("x")
    expect(page.locator(".selt b")).to_have_text(f"Excluding {MANY - 4:,}, about 4 s")
    expect(page.locator(".d-toast")).to_contain_text(f"{MANY - 4:,} pairs excluded from training", timeout=LONG_MS)
    assert store.info(dataset).num_excluded == MANY - 4
    expect(at(page, MANY - 1)).not_to_contain_text("Excluded from training.")
    page.keyboard.press("Control+z")
    expect(page.locator(".d-toast")).to_contain_text("Taking it back …")
    expect(page.locator(".d-toast")).to_contain_text("Back again", timeout=LONG_MS)
    assert store.info(dataset).num_excluded == 0 and nodes(page) < 2000


def test_what_needs_a_look_is_marked_where_one_looks(page, server, many):
    open_light_table(page, server, many[1])
    expect(page.get_by_role("button", name=re.compile("Needs a look [0-9,]+"))).to_be_visible(timeout=60_000)
    scroll_to_end(page)
    expect(at(page, MANY - 4)).to_contain_text(re.compile("Has a double|A draft"))
    page.get_by_role("button", name=re.compile("Needs a look")).click()
    expect(page.locator(".d-chip.on")).to_contain_text("Needs a look")
    expect(at(page, 1)).to_contain_text("Has a double")

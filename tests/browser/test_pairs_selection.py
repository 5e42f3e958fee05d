"""Many edit pairs chosen and changed at once in a real browser: by tick, run, box, all of a filter; each act one request and one undo."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from studio.datasets.store import DatasetStore
from tests.browser.light_table import create_pairs, open_light_table
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
FIELDS = ".pr input.d-in"
TEXTS = ("a", "b", "c", "d")
LONG_MS = 60_000  # for what computes, on a busy machine


@pytest.fixture
def store(server):
    return DatasetStore(server.workspace)


@pytest.fixture
def dataset(server):
    """Six pairs, of which the first four have an instruction."""
    return create_pairs(server, 6, TEXTS)


@pytest.fixture
def table(page, server, dataset):
    return open_light_table(page, server, dataset)


def tick(page, number):
    return page.get_by_role("checkbox", name=f"Select pair {number}", exact=True)


def choose(page, *numbers):
    for number in numbers:
        tick(page, number).click()


def chosen(page):
    return [n for n in range(1, page.locator(".pr").count() + 1) if tick(page, n).is_checked()]


def bar(page, name):
    return page.locator(".selt").get_by_role("button", name=name, exact=True)


def says(page, text):
    expect(page.locator(".selt b")).to_have_text(text)


def undo(page):
    page.keyboard.press("Control+z")
    expect(page.locator(".d-toast")).to_contain_text("Back again")


def posted(page, act):
    """The bodies of all requests for an act, as they come."""
    found = []
    page.on("request", lambda request: found.append(request.post_data_json) if request.url.endswith(f"/{act}") else None)
    return found


def hold(page, address):
    """The requests to an address, which wait until they are sent on."""
    held = []

    def keep(route):
        held.append(route)

    page.route(address, keep)
    return held


def test_pairs_are_chosen_by_tick_run_keys_and_all_and_let_go(table):
    expect(table.locator(".selt")).to_be_hidden()
    choose(table, 2)
    says(table, "1 selected")
    tick(table, 4).click(modifiers=["Shift"])
    says(table, "3 selected")
    assert chosen(table) == [2, 3, 4]
    expect(table.get_by_role("dialog")).to_have_count(0)
    table.keyboard.press("Escape")
    expect(table.locator(".selt")).to_be_hidden()
    tick(table, 1).focus()
    table.keyboard.press("Space")
    table.keyboard.press("Shift+ArrowRight")
    expect(tick(table, 2)).to_be_focused()
    assert chosen(table) == [1, 2]
    table.keyboard.press("Control+a")
    says(table, "6 selected")
    choose(table, 5)
    assert chosen(table) == [1, 2, 3, 4, 6]
    bar(table, "Clear the selection").click()
    assert chosen(table) == []


def test_a_picture_is_looked_at_by_a_click_and_chosen_with_control(table):
    table.locator(".pr img").nth(2).click(modifiers=["Control"])
    table.locator(".pr img").nth(7).click(modifiers=["Shift"])
    assert chosen(table) == [2, 3, 4]
    table.locator(".pr img").nth(2).click()
    expect(table.get_by_role("dialog")).to_be_visible()
    table.keyboard.press("Escape")
    expect(table.get_by_role("dialog")).to_have_count(0)
    says(table, "3 selected")


def test_a_box_chooses_what_it_touches_and_opens_nothing(table):
    first, second = (table.locator(".pr .d-pair").nth(n).bounding_box() for n in (0, 1))
    table.mouse.move(first["x"] + 30, first["y"] + 30)
    table.mouse.down()
    table.mouse.move(second["x"] + 40, second["y"] + 50, steps=4)
    table.mouse.up()
    says(table, "2 selected")
    assert chosen(table) == [1, 2]
    expect(table.get_by_role("dialog")).to_have_count(0)


def test_typing_an_instruction_is_never_disturbed_and_leaves_the_selection(table, store, dataset):
    choose(table, 1, 2)
    field = table.locator(FIELDS).nth(4)
    field.click()
    table.keyboard.type("exclude six cats in ")
    table.keyboard.press("Control+a")
    table.keyboard.press("Backspace")
    table.keyboard.type("mix")
    expect(field).to_have_value("mix")
    table.keyboard.press("Escape")
    says(table, "2 selected")
    wait_until(lambda: [row.text for row in store.pictures(dataset)] == [*TEXTS, "mix", ""])
    assert not any(row.excluded for row in store.pictures(dataset))
    table.keyboard.press("Escape")
    expect(table.locator(".selt")).to_be_hidden()


def test_chosen_pairs_are_excluded_by_one_request_included_again_and_undone(table, store, dataset):
    asked = posted(table, "exclude")
    choose(table, 1, 2, 3, 5)
    table.keyboard.press("x")
    expect(table.locator(".d-toast")).to_contain_text("4 pairs excluded from training")
    assert [row.excluded for row in store.pictures(dataset)] == [True, True, True, False, True, False]
    first = store.pictures(dataset)[0].place
    assert asked == [{"places": [[first, 3], [first + 4, 1]], "excluded": True}]
    bar(table, "Include").click()
    expect(table.locator(".d-toast")).to_contain_text("4 pairs included again")
    assert not any(row.excluded for row in store.pictures(dataset))
    undo(table)
    assert sum(row.excluded for row in store.pictures(dataset)) == 4
    expect(bar(table, "Include")).to_be_visible()
    undo(table)
    expect(bar(table, "Exclude")).to_be_visible()
    says(table, "4 selected")


def test_all_of_a_filter_are_told_one_instruction_and_one_undo_takes_it_back(table, store, dataset):
    asked = posted(table, "say")
    table.get_by_role("button", name=re.compile("Instruction missing")).click()
    expect(table.locator(".pr")).to_have_count(2)
    table.keyboard.press("Control+a")
    says(table, "2 selected")
    table.keyboard.press("i")
    dialog = table.get_by_role("dialog")
    dialog.get_by_role("button", name="Say it in 2 pairs").click()
    expect(dialog).to_contain_text("The instruction is empty.")
    dialog.get_by_label("Instruction").fill("make it night")
    table.keyboard.press("Enter")
    expect(table.locator(".d-toast")).to_contain_text("“make it night” in 2 pairs")
    expect(table.locator(".pr")).to_have_count(6)  # none is missing any more
    assert [row.text for row in store.pictures(dataset)] == [*TEXTS, "make it night", "make it night"] and len(asked) == 1
    undo(table)
    assert [row.text for row in store.pictures(dataset)] == [*TEXTS, "", ""]


def test_a_filter_whose_answer_is_on_the_way_is_waited_for_before_all_are_chosen(table, dataset):
    held = hold(table, "**/places?kind=text")
    chip = table.get_by_role("button", name=re.compile("Instruction missing"))
    chip.click()
    table.keyboard.press("Control+a")
    says(table, "Selecting …")
    assert chosen(table) == []  # not the six that still lie there
    held.pop().continue_()
    says(table, "2 selected")
    table.keyboard.press("Escape")
    table.get_by_role("button", name=re.compile("^All 6")).click()
    chip.click()
    table.keyboard.press("Control+a")
    table.get_by_role("button", name=re.compile("^All 6")).click()
    held.pop().continue_()
    expect(table.locator(".selt")).to_be_hidden()  # another choice was made meanwhile
    assert chosen(table) == []


def test_an_answer_that_comes_late_leaves_what_was_chosen_meanwhile(table, store, dataset):
    held = hold(table, "**/exclude")
    choose(table, 1, 2)
    bar(table, "Exclude").click()
    says(table, "Excluding 2 …")
    table.keyboard.press("Escape")
    choose(table, 4)
    table.keyboard.press("Delete")  # one thing at a time
    held.pop().continue_()
    expect(table.locator(".d-toast")).to_contain_text("2 pairs excluded from training")
    assert chosen(table) == [4]
    says(table, "1 selected")
    assert [row.excluded for row in store.pictures(dataset)] == [True, True, False, False, False, False]


def test_chosen_pairs_judge_together_and_are_learnt_from_again(table, store, dataset):
    choose(table, 2, 3)
    table.keyboard.press("j")
    expect(table.locator(".d-toast")).to_contain_text("2 pairs now judge")
    assert [row.judges for row in store.pictures(dataset)] == [False, True, True, False, False, False]
    table.get_by_role("button", name=re.compile("^Judges 2")).click()
    expect(table.locator(".pr")).to_have_count(2)
    table.keyboard.press("Control+a")
    bar(table, "Let teach").click()
    expect(table.locator(".pr")).to_have_count(6)  # nobody judges any more
    assert not any(row.judges for row in store.pictures(dataset))
    undo(table)
    assert sum(row.judges for row in store.pictures(dataset)) == 2


def test_chosen_pairs_are_swapped_together_and_back(table, store, dataset):
    before = [(row.before.id, row.after.id) for row in store.pictures(dataset)]
    choose(table, 2, 6)
    bar(table, "Swap").click()
    expect(table.locator(".d-toast")).to_contain_text("Before and after swapped in 2 pairs")
    assert [(row.before.id, row.after.id) for row in store.pictures(dataset)] == [
        s[::-1] if n in (1, 5) else s for n, s in enumerate(before)
    ]
    expect(table.locator(".pr img").nth(2)).to_have_attribute("src", re.compile(before[1][1]))
    assert chosen(table) == [2, 6]
    undo(table)
    assert [(row.before.id, row.after.id) for row in store.pictures(dataset)] == before


def test_removed_pairs_are_chosen_no_more_and_those_that_stayed_still_are(table, store, dataset):
    choose(table, 2, 3, 5)
    table.get_by_role("button", name="Remove, pair 3").click()
    expect(table.locator(".pr")).to_have_count(5)
    says(table, "2 selected")
    assert chosen(table) == [2, 4]  # the fifth is the fourth now
    expect(table.get_by_role("button", name="Swap before and after, pair 5")).to_have_count(1)
    tick(table, 2).focus()
    table.keyboard.press("Delete")
    expect(table.locator(".pr")).to_have_count(3)
    expect(table.locator(".selt")).to_be_hidden()
    expect(tick(table, 2)).to_be_focused()  # one goes on where one was
    undo(table)
    expect(table.locator(".pr")).to_have_count(5)
    undo(table)
    expect(table.locator(".pr")).to_have_count(6)
    assert [row.text for row in store.pictures(dataset)] == [*TEXTS, "", ""] and chosen(table) == []


def test_several_are_cropped_together_and_one_by_hand(table, store, dataset):
    choose(table, 1, 4)
    table.keyboard.press("c")
    dialog = table.locator("dialog.d-many[data-state=ready]")
    expect(dialog).to_contain_text("2 pairs, one step to undo", timeout=LONG_MS)
    dialog.locator("#many-shape").select_option("3:4")
    table.locator("dialog.d-many[data-state=ready]").get_by_role("button", name="Middle").click()
    dialog.get_by_role("button", name="Crop 2 pairs").click()
    expect(table.locator(".d-toast")).to_contain_text("2 cropped", timeout=LONG_MS)
    assert [row.width for row in store.pictures(dataset)] == [96, 128, 128, 96, 128, 128]
    expect(table.locator(".selt")).to_be_hidden()
    choose(table, 1)
    bar(table, "Crop").click()
    expect(table.get_by_role("dialog")).to_contain_text("01")
    table.keyboard.press("Escape")
    expect(table.locator(FIELDS).first).to_be_focused()  # where one is after a crop
    table.keyboard.press("Escape")
    undo(table)
    assert {row.width for row in store.pictures(dataset)} == {128}


LOOKS = [{}, {"viewport": {"width": 390, "height": 844}, "has_touch": True, "color_scheme": "dark"}]


@pytest.mark.parametrize("page", LOOKS, indirect=True, ids=["desk", "phone-dark"])
def test_the_selection_is_right_for_assistive_technology_and_nothing_scrolls_sideways(table):
    from axe_playwright_python.sync_playwright import Axe

    choose(table, 1, 2)
    table.wait_for_selector(".d-hw b:not(:empty)", state="attached")
    found = Axe().run(table).response["violations"]
    assert [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in ("serious", "critical")] == []
    assert table.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for name in ("Crop", "Swap", "Instruction", "Let judge", "Exclude", "Remove", "Clear the selection"):
        expect(bar(table, name)).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("page", [LOOKS[1]], indirect=True, ids=["phone-dark"])
def test_on_touch_the_tick_is_there_without_hovering_and_large_enough(table, store, dataset):
    shown = tick(table, 1).evaluate("(tick) => [getComputedStyle(tick).opacity, tick.offsetWidth, tick.offsetHeight]")
    assert shown[0] == "1" and min(shown[1:]) >= 44
    tick(table, 1).tap()
    bar(table, "Exclude").tap()
    expect(table.locator(".d-toast")).to_contain_text("1 pair excluded from training")
    assert [row.excluded for row in store.pictures(dataset)] == [True, *[False] * 5]

"""Letting pictures judge on the light table: the action, the key, the mark, the filter, undo; and what Check and Train say of it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from studio.datasets.ingest import ingest_folder
from studio.datasets.judges import mark_judges
from studio.datasets.samples import create_sample_dataset
from studio.datasets.store import DatasetStore
from tests.browser.light_table import open_light_table
from tests.studio.datasets.pairs import write_folders

pytestmark = pytest.mark.slow


@pytest.fixture
def store(server):
    return DatasetStore(server.workspace)


def judging(store, made):
    return [n for n, row in enumerate(store.pictures(made)) if row.judges]


def test_chosen_pictures_judge_are_marked_filtered_and_teach_again(page, server, store):
    made = create_sample_dataset(store, "zog").id
    open_light_table(page, server, made)
    frames = page.locator(".d-thumb[data-id]")
    frames.nth(1).locator(".w").click()
    frames.nth(3).locator(".w").click()
    page.get_by_role("button", name="Let judge").click()
    expect(page.locator(".d-toast")).to_contain_text("2 pictures now judge, and are never learnt from")
    expect(frames.nth(1).locator(".d-mark")).to_contain_text("judges")
    expect(frames.nth(0).locator(".d-mark", has_text="judges")).to_have_count(0)
    expect(page.locator(".d-dock")).to_contain_text("2 pictures judge, chosen by you.")
    assert judging(store, made) == [1, 3]
    page.get_by_role("button", name="Judges: 2").click()
    expect(frames).to_have_count(2)
    page.reload()
    expect(page.get_by_role("button", name="Judges: 2")).to_be_visible()
    page.get_by_role("button", name="Judges: 2").click()
    expect(frames).to_have_count(2)
    frames.nth(0).locator(".w").click()
    page.get_by_role("button", name="Let teach").click()
    expect(page.locator(".d-toast")).to_contain_text("1 picture is learnt from again")
    expect(frames).to_have_count(1)
    assert judging(store, made) == [3]
    page.locator(".d-toast").get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Judges: 2")).to_be_visible()
    assert judging(store, made) == [1, 3]


def test_the_key_marks_and_the_sheet_of_keys_names_it(page, server, store):
    made = create_sample_dataset(store, "zog").id
    open_light_table(page, server, made)
    page.locator(".d-thumb[data-id] .w").nth(2).click()
    page.keyboard.press("j")
    expect(page.get_by_role("button", name="Judges: 1")).to_be_visible()
    page.keyboard.press("j")
    expect(page.get_by_role("button", name="Judges: 1")).to_have_count(0)
    page.keyboard.press("Control+z")
    expect(page.get_by_role("button", name="Judges: 1")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Let judge, or let teach again")
    assert judging(store, made) == [2]


def test_what_is_excluded_judges_nothing_and_its_mark_comes_back_with_it(page, server, store):
    made = create_sample_dataset(store, "zog").id
    mark_judges(store, made, [row.id for row in store.pictures(made)[:2]], judges=True)
    open_light_table(page, server, made)
    frame = page.locator(".d-thumb[data-id]").nth(0)
    frame.locator(".w").click()
    page.get_by_role("button", name="Exclude", exact=True).click()
    expect(frame.locator(".d-mark")).to_have_text("excluded")
    expect(page.get_by_role("button", name="Judges: 1")).to_be_visible()
    page.get_by_role("button", name="Include", exact=True).click()
    expect(frame.locator(".d-mark")).to_contain_text("judges")
    expect(page.get_by_role("button", name="Judges: 2")).to_be_visible()


def test_a_pair_that_judges_says_so_on_its_card(page, server, store, tmp_path):
    made = store.create("Edits", "pairs").id
    ingest_folder(store, made, write_folders(tmp_path / "in", 4, listed=True))
    mark_judges(store, made, [store.pictures(made)[1].id], judges=True)
    open_light_table(page, server, made)
    expect(page.locator(".pr .d-mark")).to_have_text("judges")
    expect(page.locator(".pr").nth(1).locator(".d-mark")).to_be_visible()
    page.get_by_role("button", name="Judges 1").click()
    expect(page.locator(".pr")).to_have_count(1)


def test_check_and_train_say_who_chose_them(page, server, store):
    made = create_sample_dataset(store, "zog").id
    mark_judges(store, made, [row.id for row in store.pictures(made)[:3]], judges=True)
    page.goto(f"{server.address}/check?dataset={made}")
    page.get_by_role("button", name="3 pictures judge, chosen by you").click()
    expect(page.get_by_text("Exactly these are held out, with their near copies")).to_be_visible()
    expect(page.locator(".d-dock")).to_contain_text("9 pictures to learn from, 3 to judge by, chosen by you.")
    page.goto(f"{server.address}/train?dataset={made}")
    expect(page.locator("#forecast")).to_contain_text("3 chosen by you")
    expect(page.locator("#f-held_out_share")).to_contain_text(re.compile("3 pictures judge, chosen by you on the Dataset page"))


def test_where_all_judge_check_stops_and_one_button_lets_them_teach(page, server, store):
    made = create_sample_dataset(store, "zog").id
    mark_judges(store, made, [row.id for row in store.pictures(made)], judges=True)
    page.goto(f"{server.address}/check?dataset={made}")
    expect(page.locator("[data-code=all_judge]")).to_be_visible()
    page.get_by_role("button", name="Let all teach again").click()
    expect(page.locator(".d-toast")).to_contain_text("12 pictures teach again")
    expect(page.locator("[data-code=all_judge]")).to_have_count(0)
    assert judging(store, made) == []

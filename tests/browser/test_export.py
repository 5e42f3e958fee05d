"""A data set leaves by the page: at once where it is small, else with progress, Stop, and a file that waits to be downloaded."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import zipfile

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import expect

from studio.datasets.ingest import ingest_folder
from studio.datasets.store import DatasetStore
from tests.browser.light_table import open_light_table
from tests.studio.datasets.drawing import draw_figure, encode
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
MANY = 40_000


@pytest.fixture
def store(server):
    return DatasetStore(server.workspace)


@pytest.fixture
def dataset(store, tmp_path):
    made = store.create("Small and quick").id
    for n in range(3):
        (tmp_path / f"{n}.png").write_bytes(encode(draw_figure(n, 64)))
    ingest_folder(store, made, tmp_path)
    return made


@pytest.fixture
def many(store, dataset):
    """Very many rows that share the small files: written straight into the table."""
    (like, *_) = store.pictures(dataset)
    with store.index(dataset).change() as rows:
        for number in range(MANY):
            key = hashlib.sha256(str(number).encode()).hexdigest()[:24]
            rows.add(dataclasses.replace(like, id=key, name=f"{number:06}.png", text=f"number {number}", text_by="file"))
    return dataset


def open_menu(page, server, dataset, choice):
    open_light_table(page, server, dataset)
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name=choice).click()


def left(server):
    return list(server.workspace.temporary.glob("job-*"))


def test_a_small_data_set_comes_at_once_and_leaves_no_card(server, page, dataset):
    with page.expect_download() as download:
        open_menu(page, server, dataset, "Export as ZIP")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert sorted(archive.namelist()) == ["0.png", "1.png", "2.png", "metadata.jsonl"]
    assert download.value.suggested_filename == f"{dataset}.zip"
    expect(page.get_by_text("is on its way")).to_be_visible()
    expect(page.locator(".jb")).to_have_count(0)


def test_a_large_one_says_how_far_it_is_and_stops_without_a_trace(server, page, many):
    open_menu(page, server, many, "Export as ZIP")
    card = page.locator(".jb")
    expect(card).to_contain_text("Export “Small and quick” as a ZIP of pictures")
    expect(card.get_by_role("status")).to_contain_text(re.compile(r"Writing: [\d,]+ of 40,003 rows, \d+ %, (about .* left|nearly done)"))
    expect(card.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile(r"\d+"))
    wait_until(lambda: len(left(server)) == 1, lambda: f"one folder, there is {left(server)}")
    card.get_by_role("button", name=re.compile("^Stop")).click()
    expect(card).to_contain_text("It was stopped. Nothing of it was kept.")
    expect(card.get_by_role("link", name="Download")).to_have_count(0)
    wait_until(lambda: left(server) == [], lambda: f"none left, there is {left(server)}")
    card.get_by_role("button", name=re.compile("^Close")).click()
    expect(page.locator(".jb")).to_have_count(0)


def test_an_older_answer_does_not_make_work_go_on_that_is_over(server, page, many):
    open_menu(page, server, many, "Export as ZIP")
    card = page.locator(".jb")
    expect(card.get_by_role("status")).to_contain_text("Writing")
    held = []
    page.route("**/stop", lambda route: held.append((route, route.fetch())))
    card.get_by_role("button", name=re.compile("^Stop")).click()
    expect(card).to_contain_text("It was stopped. Nothing of it was kept.")
    (route, answer) = held[0]
    with page.expect_event("requestfinished", lambda request: request == route.request):
        route.fulfill(response=answer)
    page.evaluate("() => new Promise((ok) => requestAnimationFrame(() => setTimeout(ok)))")
    expect(card).to_contain_text("It was stopped. Nothing of it was kept.")
    card.get_by_role("button", name=re.compile("^Close")).click()
    expect(page.locator(".jb")).to_have_count(0)


def test_it_goes_on_when_the_page_is_left_and_waits_with_its_file(server, page, many):
    open_menu(page, server, many, "Export as Parquet")
    expect(page.locator(".jb").get_by_role("status")).to_contain_text("Writing")
    page.goto(f"{server.address}/dataset?dataset={many}")
    card = page.locator(".jb[data-state=done]")
    expect(card).to_contain_text("MB are ready. They stay on the disk of the workspace until you close this", timeout=180_000)
    with page.expect_download() as download:
        card.get_by_role("link", name="Download").click()
    assert pq.read_metadata(download.value.path()).num_rows == MANY + 3
    card.get_by_role("button", name=re.compile("^Close")).click()
    expect(page.locator(".jb")).to_have_count(0)
    wait_until(lambda: left(server) == [], lambda: f"none left, there is {left(server)}")


def test_other_forms_are_chosen_in_a_dialogue(server, page, dataset):
    open_menu(page, server, dataset, "Export in another form")
    dialogue = page.get_by_role("dialog", name="Export “Small and quick”")
    repeats = dialogue.get_by_label("Repeats of the other pictures")
    expect(repeats).to_be_hidden()
    dialogue.get_by_role("radio", name=re.compile("^Folders with repeats")).check()
    repeats.fill("12")
    with page.expect_download() as download:
        dialogue.get_by_role("button", name="Export", exact=True).click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert "12_Small and quick/0.png" in archive.namelist()
    expect(dialogue).to_have_count(0)

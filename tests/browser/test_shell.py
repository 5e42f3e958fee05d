"""The rail and the frame around every page."""

from __future__ import annotations

import re

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.test_dataset_page import picture

pytestmark = pytest.mark.slow
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
LOOKS = [{}, {"color_scheme": "dark"}, PHONE, {**PHONE, "color_scheme": "dark"}]
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def dataset(server):
    made = httpx.post(f"{server.address}/api/datasets", json={"name": "Looks"}).json()["id"]
    sizes = [(300, 300), (300, 200), (40, 40), (200, 300)]
    files = [("files", (f"{n}.png", picture("teal" if n % 2 else "gold", size), "image/png")) for n, size in enumerate(sizes)]
    httpx.post(f"{server.address}/api/datasets/{made}/files", files=files)
    return made


def faults(page):
    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in SERIOUS]


@pytest.mark.parametrize("page", LOOKS, indirect=True)
@pytest.mark.parametrize(
    ("path", "wait"),
    [("/", "#home[data-state=ready]"), ("/dataset", "#light[data-state=ready]"), ("/dataset?dataset={}", "#light[data-marks=ready]")],
)
def test_no_serious_fault_of_access_and_no_sideways_scroll(page, server, dataset, path, wait):
    page.goto(server.address + path.format(dataset))
    page.wait_for_selector(wait)
    page.wait_for_selector(".d-hw b:not(:empty)", state="attached")
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_rail_tells_where_each_step_stands_and_keeps_the_data_set(page, server, dataset):
    page.goto(f"{server.address}/dataset?dataset={dataset}")
    rail = page.get_by_role("complementary", name="Studio")
    expect(rail.get_by_role("link", name="done: Dataset")).to_contain_text("4")
    expect(rail.locator("[aria-current=page]")).to_contain_text("Dataset")
    expect(rail.get_by_role("link", name="Captions")).to_have_attribute("href", f"/captions?dataset={dataset}")


def test_the_title_that_came_first_gives_way_to_the_pages_own(page, server, dataset):
    page.goto(f"{server.address}/check?dataset={dataset}", wait_until="commit")
    first = page.locator(".d-first")
    expect(first).to_have_text(re.compile("^Check"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Check")
    expect(first).to_be_hidden()


def test_the_switcher_goes_to_another_data_set(page, server, dataset):
    other = httpx.post(f"{server.address}/api/datasets", json={"name": "Another one"}).json()["id"]
    page.goto(f"{server.address}/dataset?dataset={dataset}")
    page.get_by_role("button", name="Switch data set: Looks").click()
    page.locator(".d-menu").get_by_role("link", name="Another one").click()
    page.wait_for_url(f"**/dataset?dataset={other}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Another one")


def test_a_page_goes_on_when_the_server_is_away(own_server, page):
    page.goto(own_server.address + "/dataset")
    page.wait_for_selector("#light[data-state=ready]")
    own_server.process.kill()
    own_server.process.wait()
    page.set_input_files("#pick-files", [{"name": "a.png", "mimeType": "image/png", "buffer": picture("red")}])
    expect(page.get_by_text("Darkroom does not answer. Is it still running?")).to_be_visible()


def test_the_login_page_lets_in_with_the_password(page, tmp_path):
    from tests.conftest import start_server, stop_server

    guarded = start_server(tmp_path, "--password", "silver halide")
    try:
        page.goto(guarded.address + "/dataset")
        assert faults(page) == []
        page.get_by_label("Password").fill("wrong one")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("not the password")
        page.get_by_label("Password").fill("silver halide")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Drop 10 to 30 pictures here")).to_be_visible()
    finally:
        stop_server(guarded)

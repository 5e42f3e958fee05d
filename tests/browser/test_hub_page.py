"""The hub from the Dataset page: a data set comes, another goes, and what the hub refuses stands in the dialogue."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

from tests.conftest import start_server, stop_server
from tests.hub_server import GOOD_TOKEN, Hub, serve_hub
from tests.studio.web.test_import_jobs import table

pytestmark = pytest.mark.slow


@pytest.fixture
def hub(tmp_path):
    """A hub with one data set in two files, whose columns' names tell nothing."""
    kinds = {"left": "picture", "right": "picture", "said": "words", "author": "words"}
    for number in range(2):
        path = tmp_path / f"moods/data/train-{number:05d}-of-00002.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(table(kinds, 4, first=10 * number))
    (tmp_path / "pushed").mkdir()
    with serve_hub(
        Hub({"me/moods": tmp_path / "moods", "me/gated": tmp_path / "moods"}, gated={"me/gated"}, pushed=tmp_path / "pushed")
    ) as served:
        yield served


@pytest.fixture
def studio(hub, tmp_path, monkeypatch):
    """Darkroom that takes this hub for the real one, without a token."""
    for name in ("HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (("HF_ENDPOINT", hub.address), ("HF_HOME", str(tmp_path / "home")), ("HF_HUB_DISABLE_XET", "1")):
        monkeypatch.setenv(name, value)
    running = start_server(tmp_path)
    yield running
    stop_server(running)


def test_a_data_set_comes_from_the_hub_and_goes_there(page, studio, hub):
    page.goto(f"{studio.address}/dataset")
    page.wait_for_selector("#light[data-state=ready]")
    page.get_by_role("button", name="From the Hugging Face hub").click()
    dialogue = page.get_by_role("dialog", name="From the Hugging Face hub")
    for name, told in (("nobody/nothing", "There is no data set “nobody/nothing” on the hub"), ("moods", "Give its name as owner/name")):
        dialogue.get_by_label("Data set").fill(name)
        dialogue.get_by_role("button", name="Fetch").click()
        expect(dialogue.get_by_role("alert")).to_contain_text(told)
    dialogue.get_by_label("Data set").fill("me/moods")
    dialogue.get_by_role("button", name="Fetch").click()
    columns = page.get_by_role("dialog", name="Which columns hold what?")
    for column, role in (("left", "before"), ("right", "after"), ("said", "words")):
        columns.get_by_label(column).select_option(role)
    columns.get_by_role("button", name="Bring it in").click()
    expect(page.locator(".d-dock")).to_contain_text("8 pairs are complete.")
    expect(page.get_by_role("heading", level=1)).to_contain_text("moods")

    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Push to the hub").click()
    dialogue = page.get_by_role("dialog", name="Push “moods” to the hub")
    dialogue.get_by_label("Where to").fill("me/moods-again")
    dialogue.get_by_role("button", name="Push").click()
    expect(dialogue.get_by_role("alert")).to_contain_text("there is no token. Make one with the right to write")
    token = studio.workspace.root / "hf_token"
    token.write_text(GOOD_TOKEN, "utf-8")
    token.chmod(0o600)
    assert httpx.get(f"{studio.address}/api/jobs").json() == []
    assert "me/moods-again" not in hub.repositories


def test_a_gated_one_says_where_its_licence_is_accepted(page, studio):
    page.goto(f"{studio.address}/dataset")
    page.wait_for_selector("#light[data-state=ready]")
    page.get_by_role("button", name="From the Hugging Face hub").click()
    page.get_by_label("Data set").fill("me/gated")
    page.get_by_role("button", name="Fetch").click()
    expect(page.locator(".jb[data-state=failed]")).to_contain_text("Open https://huggingface.co/datasets/me/gated")
    page.get_by_role("button", name="Close: Fetch “me/gated” from the hub").click()
    expect(page.locator(".jb")).to_have_count(0)


def begin_fetch(page, studio, repo):
    page.goto(f"{studio.address}/dataset")
    page.wait_for_selector("#light[data-state=ready]")
    page.get_by_role("button", name="From the Hugging Face hub").click()
    page.get_by_label("Data set").fill(repo)
    page.get_by_role("button", name="Fetch").click()


def write_foxes(folder, *tables):
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(tables):
        (folder / f"train-{number:05d}-of-{len(tables):05d}.parquet").write_bytes(data)


def test_a_fetch_that_fails_before_anything_came_leaves_nothing_behind(page, studio, hub, tmp_path):
    write_foxes(tmp_path / "foxes/data", b"PAR1 and nothing else")
    hub.repositories["me/foxes"] = tmp_path / "foxes"
    begin_fetch(page, studio, "me/foxes")
    expect(page.locator(".jb[data-state=failed]")).to_contain_text("Nothing came in, so nothing was kept.")
    expect(page.get_by_role("heading", name="Drop 10 to 30 pictures here")).to_be_visible()
    assert "dataset=" not in page.url
    assert not [path for path in studio.workspace.datasets.iterdir() if not path.name.startswith(".")]
    expect(page.get_by_role("button", name="Go on")).to_have_count(0)


def test_a_fetch_that_breaks_off_keeps_what_came_and_goes_on_with_what_is_missing(page, studio, hub, tmp_path):
    kinds = {"image": "picture", "text": "words"}
    write_foxes(tmp_path / "foxes/data", table(kinds, 4), b"PAR1 and nothing else")
    hub.repositories["me/foxes"] = tmp_path / "foxes"
    begin_fetch(page, studio, "me/foxes")
    card = page.locator(".jb[data-state=failed]")
    expect(card).to_contain_text("“foxes” has 4 pictures, which stay; Go on fetches what is missing.")
    write_foxes(tmp_path / "foxes/data", table(kinds, 4), table(kinds, 4, first=10))
    hub.asked.clear()
    card.get_by_role("button", name="Go on").click()
    expect(page.locator(".d-dock")).to_contain_text("8 pictures are in.")
    expect(page.locator(".jb")).to_have_count(0)
    fetched = {path.rsplit("/", 1)[1] for verb, path, _ in hub.asked if verb == "GET" and "/resolve/" in path}
    assert fetched == {"train-00001-of-00002.parquet"}, "what came in whole does not come again"


def test_with_a_token_in_the_private_file_a_data_set_is_pushed(page, studio, hub, tmp_path, monkeypatch):
    stop_server(studio)
    token = studio.workspace.root / "hf_token"
    token.write_text(GOOD_TOKEN, "utf-8")
    token.chmod(0o600)
    again = start_server(tmp_path)
    try:
        made = httpx.post(f"{again.address}/api/home/sample", json={"name": "zog"}).json()
        page.goto(f"{again.address}/dataset?dataset={made['id']}")
        expect(page.locator(".d-thumb[data-id]")).to_have_count(12)
        page.get_by_role("button", name="More", exact=True).click()
        page.get_by_role("button", name="Push to the hub").click()
        page.get_by_label("Where to").fill("me/zog")
        page.get_by_role("dialog").get_by_role("button", name="Push").click()
        expect(page.locator(".jb")).to_contain_text("12 rows are at")
        assert hub.private["me/zog"]
        assert (hub.repositories["me/zog"] / "data/train-00000.parquet").is_file()
    finally:
        stop_server(again)

"""What is dropped on the Dataset page, as the system gives it to the browser: nested folders, tables, archives, lists of pairs."""

from __future__ import annotations

import json
import re
import tarfile

import pyarrow.parquet as pq
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.studio.datasets.drawing import draw_figure, encode
from tests.studio.datasets.pairs import write_folders
from tests.studio.web.test_import_jobs import table

pytestmark = pytest.mark.slow


def drop(page, *paths):
    """Drops files and folders of the disk in the middle of the page: the browser itself reads them, as after a real drag."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 700, "y": 450, "data": data})
    session.detach()


@pytest.fixture
def light(page, server):
    """The empty light table."""
    page.goto(f"{server.address}/dataset")
    page.wait_for_selector("#light[data-state=ready]")
    return page


def test_a_nested_folder_is_dropped_with_captions_and_without_what_systems_leave(light, tmp_path):
    root = tmp_path / "Forest"
    for number, place in enumerate(("", "animals", "animals/by night", "trees/old/dead")):
        (root / place).mkdir(parents=True, exist_ok=True)
        (root / place / f"{number}.png").write_bytes(encode(draw_figure(number, 160)))
        (root / place / f"{number}.txt").write_text(f"number {number}", "utf-8")
    (root / "animals/.DS_Store").write_bytes(b"x")
    (root / "Thumbs.db").write_bytes(b"x")
    drop(light, root)
    expect(light.locator(".d-thumb[data-id]")).to_have_count(4)
    expect(light.get_by_role("heading", level=1)).to_contain_text("Forest")
    expect(light.locator(".d-dock")).to_contain_text("All have a caption")
    expect(light.get_by_text("not taken")).to_have_count(0)


def test_a_folder_of_more_files_than_the_browser_lists_at_once(light, tmp_path):
    """A folder is read a hundred entries at a time."""
    root = tmp_path / "Many"
    root.mkdir()
    for number in range(130):
        (root / f"{number:03d}.png").write_bytes(encode(draw_figure(number, 32)))
    drop(light, root)
    expect(light.locator(".d-dock")).to_contain_text("130 pictures are in.")


def test_two_folders_and_a_file_in_one_drop(light, tmp_path):
    for number, name in enumerate(("one", "two")):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep/same.png").write_bytes(encode(draw_figure(number, 96)))
    (tmp_path / "three.png").write_bytes(encode(draw_figure(3, 96)))
    drop(light, tmp_path / "one", tmp_path / "two", tmp_path / "three.png")
    expect(light.locator(".d-thumb[data-id]")).to_have_count(3)


def test_a_tar_becomes_pictures(light, tmp_path):
    with tarfile.open(tmp_path / "Sea.tar", "w") as archive:
        for number in range(3):
            (tmp_path / f"{number}.png").write_bytes(encode(draw_figure(number, 96)))
            archive.add(tmp_path / f"{number}.png", f"sea/{number}.png")
    drop(light, tmp_path / "Sea.tar")
    expect(light.locator(".d-thumb[data-id]")).to_have_count(3)
    expect(light.get_by_role("heading", level=1)).to_contain_text("Sea")


def test_a_server_that_is_away_for_a_moment_does_not_end_the_work_that_is_shown(light, tmp_path):
    asked = []

    def away(route):
        asked.append(route.request.url)
        route.abort() if len(asked) < 3 else route.continue_()

    light.route(re.compile("/api/jobs/[^/]+$"), away)
    with tarfile.open(tmp_path / "Lake.tar", "w") as archive:
        for number in range(3):
            (tmp_path / f"{number}.png").write_bytes(encode(draw_figure(number, 96)))
            archive.add(tmp_path / f"{number}.png", f"lake/{number}.png")
    drop(light, tmp_path / "Lake.tar")
    expect(light.locator(".d-jobs")).to_contain_text("Darkroom does not answer")
    expect(light.locator(".d-thumb[data-id]")).to_have_count(3)
    expect(light.locator(".d-jobs [data-state=failed]")).to_have_count(0)
    expect(light.locator(".d-toast")).to_contain_text("3 pictures in")


def test_a_table_asks_for_its_columns_and_goes_on_after_a_reload(light, tmp_path):
    (tmp_path / "moods.parquet").write_bytes(table({"left": "picture", "right": "picture", "said": "words", "author": "words"}, 6))
    drop(light, tmp_path / "moods.parquet")
    dialogue = light.get_by_role("dialog", name="Which columns hold what?")
    expect(dialogue.locator("img")).to_have_count(6)
    expect(dialogue.get_by_role("button", name="Bring it in")).to_be_disabled()
    dialogue.get_by_label("left").select_option("before")
    expect(dialogue.get_by_role("alert")).to_contain_text("Choose which one column holds the pictures after.")
    light.reload()
    dialogue = light.get_by_role("dialog", name="Which columns hold what?")
    expect(dialogue.locator("img")).to_have_count(6)
    for column, role in (("left", "before"), ("right", "after"), ("said", "words")):
        dialogue.get_by_label(column).select_option(role)
    dialogue.get_by_role("button", name="Bring it in").click()
    expect(light.locator(".d-dock")).to_contain_text("6 pairs are complete.")
    expect(light.get_by_role("textbox", name=re.compile("nstruction")).first).to_have_value("said 200")
    expect(light.locator(".jb")).to_have_count(0)


def test_a_table_that_cannot_be_read_says_why(light, tmp_path):
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and nothing else")
    drop(light, tmp_path / "torn.parquet")
    expect(light.locator(".jb")).to_contain_text("1 could not be taken")
    light.get_by_text("1 file was not taken").click()
    expect(light.locator(".jb")).to_contain_text("“torn.parquet” cannot be read")


def test_seed_pairs_become_edit_pairs_and_are_exported_for_edit_trainers(light, tmp_path):
    root = write_folders(tmp_path / "Seeds", 3, listed=True)
    first = json.loads((root / "metadata.jsonl").read_text("utf-8").splitlines()[0])
    assert set(first) == {"input_image", "instruction", "output_image"}
    drop(light, root)
    expect(light.locator(".d-dock")).to_contain_text("3 pairs are complete.")
    expect(light.get_by_role("textbox", name=re.compile("nstruction")).first).to_have_value(first["instruction"])
    light.get_by_role("button", name="More", exact=True).click()
    with light.expect_download() as download:
        light.get_by_role("button", name="Export for edit trainers").click()
    converted = pq.read_table(download.value.path()).to_pylist()
    assert [list(row) for row in converted] == [["original_image", "edit_prompt", "edited_image"]] * 3
    assert converted[0]["edit_prompt"] == first["instruction"]


def test_a_list_of_any_name_asks_for_its_columns_before_its_pictures_go(light, tmp_path):
    root = write_folders(tmp_path / "Night", 4, before="p", after="q")
    lines = [f"p/{n:03d}.png;make it night {n};q/{n:03d}.png;" for n in range(4)]
    (root / "my edits.csv").write_text("\n".join(["first;said;second;by", *lines]), "utf-8")
    drop(light, root)
    dialogue = light.get_by_role("dialog", name="Which columns hold what?")
    expect(dialogue).to_contain_text("p/000.png")
    for column, role in (("first", "before"), ("second", "after")):
        dialogue.get_by_label(column).select_option(role)
    assert dialogue.get_by_label("said").input_value() == "words"
    dialogue.get_by_role("button", name="Bring it in").click()
    expect(light.locator(".d-dock")).to_contain_text("4 pairs are complete.")
    expect(light.get_by_role("textbox", name=re.compile("nstruction")).first).to_have_value("make it night 0")
    expect(light.locator(".jb")).to_have_count(0)


def test_such_a_list_is_asked_about_on_home_too(page, own_server, tmp_path):
    root = write_folders(tmp_path / "Night", 3, before="p", after="q")
    lines = [{"first": f"p/{n:03d}.png", "said": f"make it night {n}", "second": f"q/{n:03d}.png"} for n in range(3)]
    (root / "train.json").write_text(json.dumps(lines), "utf-8")
    page.goto(own_server.address)
    page.wait_for_selector("#home[data-state=ready]")
    drop(page, root)
    dialogue = page.get_by_role("dialog", name="Which columns hold what?")
    for column, role in (("first", "before"), ("second", "after")):
        dialogue.get_by_label(column).select_option(role)
    dialogue.get_by_role("button", name="Bring it in").click()
    expect(page.locator(".d-dock")).to_contain_text("3 pairs are complete.")
    expect(page.get_by_role("textbox", name=re.compile("nstruction")).first).to_have_value("make it night 0")


def test_masks_in_a_folder_of_their_own_lie_on_their_pictures(light, tmp_path):
    root = tmp_path / "Zog"
    (root / "masks").mkdir(parents=True)
    for number in range(3):
        (root / f"{number}.png").write_bytes(encode(draw_figure(number, 160)))
        if number:
            mask = Image.new("L", (160, 160))
            mask.paste(255, (0, 0, 80, 160))
            mask.save(root / f"masks/{number}.png")
    drop(light, root)
    expect(light.locator(".d-thumb[data-id]")).to_have_count(3)
    expect(light.locator(".d-dock")).to_contain_text("3 pictures are in.")
    expect(light.get_by_text("not taken")).to_have_count(0)
    shown = light.evaluate("async () => (await fetch('/api/datasets/' + new URLSearchParams(location.search).get('dataset'))).json()")
    assert {p["name"]: p.get("masked", "") for p in shown["pictures"]} == {"0.png": "", "1.png": "hand", "2.png": "hand"}


def test_loose_files_on_their_way_can_be_stopped_and_what_came_in_stays(light, tmp_path):
    """The second half is held back by the browser, so that there is something to stop."""
    (tmp_path / "Slow").mkdir()
    for number in range(12):
        (tmp_path / f"Slow/{number:02d}.png").write_bytes(encode(draw_figure(number, 96)))
    seen = []

    def pass_some(route):
        seen.append(route)
        if len(seen) <= 5:
            route.continue_()

    light.route("**/files", pass_some)
    drop(light, tmp_path / "Slow")
    expect(light.locator(".d-thumb[data-id]")).to_have_count(5)
    expect(light.locator(".d-dock")).to_contain_text(re.compile(r"5 in, 7 files on the way\. \d+ %"))
    light.locator(".d-dock").get_by_role("button", name="Stop").click()
    expect(light.locator(".d-dock")).to_contain_text("5 pictures are in.")
    expect(light.locator(".d-toast")).to_contain_text("Stopped. What came in stays.")
    expect(light.get_by_text("not taken")).to_have_count(0)
    light.reload()
    expect(light.locator(".d-dock")).to_contain_text("5 pictures are in.")

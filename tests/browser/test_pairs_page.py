"""Edit pairs in a real browser: drop, word, turn, draft, check; halves that wait and files that are refused."""

from __future__ import annotations

import io
import re
import zipfile

import httpx
import pytest
from playwright.sync_api import expect

from studio.datasets.samples import create_sample_dataset
from studio.datasets.store import DatasetStore
from tests.browser.held import Held
from tests.browser.light_table import create_pairs, open_light_table
from tests.browser.test_dataset_page import choose, drop
from tests.studio.datasets.drawing import draw_photo, encode
from tests.studio.datasets.pairs import draw_scene, make_pair, write_folders
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
FIELDS = ".pr input.d-in"


@pytest.fixture
def make(server):
    """Makes a data set of pairs; its id."""

    def make_dataset(count=4, texts=(), *, halves=0):
        return create_pairs(server, count, texts, halves=halves)

    return make_dataset


def open_table(page, server, dataset):
    open_light_table(page, server, dataset)


def texts(server, dataset):
    return [p["text"] for p in httpx.get(f"{server.address}/api/datasets/{dataset}").json()["pictures"]]


def test_two_dropped_folders_are_known_as_pairs_and_find_each_other(page, server, tmp_path):
    root = write_folders(tmp_path / "My edits", 6, listed=True)
    page.goto(f"{server.address}/dataset")
    page.wait_for_selector("#light[data-state=ready]")
    page.set_input_files("#pick-folder", root)
    expect(page.locator(".pr")).to_have_count(6)
    expect(page.get_by_role("heading", level=1)).to_contain_text("My edits")
    expect(page.locator(FIELDS).nth(2)).to_have_value("make it blue 2")
    expect(page.locator(".d-dock")).to_contain_text("6 pairs are complete.")
    expect(page.locator(".d-switch")).to_contain_text("6 edit pairs")
    assert page.locator(".pr").nth(0).locator("img").count() == 2


def test_the_kind_is_asked_on_the_empty_page_and_folders_without_a_side_are_asked_for(page, server, tmp_path):
    page.goto(f"{server.address}/dataset")
    page.wait_for_selector("#light[data-state=ready]")
    page.get_by_role("radio", name="Edit pairs").click()
    expect(page.get_by_text("Drop your pairs here")).to_be_visible()
    page.set_input_files("#pick-folder", write_folders(tmp_path / "Both", 2, before="day", after="night"))
    expect(page.get_by_role("dialog")).to_contain_text("Which folder holds the pictures before?")
    page.get_by_role("dialog").get_by_role("button", name="day").click()
    expect(page.locator(".pr")).to_have_count(2)
    expect(page.locator(".pr .pz")).to_have_count(0)


def test_a_zip_of_pairs_becomes_pairs(page, server):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for n in range(3):
            before, after = make_pair(n)
            archive.writestr(f"input_images/{n}.png", before)
            archive.writestr(f"output_images/{n}.png", after)
    page.goto(f"{server.address}/dataset")
    page.wait_for_selector("#light[data-state=ready]")
    drop(page, ("Blue edits.zip", packed.getvalue()))
    expect(page.locator(".pr")).to_have_count(3)
    expect(page.get_by_role("link", name=re.compile("Draft 3 instructions|Next: check"))).to_be_visible()


def test_instructions_are_written_by_keyboard_saved_and_still_there_after_a_reload(page, server, make):
    made = make(3, ["make it blue"])
    open_table(page, server, made)
    expect(page.get_by_text("An instruction is missing.")).to_have_count(2)
    page.locator(FIELDS).nth(1).click()
    page.keyboard.type("turn it blue")
    page.keyboard.press("Enter")
    expect(page.locator(FIELDS).nth(2)).to_be_focused()
    page.keyboard.type("give it a blue background")
    page.keyboard.press("Escape")
    expect(page.locator(".d-dock")).to_contain_text("3 pairs are complete.")
    expect(page.get_by_text("An instruction is missing.")).to_have_count(0)
    page.reload()
    expect(page.locator(FIELDS).nth(2)).to_have_value("give it a blue background")
    assert texts(server, made) == ["make it blue", "turn it blue", "give it a blue background"]


def test_words_changed_in_another_window_are_shown_and_nothing_is_lost(page, server, make):
    made = make(2, ["make it blue", "make it blue"])
    open_table(page, server, made)
    row = httpx.get(f"{server.address}/api/datasets/{made}").json()["pictures"][0]
    httpx.put(f"{server.address}/api/captions/{made}/pictures/{row['id']}", json={"text": "from elsewhere", "version": row["version"]})
    page.locator(FIELDS).nth(0).fill("mine")
    page.locator(FIELDS).nth(1).click()
    expect(page.get_by_text("Elsewhere it now reads “from elsewhere”.")).to_be_visible()
    with page.expect_response(lambda response: response.request.method == "PUT") as saved:
        page.get_by_role("button", name="Keep mine").click()
    assert saved.value.ok
    expect(page.get_by_text("Elsewhere it now reads")).to_have_count(0)
    assert texts(server, made)[0] == "mine"


def test_words_that_are_typed_back_while_others_are_on_their_way_are_what_is_kept(page, server, make):
    made = make(2, ["make it night"])
    held = Held(page, "**/captions/*/pictures/*")
    open_table(page, server, made)
    first = page.locator(FIELDS).first
    first.fill("make it day")
    held.wait()
    first.fill("make it night")
    first.press("Escape")
    held.end()
    expect(first).to_have_value("make it night")
    wait_until(lambda: texts(server, made)[0] == "make it night")


def test_to_keep_mine_is_obeyed_also_where_mine_is_what_stood_there_before(page, server, make):
    made = make(2, ["make it night"])
    open_table(page, server, made)
    rows = httpx.get(f"{server.address}/api/datasets/{made}").json()["pictures"]
    there = {"text": "elsewhere", "version": rows[0]["version"]}
    httpx.put(f"{server.address}/api/captions/{made}/pictures/{rows[0]['id']}", json=there).raise_for_status()
    first = page.locator(FIELDS).first
    first.fill("make it day")
    first.press("Escape")
    expect(page.locator(".pr").first).to_contain_text("Elsewhere it now reads")
    first.fill("make it night")
    page.get_by_role("button", name="Keep mine").click()
    wait_until(lambda: texts(server, made)[0] == "make it night")


def test_before_and_after_are_swapped_for_one_and_for_all_and_back(page, server, make):
    made = make(3, ["a", "b", "c"])
    open_table(page, server, made)
    sources = "() => [...document.querySelectorAll('.pr img')].map((i) => i.src)"
    before = page.evaluate(sources)
    page.get_by_role("button", name="Swap before and after, pair 1").click()
    expect(page.locator(".d-toast")).to_contain_text("Before and after swapped")
    assert page.evaluate(sources) == [before[1], before[0], *before[2:]]
    page.locator(".d-toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".d-toast")).to_contain_text("Back again")
    assert page.evaluate(sources) == before
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Swap before and after in all").click()
    expect(page.locator(".d-toast")).to_contain_text("Swapped in 3 pairs")
    assert page.evaluate(sources) == [before[i] for i in (1, 0, 3, 2, 5, 4)]
    page.keyboard.press("Control+z")
    expect(page.locator(".d-toast")).to_contain_text("Back again")
    assert page.evaluate(sources) == before


def test_a_removed_pair_comes_back_with_its_instruction(page, server, make):
    made = make(3, ["a", "b", "c"])
    open_table(page, server, made)
    page.get_by_role("button", name="Remove, pair 2").click()
    expect(page.locator(".pr")).to_have_count(2)
    page.locator(".d-toast").get_by_role("button", name="Undo").click()
    expect(page.locator(FIELDS).nth(1)).to_have_value("b")


def test_halves_wait_by_name_and_are_filled_by_a_later_drop_and_on_their_place(page, server, make):
    made = make(3, ["a", "b", "c"], halves=2)
    open_table(page, server, made)
    expect(page.locator(".d-dock")).to_contain_text("1 of 3 pairs is complete. 2 wait for their after picture.")
    expect(page.locator(".pz")).to_have_count(2)
    drop(page, ("1_after.png", make_pair(1, size=(128, 128))[1]))
    expect(page.locator(".pz")).to_have_count(1)
    drop(page, ("anything.png", encode(draw_scene(2, "blue", size=(96, 96)))), place=".pz")
    expect(page.get_by_text("96 x 96 px, its partner “before/2.png” 128 x 128 px")).to_be_visible()
    drop(page, ("anything.png", make_pair(2, size=(128, 128))[1]), place=".pz")
    expect(page.locator(".pz")).to_have_count(0)
    expect(page.locator(".d-dock")).to_contain_text("3 pairs are complete.")


def test_the_missing_ones_are_shown_alone_and_incomplete_pairs_removed_at_once(page, server, make):
    made = make(5, ["a", "b"], halves=1)
    open_table(page, server, made)
    page.get_by_role("button", name=re.compile("Instruction missing 2")).click()
    expect(page.locator(".pr")).to_have_count(2)
    page.locator(FIELDS).nth(0).fill("now it has one")
    page.locator(FIELDS).nth(1).click()
    expect(page.get_by_role("button", name=re.compile("Instruction missing 1"))).to_be_visible()
    expect(page.locator(".pr")).to_have_count(2)  # what was just written does not vanish under the hand
    page.get_by_role("button", name=re.compile("^All 5")).click()
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Remove 1 incomplete pair").click()
    expect(page.locator(".pr")).to_have_count(4)


def test_a_filter_that_is_still_on_its_way_outlives_what_is_drawn_meanwhile(page, server, make):
    made = make(4, ["a", "b"])
    held = Held(page, "**/places?kind=text")
    open_table(page, server, made)
    chip = page.get_by_role("button", name=re.compile("Instruction missing"))
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "true")
    page.locator(FIELDS).nth(2).fill("now it has one")
    page.locator(FIELDS).nth(2).press("Escape")
    expect(chip).to_have_text("Instruction missing 1")  # counted and drawn anew before the answer is here
    assert len(held) == 1
    expect(page.locator(".pr")).to_have_count(4)
    held.let_go()
    expect(page.locator(".pr")).to_have_count(2)  # and what was written meanwhile does not vanish under the hand
    expect(chip).to_have_attribute("aria-pressed", "true")


def test_refused_files_are_listed_with_their_reason(page, server):
    page.goto(f"{server.address}/dataset")
    page.wait_for_selector("#light[data-state=ready]")
    page.get_by_role("radio", name="Edit pairs").click()
    before, after = make_pair(1)
    choose(
        page, ("cat_before.png", before), ("cat_after.png", after), ("plain.png", encode(draw_scene(5))), ("torn_before.png", before[:50])
    )
    expect(page.locator(".pr")).to_have_count(1)
    expect(page.get_by_role("heading", name="2 files were not taken")).to_be_visible()
    expect(page.get_by_text("does not say whether it is the picture before or after")).to_be_visible()
    expect(page.get_by_role("button", name="Retry torn_before.png")).to_be_visible()


def test_a_common_wording_is_offered_for_all_and_can_be_taken_back(page, server, make):
    made = make(5, ["make it night"] * 4 + ["turn day into night"])
    open_table(page, server, made)
    page.get_by_role("button", name="Say it the same way in all 5").click()
    expect(page.locator(FIELDS).nth(4)).to_have_value("make it night")
    page.locator(".d-toast").get_by_role("button", name="Undo").click()
    expect(page.locator(FIELDS).nth(4)).to_have_value("turn day into night")


def test_a_pair_is_looked_at_large_under_a_slider(page, server, make):
    made = make(2, ["a", "b"])
    open_table(page, server, made)
    page.get_by_role("button", name="Look at it large, pair 1").click()
    dialog = page.get_by_role("dialog")
    slider = dialog.get_by_role("slider", name="Slide between before and after")
    slider.focus()
    page.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuenow", "100")
    dialog.get_by_role("button", name="Next pair").click()
    expect(dialog).to_contain_text("2 of 2")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_of_hundreds_of_pairs_only_those_in_view_are_in_the_page(page, server):
    store = DatasetStore(server.workspace)
    made = create_sample_dataset(store, "edits")
    open_table(page, server, made.id)
    assert page.locator(".pr").count() < 60
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.locator(".pr").filter(has_text=f"{made.num_pictures} before")).to_be_visible()
    page.locator(FIELDS).last.fill("the very last one")
    page.locator(FIELDS).last.press("Escape")
    expect(page.locator(".pr").last.get_by_text("Saved")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator(".pr").filter(has_text="01 before").first).to_be_visible()
    assert store.pictures(made.id)[-1].text == "the very last one"
    store.delete(made.id)


def test_instructions_are_drafted_read_and_confirmed(page, server, make):
    made = make(3)
    page.goto(f"{server.address}/captions?dataset={made}")
    page.wait_for_selector("#notebook[data-state=ready]")
    expect(page.get_by_role("heading", level=1)).to_have_text("Instructions")
    expect(page.get_by_label("Trigger word")).to_be_hidden()
    page.locator("#drafter").select_option("none")
    page.get_by_role("button", name="Draft 3 instructions").click()
    expect(page.locator("#dock-say")).to_contain_text("3 drafts to read.")
    assert page.url == f"{server.address}/captions?dataset={made}"  # it is reloaded here, not on Home
    field = page.locator("#cap")
    expect(field).to_have_value("make the background blue")
    expect(page.get_by_text("A draft, made by comparing both pictures.")).to_be_visible()
    field.press("Control+Enter")
    expect(page.get_by_role("button", name=re.compile("Drafts to read 2"))).to_be_visible()
    page.get_by_role("button", name="All 2 drafts are right").click()
    expect(page.locator(".d-toast")).to_contain_text("2 drafts confirmed")
    expect(page.get_by_role("button", name="Next: check")).to_be_visible()
    assert {p["by"] for p in httpx.get(f"{server.address}/api/datasets/{made}").json()["pictures"]} == {"person"}


def test_find_and_replace_works_on_instructions(page, server, make):
    made = make(3, ["make it blue", "turn it blue", "a red one"])
    page.goto(f"{server.address}/captions?dataset={made}")
    page.wait_for_selector("#notebook[data-state=ready]")
    page.get_by_role("button", name="Find and replace").first.click()
    page.locator("#fr-find").fill("blue")
    page.locator("#fr-put").fill("green")
    page.get_by_role("button", name="Replace in 2 instructions").click()
    expect(page.locator("#cap")).to_have_value("make it green")
    assert texts(server, made) == ["make it green", "turn it green", "a red one"]


def test_the_check_finds_what_is_wrong_with_pairs_and_mends_it(page, server):
    made = httpx.post(f"{server.address}/api/datasets", json={"name": "Faulty", "kind": "pairs"}).json()["id"]
    same = encode(draw_photo(7, 128))
    files = [("before/same.png", same), ("after/same.png", same), ("before/half.png", encode(draw_photo(8, 128)))]
    for n in range(4):
        files += [(f"{side}/{n}.png", data) for side, data in zip(("before", "after"), make_pair(n, size=(128, 128)), strict=True)]
    httpx.post(f"{server.address}/api/datasets/{made}/files", files=[("files", (n, d, "image/png")) for n, d in files], timeout=60)
    page.goto(f"{server.address}/check?dataset={made}")
    page.wait_for_selector("#report[data-state=ready]")
    expect(page.locator("[data-code=incomplete]")).to_contain_text("One pair is not complete")
    page.locator("[data-code=incomplete]").get_by_role("button", name="Remove it").click()
    expect(page.locator("[data-code=incomplete]")).to_have_count(0)
    expect(page.locator("[data-code=unchanged]")).to_contain_text("before and after are the same")
    page.locator("[data-code=no_instruction]").get_by_role("button", name="Draft 5 instructions").click()
    expect(page.locator("[data-code=drafts]")).to_contain_text("4 instructions are drafts", timeout=120_000)


def test_the_sample_pairs_are_one_click_from_the_first_visit(page, own_server):
    page.goto(own_server.address)
    page.get_by_role("button", name=re.compile("Or teach an edit: [0-9]+ pairs")).click()
    page.wait_for_url(re.compile(r"/dataset\?dataset=sample-edits"), timeout=120_000)  # 960 files come in
    expect(page.locator(".d-dock")).to_contain_text(re.compile("[0-9]+ pairs are complete[.]"))


LOOKS = [{}, {"viewport": {"width": 390, "height": 844}, "has_touch": True, "color_scheme": "dark"}]


@pytest.mark.parametrize("page", LOOKS, indirect=True, ids=["desk", "phone-dark"])
def test_nothing_is_wrong_for_assistive_technology_and_nothing_scrolls_sideways(page, server, make):
    from axe_playwright_python.sync_playwright import Axe

    made = make(5, ["make it night", "make it night", "", "a"], halves=1)
    for path, ready in (("dataset", "#light"), ("captions", "#notebook"), ("check", "#report")):
        page.goto(f"{server.address}/{path}?dataset={made}")
        page.wait_for_selector(f"{ready}[data-state=ready]", state="attached")
        page.wait_for_selector(".d-hw b:not(:empty)", state="attached")
        found = Axe().run(page).response["violations"]
        assert [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in ("serious", "critical")] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

"""The Monitor page in a real browser: live, ended, wrong, empty; and that it costs nothing when nobody looks."""

from __future__ import annotations

import itertools
import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from backends.contract import files
from studio.runs.control import start_run
from studio.runs.store import RunStore
from tests.browser.trained import create_small_run
from tests.conftest import ROOT, start_server, stop_server
from tests.run_folders import RunWriter, finished_run
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
READY = "#monitor[data-state=ready]"
_numbers = itertools.count(1)
PHONE = {"viewport": {"width": 390, "height": 844}}


def open_monitor(page, server, run_id, state="ready"):
    page.goto(f"{server.address}/monitor?run={run_id}")
    page.wait_for_selector(f"#monitor[data-state={state}]")


@pytest.fixture
def living(server):
    """A run of this test's own that this process watches over."""
    writer = RunWriter(server.workspace, f"live-{next(_numbers)}")
    writer.live()
    writer.begin()
    return writer


@pytest.fixture(scope="module")
def finished(server):
    return finished_run(server.workspace, "monitor-finished")


def test_a_real_run_is_seen_from_its_first_phase_to_its_lora(page, server):
    run = create_small_run(server.workspace, "zog-seen", steps=20)
    wait_until(
        lambda: not any(r.state in ("starting", "running") for r in RunStore(server.workspace).list() if not r.id.startswith("live-")),
        "the end of the runs before",
        limit_s=300,
    )
    start_run(server.workspace, run.id)
    open_monitor(page, server, run.id)
    expect(page.locator("#monitor .phases, #monitor .d-curve").first).to_be_visible()
    page.wait_for_selector("#monitor .tray img.pic[src*='/step'], #monitor .tray img.pic[src*='/sample/0/']", timeout=120_000)
    page.wait_for_selector("#monitor[data-run=finished]", timeout=240_000)
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Your LoRA is ready|it learned little"))
    expect(page.locator("#compare")).to_be_visible()
    expect(page.locator("#monitor .d-wall .cell")).to_have_count(9)
    expect(page.locator("#monitor .d-wall .near img")).to_have_count(3)


def test_new_steps_and_samples_arrive_without_a_reload(page, server, living):
    living.train(1, 40)
    open_monitor(page, server, living.run_id)
    expect(page.locator("#monitor .d-stat").first).to_contain_text("40 of 200")
    page.evaluate("window.stays = true")
    living.train(41, 80)
    expect(page.locator("#monitor .d-stat").first).to_contain_text("80 of 200")
    expect(page.locator("#monitor .d-wall .h.on")).to_have_text("80")
    expect(page.locator("#monitor .tray .cap")).to_contain_text("step 80")
    assert page.evaluate("window.stays")


def test_each_sample_gets_its_nearest_picture_also_when_they_come_one_by_one(page, server, living):
    picture = {"id": "p1", "file": str(ROOT / "assets" / "samples" / "zog" / "zog_01.png"), "text": "zog", "held_out": False}
    living.run.manifest.write_text(json.dumps(picture) + "\n")
    open_monitor(page, server, living.run_id)
    for number in range(3):
        living.sample(40, number)
        expect(page.locator("#monitor .d-wall .near img")).to_have_count(number + 1)


def test_phases_before_the_first_step_are_told_in_words(page, server, living):
    living.event("phase", phase="caching", done=5, total=12, note="")
    open_monitor(page, server, living.run_id)
    expect(page.locator("#monitor .phases .now")).to_contain_text("Preparing the pictures, 5 of 12")
    expect(page.locator("#dock")).to_contain_text("Preparing the pictures, 5 of 12")
    living.train(1, 3)
    expect(page.locator("#monitor .phases")).to_be_hidden()
    expect(page.locator("#monitor .d-curve")).to_be_visible()


def test_stop_says_that_it_saves_and_leaves_its_request(page, server, living):
    living.train(1, 10)
    open_monitor(page, server, living.run_id)
    page.get_by_role("button", name="Stop and save").click()
    expect(page.locator("#dock")).to_contain_text("It saves this step, then stops.")
    assert living.run.stop_request.exists()
    living.checkpoint(10)
    living.end("stopped", step=10)
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    expect(page.locator("#dock")).to_contain_text("It can go on from step 10.")


def test_sample_now_asks_the_trainer(page, server, living):
    living.train(1, 10)
    open_monitor(page, server, living.run_id)
    page.get_by_role("button", name="Sample now").click()
    expect(page.get_by_text("Samples are drawn after this step.")).to_be_visible()
    assert living.run.sample_request.exists()


def test_reload_changes_nothing(page, server, living):
    living.train(1, 60)
    open_monitor(page, server, living.run_id)
    stats, curve = page.locator("#monitor .d-stats"), page.locator("#monitor .d-curve")
    expect(curve).to_have_attribute("data-points", "61")
    before = stats.inner_text()
    page.reload()
    page.wait_for_selector(READY)
    expect(curve).to_have_attribute("data-points", "61")
    expect(stats).to_have_text(before, use_inner_text=True)


def test_the_scrubber_goes_back_through_the_steps(page, server, finished):
    open_monitor(page, server, finished.run_id)
    scrubber = page.get_by_role("slider", name="Step of the sample shown")
    scrubber.press("Home")
    expect(scrubber).to_have_attribute("aria-valuetext", "step 0")
    expect(page.locator("#monitor .tray .cap")).to_contain_text("before training")
    scrubber.press("ArrowRight")
    expect(scrubber).to_have_attribute("aria-valuetext", "step 40")
    expect(page.locator("#monitor .tray img.pic").first).to_have_attribute("src", re.compile("/sample/40/p0_s0"))
    scrubber.press("End")
    expect(scrubber).to_have_attribute("aria-valuetext", "step 200")


def test_dragging_develops_the_picture_between_two_samples(page, server, finished):
    open_monitor(page, server, finished.run_id)
    box = page.locator("#monitor .d-scrub").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 12)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5 + 1, box["y"] + 12)
    page.wait_for_function("() => { const o = +document.querySelector('#monitor .pic.over').style.opacity; return o > 0.2 && o < 0.8; }")
    page.mouse.up()
    expect(page.get_by_role("slider", name="Step of the sample shown")).to_have_attribute("aria-valuetext", re.compile("step (80|120)"))


def test_a_picture_of_the_wall_goes_to_the_tray(page, server, finished):
    open_monitor(page, server, finished.run_id)
    page.get_by_role("button", name="Show a cat on a green background, step 120").click()
    expect(page.locator("#monitor .tray .cap")).to_contain_text("a cat on a green background")
    expect(page.locator("#monitor .tray .cap")).to_contain_text("step 120")


def test_a_finished_run_offers_compare_and_the_file(page, server, finished):
    open_monitor(page, server, finished.run_id)
    expect(page.get_by_role("heading", level=1)).to_have_text("Your LoRA is ready")
    expect(page.locator("#compare")).to_have_attribute("href", re.compile(f"/compare\\?.*run={finished.run_id}"))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == f"{finished.run_id}.safetensors"


def test_the_report_on_its_data_is_one_click_away_and_nothing_in_it_may_run(page, server, trained_run):
    open_monitor(page, server, trained_run.id)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Its data").click()
    paper = opened.value
    paper.wait_for_load_state()
    expect(paper.get_by_role("heading", name="Report on")).to_be_visible()
    expect(paper.get_by_text(f"Frozen with the run “{trained_run.id}”")).to_be_visible()
    answer = page.request.get(paper.url)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert paper.evaluate("[...document.images].every((i) => i.complete && i.naturalWidth > 0)")


def test_the_curve_shows_the_learning_rate_and_a_log_scale(page, server, finished):
    open_monitor(page, server, finished.run_id)
    curve = page.locator("#monitor .d-curve")
    expect(curve).to_have_attribute("data-view", "loss")
    page.get_by_role("switch", name="Log scale").click()
    expect(curve).to_have_attribute("data-view", "loss-log")
    page.get_by_role("radio", name="Learning rate").click()
    expect(curve).to_have_attribute("data-view", "lr")


def test_a_failed_run_says_what_why_and_the_way_out(page, server):
    writer = RunWriter(server.workspace, "monitor-failed")
    writer.begin()
    writer.train(1, 85)
    writer.run.log.write_text("first line\n<b>bold</b> <img src=x onerror=document.title='owned'>\nout of memory\n")
    writer.end("failed", step=85, reason="The memory was too small for 8 pictures a step. Lower the batch size to 2.")
    open_monitor(page, server, writer.run_id)
    expect(page.get_by_role("heading", level=2, name="The memory was too small for 8 pictures a step.")).to_be_visible()
    expect(page.get_by_text("Lower the batch size to 2.")).to_be_visible()
    expect(page.get_by_text("1 checkpoint, the newest at step 80")).to_be_visible()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    expect(page.get_by_role("region", name="Log")).to_contain_text("<b>bold</b> <img src=x")
    assert page.locator("#monitor .d-log *").count() == 0
    assert "owned" not in page.title()


def test_without_any_run_the_page_teaches(page, own_server):
    page.goto(f"{own_server.address}/monitor")
    page.wait_for_selector("#monitor[data-state=empty]")
    expect(page.get_by_role("heading", name="No run yet")).to_be_visible()
    expect(page.get_by_role("link", name="Go to Train")).to_be_visible()


def test_a_run_that_is_not_there_is_told(page, server):
    open_monitor(page, server, "nobody", state="gone")
    expect(page.get_by_text("There is no run called “nobody”.")).to_be_visible()


def test_the_server_away_and_back_needs_no_reload(page, tmp_path):
    running = start_server(tmp_path)
    writer = RunWriter(running.workspace, "survivor")
    writer.live()
    writer.begin()
    writer.train(1, 20)
    try:
        open_monitor(page, running, "survivor")
        page.evaluate("window.stays = true")
        stop_server(running)
        expect(page.locator("#monitor .d-head .d-state")).to_have_text("reconnecting")
        writer.train(21, 30)
        running = start_server(tmp_path, "--port", running.address.rsplit(":", 1)[1].strip("/"))
        expect(page.locator("#monitor .d-head .d-state")).to_have_text("live", timeout=30_000)
        expect(page.locator("#monitor .d-stat").first).to_contain_text("30 of 200")
        assert page.evaluate("window.stays")
    finally:
        stop_server(running)


def polls_while(page, seconds, asked):
    """Requests to our own data routes in so many seconds of the page's own clock, which stands still while one is under way."""
    under_way = set()
    listeners = {"request": lambda r: "/api/runs/" in r.url and under_way.add(r)}
    listeners |= dict.fromkeys(("requestfinished", "requestfailed"), lambda r: under_way.discard(r))
    for event, listener in listeners.items():
        page.on(event, listener)
    asked.clear()
    for _ in range(seconds):
        page.clock.run_for(1000)
        page.evaluate("() => fetch('/favicon.ico')")  # lets what is under way come back
        wait_until(lambda: page.evaluate("true") and not under_way, lambda: f"the answers to {[r.url for r in under_way]}")
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    return [u for u in asked if "/api/runs/" in u]


def test_a_hidden_tab_does_not_ask_and_a_seen_one_does(page, server, living):
    living.train(1, 10)
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url))
    page.add_init_script("Object.defineProperty(document, 'visibilityState', {get: () => (window.away ? 'hidden' : 'visible')})")
    page.clock.install()
    open_monitor(page, server, living.run_id)
    assert len(polls_while(page, 15, asked)) >= 10
    page.evaluate("window.away = true")
    polls_while(page, 1, asked)
    assert polls_while(page, 15, asked) == []
    living.train(11, 20)
    page.evaluate("() => { window.away = false; document.dispatchEvent(new Event('visibilitychange')); }")
    expect(page.locator("#monitor .d-stat").first).to_contain_text("20 of 200")


def test_an_ended_run_is_hardly_asked_for(page, server, finished):
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url))
    page.clock.install()
    open_monitor(page, server, finished.run_id)
    assert len(polls_while(page, 60, asked)) <= 9


@pytest.mark.parametrize("page", [{}, {"color_scheme": "dark"}, PHONE, {**PHONE, "color_scheme": "dark"}], indirect=True)
@pytest.mark.parametrize("state", ["live", "finished", "failed"])
def test_nothing_stands_in_anybodys_way(page, server, finished, living, state):
    run_id = finished.run_id
    if state == "live":
        living.train(1, 45)
        run_id = living.run_id
    elif state == "failed":
        living.train(1, 45)
        living.end("crashed", step=45, reason="The trainer was ended by signal 9 at step 45.")
        run_id = living.run_id
    open_monitor(page, server, run_id)
    serious = [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], [n["target"] for n in v["nodes"]]) for v in serious]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def write_table(server, values):
    """A finished run whose pictures were asked, each as (name, loss at the start, over the run, now); its id."""
    writer = finished_run(server.workspace, f"table-{next(_numbers)}")
    rows = [{"id": f"{n:064x}", "name": v[0], "start": v[1], "mean": v[2], "now": v[3]} for n, v in enumerate(values)]
    files.write_json(writer.run.picture_losses, {"step": 200, "asked": 9, "pictures": rows})
    writer.event("pictures", step=200)
    return writer.run_id


ASKED = "Each is asked the same at step 200: a lower loss is better; learnt is by how much it fell, over the run. "


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        (None, "None stands out."),
        (("12.png", 0.25, 0.25, 0.22), "Of “12.png” hardly anything was learnt. Look whether it shows what the others show."),
        (("12.png", 0.5, 0.9, 0.9), "“12.png” is far harder than the others. Look whether the caption fits. "),
    ],
    ids=["none", "unlearnt", "hard"],
)
def test_what_is_said_of_the_odd_picture_is_that_and_nothing_else(page, server, odd, told):
    values = [(f"{n}.png", 0.5 - 0.001 * n, 0.3 + 0.001 * n, 0.2) for n in range(1, 15)]
    values[11] = odd or values[11]
    open_monitor(page, server, write_table(server, values))
    expect(page.locator(".hardest > p")).to_have_text(ASKED + told)


def test_the_loss_of_each_picture_is_a_table_that_can_be_sorted_and_names_the_odd_one(page, server):
    values = [(f"{n}.png", 0.5 - 0.001 * n, 0.9 if n == 7 else 0.3 + 0.001 * n, 0.2 + 0.01 * (n * 5 % 14)) for n in range(1, 15)]
    values[11] = ("12.png", 0.25, 0.25, 0.22)  # easy, and nothing was learnt of it
    open_monitor(page, server, write_table(server, values))
    table, shown = (
        page.locator("table.hard"),
        lambda: [name.split("\n")[0] for name in page.locator("table.hard tbody th").all_inner_texts()],
    )
    expect(page.locator(".hardest")).to_contain_text("“7.png” is far harder than the others. Look whether the caption fits.")
    expect(page.locator(".hardest")).to_contain_text("Of “12.png” hardly anything was learnt. Look whether it shows what the others show.")
    assert shown()[:3] == ["7.png", "14.png", "13.png"] and len(shown()) == 12
    page.get_by_role("button", name="All 14").click()
    expect(table.locator("tr.odd")).to_have_count(2)
    for column, first in (("Before training", "1.png"), ("Now", "11.png"), ("Picture", "1.png")):
        table.get_by_role("button", name=column).click()
        expect(table.get_by_role("button", name=column)).to_be_focused()
        found = shown()
        key = ["Picture", "Before training", "Over the run", "Now"].index(column)
        expected = sorted(values, key=lambda v: int(v[0][:-4]) if key == 0 else -v[key])
        assert found == [v[0] for v in expected] and found[0] == first
    table.get_by_role("button", name="Learnt").click()
    assert shown()[:2] == ["7.png", "12.png"]  # the least first
    expect(table.locator("tr", has_text="12.png").locator("td").last).to_have_text("0 %")
    table.get_by_role("button", name="Picture").click()
    assert shown()[0] == "1.png"
    table.get_by_role("button", name="Picture").click()
    assert shown()[0] == "14.png"
    expect(table.locator("th[aria-sort=descending]")).to_have_count(1)

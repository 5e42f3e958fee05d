"""A job of a real Slurm in the browser: handed in by Train; followed, stopped and gone on with by Monitor; one taken out of the queue."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from backends.contract.launch import LaunchSettings
from backends.contract.rundir import RunDir, complete_checkpoints
from studio.datasets.samples import create_sample_dataset
from studio.datasets.store import DatasetStore
from studio.runs.control import start_run
from studio.runs.state import read_process
from studio.runs.store import RunStore
from tests.browser.trained import create_small_run
from tests.conftest import start_server, stop_server

pytestmark = pytest.mark.slow
HERE = LaunchSettings(launcher="slurm", gpus_per_machine=0, slurm_cpus=1)
PHONE = {"viewport": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def login_node(slurm, tmp_path_factory):
    """The app on a machine that has Slurm's commands."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in slurm.environment.items():
            patch.setenv(key, value)
        running = start_server(tmp_path_factory.mktemp("login-node"))
        yield running
        stop_server(running)


def open_monitor(page, server, run_id):
    page.goto(f"{server.address}/monitor?run={run_id}")
    page.wait_for_selector("#monitor[data-state=ready]")


def submit(page, server):
    """Hands a run in on the Train page, field by field."""
    dataset = create_sample_dataset(DatasetStore(server.workspace), "zog").id
    page.goto(f"{server.address}/train?dataset={dataset}")
    page.wait_for_selector("#forecast[data-state=ready]")
    page.locator("#f-launcher").get_by_text("Slurm cluster", exact=True).click()
    wanted = {"max_train_steps": "2000", "checkpointing_steps": "1000", "sample_every": "0", "gpus_per_machine": "0", "slurm_cpus": "1"}
    for name, value in wanted.items():
        page.locator(f"#f-{name} textarea, #f-{name} input").first.fill(value)
    expect(page.locator("#launch-card")).to_contain_text("#SBATCH --cpus-per-task=1")
    page.locator("#start").click()
    page.wait_for_url(re.compile(r"/monitor\?.*run="))
    [run] = RunStore(server.workspace).runs_of(dataset)
    return run


def test_a_job_is_submitted_followed_stopped_and_resumed_in_the_browser(page, login_node, slurm):
    run = submit(page, login_node)
    folder = RunDir(login_node.workspace.run(run.id))
    first = read_process(folder)["job_id"]
    assert first in slurm.ask("squeue", "-h", "-o", "%i").split()
    page.wait_for_selector("#monitor[data-state=ready]")
    expect(page.locator("#monitor .place")).to_contain_text(f"Slurm job {first}")
    expect(page.locator("#monitor .place")).to_contain_text(re.compile("partition main, on n[12]"))
    expect(page.locator("#monitor .phases .now, #monitor .d-curve").first).to_be_visible()
    expect(page.locator("#monitor .d-head .d-state")).to_have_text("live", timeout=60_000)
    expect(page.locator("#monitor .d-stat").first).to_contain_text(re.compile("[1-9][0-9]* of 2,000"), timeout=120_000)
    page.get_by_role("button", name="Stop and save").click()
    expect(page.locator("#monitor[data-run=stopped], .block[data-run=stopped]").first).to_be_attached(timeout=60_000)
    stopped = RunStore(login_node.workspace).get(run.id)
    assert complete_checkpoints(folder) == [stopped.step]
    assert first not in slurm.ask("squeue", "-h", "-o", "%i").split()

    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#monitor .place")).not_to_contain_text(f"Slurm job {first}", timeout=30_000)
    second = read_process(folder)["job_id"]
    assert second != first
    expect(page.locator("#monitor .place")).to_contain_text(f"Slurm job {second}")
    expect(page.locator("#monitor .d-head .d-state")).to_have_text("live", timeout=60_000)
    page.wait_for_function(f"() => +document.querySelector('[data-run]').dataset.step > {stopped.step}", timeout=120_000)
    page.get_by_role("button", name="Stop and save").click()
    expect(page.locator("[data-run=stopped]").first).to_be_attached(timeout=60_000)


def test_a_job_that_waits_says_why_and_is_cancelled_from_the_page(page, login_node, slurm):
    launch = HERE.model_copy(update={"slurm_partition": "short", "slurm_time": "90"})
    run = create_small_run(login_node.workspace, "zog-waits", launch=launch)
    start_run(login_node.workspace, run.id)
    open_monitor(page, login_node, run.id)
    expect(page.locator("#monitor .d-head .d-state")).to_have_text("in the queue")
    expect(page.locator("#monitor .place")).to_contain_text("Its time limit is longer than its partition allows.")
    expect(page.locator("#dock")).to_contain_text("As it is asked for, it cannot begin.")
    expect(page.locator("#monitor .phases .now")).to_contain_text("Wait in the queue")
    expect(page.get_by_role("button", name="Sample now")).to_have_count(0)
    page.get_by_role("button", name="Take it out").click()
    expect(page.locator("[data-run=stopped]").first).to_be_attached(timeout=30_000)
    expect(page.locator("#monitor .d-head")).to_contain_text("Taken out of Slurm’s queue before it had begun.")
    assert read_process(RunDir(login_node.workspace.run(run.id)))["job_id"] not in slurm.ask("squeue", "-h", "-o", "%i").split()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()


@pytest.mark.parametrize("page", [{}, {"color_scheme": "dark"}, PHONE, {**PHONE, "color_scheme": "dark"}], indirect=True)
def test_a_waiting_job_stands_in_nobodys_way(page, login_node, slurm):
    launch = HERE.model_copy(update={"slurm_partition": "short", "slurm_time": "90"})
    run = create_small_run(login_node.workspace, "zog-waits", launch=launch)
    start_run(login_node.workspace, run.id)
    open_monitor(page, login_node, run.id)
    expect(page.locator("#monitor .place")).to_contain_text("partition short")
    serious = [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], [n["target"] for n in v["nodes"]]) for v in serious]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    slurm.ask("scancel", str(read_process(RunDir(login_node.workspace.run(run.id)))["job_id"]))

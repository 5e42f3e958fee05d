"""“Where it runs” in a real browser: each place shows its own settings, the commands are exact, faults stand at their field."""

from __future__ import annotations

import shlex

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.conftest import start_server, stop_server

pytestmark = pytest.mark.slow
PHONE = {"viewport": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The app whose Train page is only this section."""
    running = start_server(tmp_path_factory.mktemp("launch-form"), program=("-m", "tests.browser.launch_page"))
    yield running
    stop_server(running)


def open_section(page, app):
    page.goto(f"{app.address}/train")
    page.wait_for_selector("#launch-card[data-state=ready]")


def field(page, name):
    return page.locator(f"#f-{name} textarea, #f-{name} input").first


def choose(page, label):
    page.locator("#f-launcher").get_by_text(label, exact=True).click()


def test_one_machine_shows_one_command_and_no_settings_of_other_places(page, app):
    open_section(page, app)
    expect(page.locator("#launch-card code")).to_have_count(1)
    words = shlex.split(page.locator("#launch-card code").inner_text())
    assert words[:2] == ["accelerate", "launch"]
    assert words[-1] == str(app.workspace.runs / "zog-01" / "config.yaml")
    for hidden in ("machine_rank", "main_process_ip", "slurm_partition", "sky_cloud"):
        expect(page.locator(f"#f-{hidden}")).to_be_hidden()
    expect(page.locator("#f-num_machines")).to_be_visible()


def test_two_machines_show_a_line_each_and_what_is_missing_at_its_field(page, app):
    open_section(page, app)
    field(page, "num_processes").fill("4")
    field(page, "num_machines").fill("2")
    expect(page.locator("#f-main_process_ip .d-err")).to_contain_text("each must reach it")
    field(page, "main_process_ip").fill("node-1")
    expect(page.locator("#f-main_process_ip .d-err")).to_have_count(0)
    lines = page.locator("#launch-card code")
    expect(lines).to_have_count(2)
    for rank in (0, 1):
        expect(lines.nth(rank)).to_contain_text(f"--machine_rank {rank} --main_process_port 29500 --main_process_ip node-1")
        expect(lines.nth(rank)).to_contain_text("--num_processes 4 --num_machines 2")
    expect(page.locator("#launch-card")).to_contain_text("Machine 0, this one")
    field(page, "machine_rank").fill("7")
    expect(page.locator("#f-machine_rank .d-err")).to_contain_text("is 7 of 2; they are counted from 0")


def test_slurm_shows_the_script_that_is_handed_in(page, app):
    open_section(page, app)
    choose(page, "Slurm cluster")
    expect(page.locator("#f-slurm_partition")).to_be_visible()
    expect(page.locator("#f-sky_cloud")).to_be_hidden()
    field(page, "slurm_partition").fill("gpu")
    field(page, "slurm_time").fill("04:00:00")
    field(page, "slurm_setup").fill("module load cuda/12.8")
    expect(page.locator("#launch-card code").first).to_contain_text("job.sbatch")
    page.get_by_text("What is handed in").click()
    script = page.locator("#launch-card .lf code")
    for part in ("#SBATCH --partition=gpu", "#SBATCH --time=04:00:00", "#SBATCH --gpus-per-node=1", "module load cuda/12.8"):
        expect(script).to_contain_text(part)
    field(page, "slurm_lines").fill("--output=/etc/passwd")
    expect(page.locator("#f-slurm_lines .d-err")).to_contain_text("which the studio writes itself")


def test_a_cloud_shows_the_task_and_how_to_start_it_where_sky_is_missing(page, app):
    open_section(page, app)
    choose(page, "Cloud")
    expect(page.locator("#f-num_machines")).to_be_hidden()
    field(page, "sky_accelerators").fill("A100-80GB:1")
    expect(page.locator("#launch-card code").first).to_contain_text("sky launch -y -d -c darkroom-zog-01")
    page.get_by_text("What is handed in").click()
    expect(page.locator("#launch-card .lf code")).to_contain_text("accelerators: A100-80GB:1")


@pytest.mark.parametrize("page", [{}, {"color_scheme": "dark"}, PHONE, {**PHONE, "color_scheme": "dark"}], indirect=True)
@pytest.mark.parametrize(
    ("place", "by", "command"),
    [("This machine", "local", "accelerate launch"), ("Slurm cluster", "slurm", "job.sbatch"), ("Cloud", "skypilot", "sky launch")],
)
def test_nothing_stands_in_anybodys_way(page, app, place, by, command):
    open_section(page, app)
    choose(page, place)
    page.wait_for_selector(f"#launch[data-by={by}]")
    expect(page.locator("#launch-card code").first).to_contain_text(command)
    serious = [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], [n["target"] for n in v["nodes"]]) for v in serious]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

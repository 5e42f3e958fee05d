"""The Train page in a real browser: the form, its forecast, faults at their fields, and one run a start."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from backends.contract.rundir import RunDir
from studio.datasets.samples import create_sample_dataset
from studio.datasets.store import DatasetStore
from studio.runs.control import stop_run
from studio.runs.state import ACTIVE, read_state
from studio.runs.store import RunStore
from tests.studio.datasets.many import create_many
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def zog(server):
    store = DatasetStore(server.workspace)
    info = create_sample_dataset(store, "zog")
    yield info.id
    store.delete(info.id)


@pytest.fixture
def own(server):
    """A data set of this test's own, so that what is started with it counts nowhere else; its run does not outlive the test."""
    store = DatasetStore(server.workspace)
    info = create_sample_dataset(store, "zog")
    yield info.id
    for run in runs_of(server, info.id):
        stop_run(server.workspace, run.id)
        folder = RunDir(server.workspace.run(run.id))
        wait_until(lambda folder=folder: read_state(folder).state not in ACTIVE)
    store.delete(info.id)


def open_train(page, server, dataset, more=""):
    page.goto(f"{server.address}/train?dataset={dataset}{more}")
    page.wait_for_selector("#forecast[data-state=ready]")


def field(page, name):
    return page.locator(f"#f-{name} textarea, #f-{name} input").first


def fact(page, text):
    return page.locator("#forecast dd", has_text=re.compile(f"^{text}$"))


def runs_of(server, dataset):
    return RunStore(server.workspace).runs_of(dataset)


def test_the_form_begins_with_what_suits_the_data_set_and_the_machine(page, server, zog):
    open_train(page, server, zog)
    expect(field(page, "name")).to_have_value(re.compile("zog-the-mascot.*-01"))
    expect(field(page, "max_train_steps")).to_have_value("300")
    expect(field(page, "learning_rate")).to_have_value("8e-4")
    prompts = field(page, "sample_prompts").input_value().splitlines()
    assert sum("zog" in line for line in prompts) == len(prompts) - 1 >= 3
    expect(fact(page, "11 pictures")).to_be_visible()
    expect(page.locator("#dock-say")).to_contain_text("Teach Pocket what zog is.")
    expect(page.locator("#cmd code")).to_contain_text("accelerate launch")
    page.locator("#f-launcher").get_by_text("Cloud", exact=True).click()
    expect(page.locator("#cmd")).to_be_hidden()  # it is no command of the cloud's: that stands where the cloud is chosen


def test_a_change_shows_in_the_forecast_is_marked_and_goes_back(page, server, zog):
    open_train(page, server, zog)
    field(page, "max_train_steps").fill("600")
    expect(fact(page, "600")).to_be_visible()
    expect(page.locator("#set-head .n")).to_have_text("1 changed from the preset")
    expect(page.locator("#f-max_train_steps .d-why")).to_contain_text("The preset has 300.")
    page.locator("#back").click()
    expect(field(page, "max_train_steps")).to_have_value("300")
    expect(page.locator("#set-head .n")).to_have_text("as the preset has them")


def test_another_recipe_and_another_task_fill_the_form(page, server, zog):
    open_train(page, server, zog)
    page.locator("#recipe label:visible", has_text="Quick look").click()
    expect(field(page, "max_train_steps")).to_have_value("120")
    page.locator("#task label", has_text="A style").click()
    expect(page.locator("#recipe label:visible")).to_have_count(1)
    expect(page.locator("#dock-say")).to_contain_text("this style")


def test_a_base_model_that_needs_more_turns_red_with_the_reason(page, server, zog):
    open_train(page, server, zog)
    page.locator("#base input").click()
    page.get_by_role("option", name="SDXL 1.0").click()
    expect(page.locator("#recipe label:visible", has_text="12 GB").first).to_be_visible()
    expect(page.locator("#forecast .d-err")).to_contain_text("needs a GPU")
    expect(page.locator("#base-more a")).to_have_attribute("href", re.compile("^https://huggingface.co/"))
    page.locator("#start").click()
    expect(page.locator("#base .d-err")).to_contain_text("needs a GPU")
    assert runs_of(server, zog) == []


def test_what_start_has_told_stays_until_the_form_says_something_else(page, server, zog):
    open_train(page, server, zog)
    turn = "() => +document.querySelector('#forecast').dataset.turn"

    def choose_base(name):
        before = page.evaluate(turn)
        page.locator("#base input").click()
        page.get_by_role("option", name=name, exact=True).click()
        page.wait_for_function(f"({turn})() > {before}")

    choose_base("SDXL 1.0")
    expect(page.locator("#forecast .d-err")).to_contain_text("needs a GPU")
    page.locator("#start").click()
    expect(page.locator("#base .d-err")).to_contain_text("needs a GPU")
    choose_base("SDXL 1.0")  # the form is looked at once more, as it is when an older look comes late
    expect(page.locator("#base .d-err")).to_contain_text("needs a GPU")
    choose_base("Pocket")
    expect(page.locator("#base .d-err")).to_have_count(0)


def test_search_finds_a_setting_by_its_words_opens_its_group_and_holds_for_another_task(page, server, zog):
    open_train(page, server, zog)
    page.locator("#all > .label-wrap").click()
    find = page.get_by_label("Find a setting")
    find.fill("min-snr")
    expect(page.locator("#find-note")).to_have_text("1 found")
    expect(field(page, "snr_gamma")).to_be_visible()
    expect(page.locator("#all [id^='f-']:visible")).to_have_count(1)
    find.fill("no such thing")
    expect(page.locator("#find-note")).to_contain_text("No setting has these words")
    find.fill("")
    expect(page.locator("#find-note")).to_have_text("")
    expect(page.locator("#g-edits")).to_be_hidden()
    page.locator("#task label", has_text="An edit").click()
    expect(page.locator("#g-edits")).to_be_visible()
    find.fill("pairs drawn as samples")
    expect(page.locator("#find-note")).to_have_text("1 found")
    page.locator("#task label", has_text="A style").click()
    expect(page.locator("#find-note")).to_contain_text("No setting has these words")


def test_every_setting_has_a_field_on_the_page(page, server, zog):
    from backends.contract.methods.text_to_image import TextToImageConfig

    open_train(page, server, zog)

    def missing():
        return set(TextToImageConfig.model_fields) - set(
            page.evaluate("[...document.querySelectorAll('[id^=f-]')].map((f) => f.id.slice(2))")
        )

    # Gradio draws a closed group a moment later; the one without a field is the card “Starting from”.
    wait_until(lambda: missing() == {"pretrained_model_name_or_path"}, lambda: f"the fields of {missing()}")
    assert page.locator("#base").is_visible()


def test_start_shows_every_fault_at_its_field_and_starts_nothing(page, server, zog):
    open_train(page, server, zog)
    page.locator("#all > .label-wrap").click()
    page.get_by_label("Find a setting").fill("weight decay")
    field(page, "adam_weight_decay").fill("7")
    page.get_by_label("Find a setting").fill("")
    page.locator("#all > .label-wrap").click()
    field(page, "learning_rate").fill("fast")
    field(page, "name").fill("")
    page.locator("#start").click()
    expect(page.locator("#f-learning_rate .d-err")).to_contain_text("must be a number")
    expect(page.locator("#f-name .d-err")).to_contain_text("1 to 80")
    expect(page.locator("#f-adam_weight_decay .d-err")).to_be_attached()
    expect(page.locator("#dock-say")).to_contain_text("3 things to mend")
    expect(field(page, "name")).to_be_focused()
    expect(field(page, "learning_rate")).to_have_attribute("aria-invalid", "true")
    field(page, "learning_rate").fill("2e-4")
    expect(page.locator("#f-learning_rate .d-err")).to_have_count(0)
    assert runs_of(server, zog) == []


def test_a_preset_that_there_is_not_is_told(page, server, zog):
    open_train(page, server, zog, "&preset=text_to_image/pocket_subjekt")
    expect(page.locator("#in-the-way")).to_contain_text("Did you mean text_to_image/pocket_subject")


def test_a_double_click_starts_exactly_one_run_and_leads_to_its_monitor(page, server, own):
    open_train(page, server, own)
    field(page, "max_train_steps").fill("2000")
    expect(fact(page, "2,000")).to_be_visible()
    page.locator("#start").dblclick()
    page.wait_for_url(re.compile(r"/monitor\?.*run="))
    runs = runs_of(server, own)
    assert len(runs) == 1
    assert f"run={runs[0].id}" in page.url
    assert f"dataset={own}" in page.url


def test_the_start_of_a_large_data_set_tells_how_far_it_is_and_is_stopped(page, server):
    store = DatasetStore(server.workspace)
    made = create_many(store, 50_000, "A large start")
    with store.index(made).change() as rows:
        for row in list(rows.rows()):
            if not row.text:
                rows.say(row, "zog without a number", "person")
    open_train(page, server, made)
    page.locator("#start").click()
    expect(page.locator("#dock-say")).to_contain_text(
        re.compile("50,000 pictures(: [0-9,]+)?(, about [0-9]+ s more|, nearly done)?[.] Then it starts")
    )
    page.locator("#start-stop").click()
    expect(page.locator("#dock-say")).to_contain_text("Stopped. Nothing was started, and nothing is lost.")
    expect(page.locator("#start-stop")).to_have_count(0)
    assert runs_of(server, made) == []
    store.delete(made)


@pytest.mark.parametrize("address", ["/train", "/train?dataset=none"])
def test_without_a_data_set_the_page_teaches(page, server, address):
    page.goto(server.address + address)
    page.wait_for_selector("#forecast[data-state=empty]", state="attached")
    expect(page.get_by_role("link", name="Bring pictures")).to_be_visible()
    expect(page.locator("#start")).to_be_hidden()

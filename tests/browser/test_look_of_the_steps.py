"""Captions, Check and Train at desk and phone size, light and dark: no fault of access, nothing that scrolls sideways."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from studio.datasets.samples import create_sample_dataset
from studio.datasets.store import DatasetStore

pytestmark = pytest.mark.slow
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
LOOKS = [{}, {**PHONE, "color_scheme": "dark"}]
OPEN_ALL = "() => document.querySelectorAll('#all > .label-wrap, #all .fold > .label-wrap').forEach((b) => b.click())"
OPEN_TOOLS = """() => {
  const buttons = document.querySelectorAll('.flt .tl button, .mach button, .hs button');
  if (buttons.length < 5) throw new Error(`only ${buttons.length} tools`);
  for (const button of buttons) button.click();
}"""
PLACES = [
    ("/captions?dataset={}", "#notebook[data-state=ready]", OPEN_TOOLS),
    ("/check?dataset={}", "#report[data-state=ready]", "() => document.querySelector('#fine').click()"),
    ("/train?dataset={}", "#forecast[data-state=ready]", OPEN_ALL),
    ("/captions", "#notebook[data-state=empty]", None),
    ("/check", "#report[data-state=empty]", None),
    ("/train", "#forecast[data-state=empty]", None),
]


@pytest.fixture(scope="module")
def zog(server):
    store = DatasetStore(server.workspace)
    info = create_sample_dataset(store, "zog")
    yield info.id
    store.delete(info.id)


@pytest.mark.parametrize("page", LOOKS, indirect=True, ids=["desk", "phone-dark"])
@pytest.mark.parametrize(("path", "ready", "opened"), PLACES, ids=[p[0] for p in PLACES])
def test_nothing_is_wrong_for_assistive_technology_and_nothing_scrolls_sideways(page, server, zog, path, ready, opened):
    page.goto(server.address + path.format(zog))
    page.wait_for_selector(ready, state="attached")
    page.wait_for_selector(".d-hw b:not(:empty)", state="attached")
    if opened:
        page.evaluate(opened)
    found = Axe().run(page).response["violations"]
    assert [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in ("serious", "critical")] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

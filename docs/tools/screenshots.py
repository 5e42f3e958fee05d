"""Photographs every page: with data, at work and empty, light and dark, wide and phone-sized -> docs/screenshots/*.webp.

    make screenshots                     (or: python -m docs.tools.screenshots --only monitor,train)

The data is real: the sample pictures and pairs are trained on the pocket models first (docs/tools/example_work.py); the
workspace is kept in build/screenshots and used again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from docs.tools.example_work import WORK, make_data, start_live, studio
from docs.tools.serve import BROWSER_ARGUMENTS, ROOT, serving
from tests.browser.find_chromium import find_chromium

OUT = ROOT / "docs" / "screenshots"
SIZES = {"wide": (1440, 900), "phone": (390, 844)}
# Each page's own block, which says by its data-state when its data has been drawn.
PAGES = {
    "home": "#home",
    "dataset": "#light",
    "captions": "#notebook",
    "check": "#report",
    "train": "#forecast",
    "monitor": "#monitor",
    "compare": "#strip",
    "generate": "#print",
}
READY = """(own) => {
    const block = document.querySelector(own);
    return ['ready', 'empty'].includes(block?.dataset.state)
        && ![...document.querySelectorAll('[data-state]')].some((e) => ['running', 'drawing', 'saving'].includes(e.dataset.state))
        && [...document.images].every((i) => i.complete || i.loading === 'lazy');
}"""

# Where this checkout lies concerns nobody who looks at the pictures.
NEUTRAL = """([from, to]) => {
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) walk.currentNode.data = walk.currentNode.data.replaceAll(from, to);
}"""


@dataclass(frozen=True)
class Shot:
    """A page with its query; `suffix` goes to the picture's name, `prepare` does what a person does before it is taken."""

    page: str
    suffix: str = ""
    query: str = ""
    prepare: Callable[[Page], None] | None = None


def lift(view: Page, selector: str) -> None:
    """Scrolls so that this stands near the top."""
    view.locator(selector).first.evaluate("(e) => scrollTo({top: e.getBoundingClientRect().top + scrollY - 72, behavior: 'instant'})")


def show_where(view: Page) -> None:
    """Train: the run is handed to a Slurm cluster."""
    view.locator("#f-launcher label", has_text="Slurm").click()
    view.locator("#launch[data-by=slurm] #launch-card summary").wait_for()
    lift(view, "#launch")


def show_search(view: Page) -> None:
    """Train: settings found by a word."""
    view.locator("#all > .label-wrap").click()
    view.get_by_label("Find a setting").fill("memory")
    view.locator("#find-note p", has_text="found").wait_for()
    lift(view, "#all")


def show_table(view: Page) -> None:
    """Monitor: how well each picture is learnt."""
    view.locator(".hardest tbody tr").first.wait_for()
    lift(view, ".hardest")


def list_shots(ids: dict[str, str]) -> list[Shot]:
    """Every picture of the workspace with data."""
    work, edits = f"?dataset={ids['dataset']}&run={ids['run']}", f"?dataset={ids['edits']}&run={ids['edit_run']}"
    return [
        *(Shot(page, "", work) for page in PAGES),
        Shot("dataset", "-edit-pairs", f"?dataset={ids['edits']}"),
        Shot("dataset", "-edit-pairs-first", f"?dataset={ids['halves']}"),
        Shot("captions", "-edit-pairs", f"?dataset={ids['drafts']}"),
        Shot("check", "-findings", f"?dataset={ids['faulty']}"),
        Shot("check", "-edit-pairs", f"?dataset={ids['halves']}"),
        Shot("train", "-style", f"{work}&preset=text_to_image/pocket_style"),
        Shot("train", "-edit", f"?dataset={ids['edits']}"),
        Shot("train", "-where", work, show_where),
        Shot("train", "-search", work, show_search),
        Shot("monitor", "-edit", edits),
        Shot("monitor", "-edit-table", edits, show_table),
        Shot("compare", "-edit", edits),
        Shot("generate", "-edit", f"{edits}&mode=edit"),
        Shot("generate", "-flux", f"?dataset={ids['glorp']}&run={ids['flux']}&mode=words"),
        Shot("generate", "-whole", f"?dataset={ids['glorp']}&run={ids['whole']}&mode=words"),
    ]


def photograph(browser: Browser, address: str, shot: Shot, *, dark: bool, size: str) -> Image.Image:
    """One page as a picture of what is seen without scrolling."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        device_scale_factor=1,
    )
    view: Page = context.new_page()
    view.goto(f"{address}/{'' if shot.page == 'home' else shot.page}{shot.query}")
    view.locator("h1:visible").first.wait_for()
    view.wait_for_function(READY, arg=PAGES[shot.page])
    if shot.prepare:
        shot.prepare(view)
    with contextlib.suppress(Exception):  # noqa: BLE001  the fonts' promise may end with the page; the picture is taken all the same
        view.evaluate("document.fonts.ready")
    view.wait_for_timeout(900)  # transitions and lazy pictures
    view.evaluate(NEUTRAL, [str(ROOT), "~/darkroom"])
    picture = Image.open(io.BytesIO(view.screenshot()))
    context.close()
    return picture


def photograph_all(browser: Browser, address: str, shots: Iterable[Shot]) -> None:
    """Each page in both colours and both sizes, to docs/screenshots."""
    for shot in shots:
        for dark in (False, True):
            for size in SIZES:
                picture = photograph(browser, address, shot, dark=dark, size=size)
                name = f"{shot.page}{shot.suffix}-{'dark' if dark else 'light'}-{size}.webp"
                picture.convert("RGB").save(OUT / name, quality=82, method=6)


def main() -> None:
    """Writes all pictures; says how large they are together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="Some pages, with commas; train-edit is one picture of a page.")
    only = set(filter(None, parser.parse_args().only.split(",")))

    def wanted(shots: Iterable[Shot]) -> list[Shot]:
        return [s for s in shots if not only or {s.page, s.page + s.suffix} & only]

    OUT.mkdir(parents=True, exist_ok=True)
    (WORK / "empty").mkdir(parents=True, exist_ok=True)
    ids = make_data()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=BROWSER_ARGUMENTS)
        for state, shots in (("full", list_shots(ids)), ("empty", [Shot(page, "-empty") for page in PAGES])):
            with serving(WORK / state) as server:
                photograph_all(browser, server.address, wanted(shots))
        if wanted([Shot("monitor", "-live")]):
            run_id = start_live(ids["dataset"])
            with serving(WORK / "live") as server:
                photograph_all(browser, server.address, [Shot("monitor", "-live", f"?run={run_id}")])
            studio("runs", "stop", run_id, state="live")
        browser.close()
    total = sum(p.stat().st_size for p in OUT.glob("*.webp"))
    sys.stdout.write(f"{len(list(OUT.glob('*.webp')))} pictures, {total / 1e6:.1f} MB, in {OUT.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()

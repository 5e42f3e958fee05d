"""Photographs every page: with data and empty, light and dark, wide and phone-sized -> docs/screenshots/*.webp.

    make screenshots                     (or: python -m docs.tools.screenshots --only monitor,train)

The data is real: the sample pictures are trained on the pocket model first, which takes about two minutes; the workspace is
kept in build/screenshots and used again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from docs.tools.serve import BROWSER_ARGUMENTS, ROOT, serve
from tests.browser.find_chromium import find_chromium

OUT = ROOT / "docs" / "screenshots"
WORK = ROOT / "build" / "screenshots"
SIZES = {"wide": (1440, 900), "phone": (390, 844)}
PAGES = ("home", "dataset", "captions", "check", "train", "monitor", "compare", "generate")
# What says that a page's own data has been drawn.
READY = """() => ![...document.querySelectorAll('[data-state]')].some((e) => ['loading', 'busy'].includes(e.dataset.state))
    && [...document.images].every((i) => i.complete || i.loading === 'lazy')"""


def studio(*arguments: str) -> dict:
    """One command of `python -m studio` with its JSON answer."""
    command = [sys.executable, "-m", "studio", *arguments, "--workspace", str(WORK / "full"), "--json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    return json.loads(done.stdout)


def make_data() -> dict[str, str]:
    """Ids of a checked data set and its finished run in the workspace `build/screenshots/full`."""
    marker = WORK / "ids.json"
    if marker.exists():
        return json.loads(marker.read_text())
    done = studio("demo", "--subject", "zog")
    studio("check", done["dataset"])
    studio("compare", done["run"])
    for prompt, seed in (("zog on a purple background", 7), ("zog on a red background", 3), ("a cat on a blue background", 5)):
        studio("generate", prompt, "--lora", done["run"], "--seed", str(seed))
    ids = {"dataset": done["dataset"], "run": done["run"]}
    marker.write_text(json.dumps(ids))
    return ids


def photograph(browser: Browser, address: str, *, page: str, query: str, dark: bool, size: str) -> Image.Image:
    """One page as a picture of what is seen without scrolling."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        device_scale_factor=1,
    )
    view: Page = context.new_page()
    view.goto(f"{address}/{'' if page == 'home' else page}{query}")
    view.locator("h1:visible").first.wait_for()
    view.wait_for_function(READY)
    with contextlib.suppress(Exception):  # noqa: BLE001  the fonts' promise may end with the page; the picture is taken all the same
        view.evaluate("document.fonts.ready")
    view.wait_for_timeout(900)  # transitions and lazy pictures
    picture = Image.open(io.BytesIO(view.screenshot()))
    context.close()
    return picture


def main() -> None:
    """Writes all pictures; says how large they are together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="Some pages, with commas.")
    only = set(filter(None, parser.parse_args().only.split(",")))
    OUT.mkdir(parents=True, exist_ok=True)
    (WORK / "empty").mkdir(parents=True, exist_ok=True)
    ids = make_data()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=BROWSER_ARGUMENTS)
        for state, query in (("full", f"?dataset={ids['dataset']}&run={ids['run']}"), ("empty", "")):
            with serve(WORK / state) as address:
                httpx.get(address)
                for page in [p for p in PAGES if not only or p in only]:
                    for dark in (False, True):
                        for size in SIZES:
                            picture = photograph(browser, address, page=page, query=query, dark=dark, size=size)
                            name = f"{page}{'' if state == 'full' else '-empty'}-{'dark' if dark else 'light'}-{size}.webp"
                            picture.convert("RGB").save(OUT / name, quality=82, method=6)
        browser.close()
    total = sum(p.stat().st_size for p in OUT.glob("*.webp"))
    sys.stdout.write(f"{len(list(OUT.glob('*.webp')))} pictures, {total / 1e6:.1f} MB, in {OUT.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()

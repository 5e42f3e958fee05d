"""Photographs every page: with data, at work and empty, light and dark, wide and phone-sized -> docs/screenshots/*.webp.

    make screenshots                     (or: python -m docs.tools.screenshots --only monitor,train)

The data is real: the sample pictures are trained on the pocket model first, which takes about two minutes; the workspace is
kept in build/screenshots and used again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image, ImageFilter
from playwright.sync_api import Browser, Page, sync_playwright

from docs.tools.serve import BROWSER_ARGUMENTS, ROOT, serve
from tests.browser.find_chromium import find_chromium

OUT = ROOT / "docs" / "screenshots"
WORK = ROOT / "build" / "screenshots"
SIZES = {"wide": (1440, 900), "phone": (390, 844)}
PAGES = ("home", "dataset", "captions", "check", "train", "monitor", "compare", "generate")
LIVE_STEPS = 450
# Pages that look different with other data: (page, data set, what the picture's name gets).
MORE = (("check", "faulty", "-findings"), ("dataset", "edits", "-edit-pairs"), ("captions", "edits", "-edit-pairs"))
# What says that a page's own data has been drawn.
READY = """() => ![...document.querySelectorAll('[data-state]')].some((e) => ['loading', 'busy'].includes(e.dataset.state))
    && [...document.images].every((i) => i.complete || i.loading === 'lazy')"""

# Where this checkout lies concerns nobody who looks at the pictures.
NEUTRAL = """([from, to]) => {
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) walk.currentNode.data = walk.currentNode.data.replaceAll(from, to);
}"""


def studio(*arguments: str, state: str = "full") -> dict:
    """One command of `python -m studio` with its JSON answer."""
    command = [sys.executable, "-m", "studio", *arguments, "--workspace", str(WORK / state), "--json"]
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
    for prompt, seed in (("a cat on a blue background", 5), ("zog on a green background", 11), ("zog on a red background", 3)):
        studio("generate", prompt, "--lora", done["run"], "--seed", str(seed))
    for weight in (0, 0.5, 1.5, 1):
        studio("generate", "zog on a purple background", "--lora", f"{done['run']}={weight}", "--seed", "7")
    faulty = studio("dataset", "import", str(make_faulty_pictures()), "--name", "Glorp, first try")["dataset"]
    studio("check", faulty)
    edits = studio("dataset", "sample", "edits")["dataset"]
    ids = {"dataset": done["dataset"], "run": done["run"], "faulty": faulty, "edits": edits}
    marker.write_text(json.dumps(ids))
    return ids


def make_faulty_pictures() -> Path:
    """The second sample subject as people bring it: a picture twice, one blurred, one without a caption."""
    folder = WORK / "glorp"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "assets" / "samples" / "glorp", folder)
    names = sorted(p.stem for p in folder.glob("*.png"))
    again, soft, bare = names[2], names[5], names[8]
    Image.open(folder / f"{again}.png").convert("RGB").save(folder / f"{again}_again.jpg", quality=88)
    shutil.copy(folder / f"{again}.txt", folder / f"{again}_again.txt")
    picture = Image.open(folder / f"{soft}.png").convert("RGB")
    picture.filter(ImageFilter.GaussianBlur(9)).save(folder / f"{soft}.png")
    (folder / f"{bare}.txt").unlink()
    return folder


def start_live(dataset: str) -> str:
    """A second, longer run, in a copy of the workspace; returns its id when it is well under way."""
    shutil.rmtree(WORK / "live", ignore_errors=True)
    shutil.copytree(WORK / "full", WORK / "live")
    run_id = str(
        studio("train", dataset, "--no-wait", "--name", "Zog, longer", "--set", f"max_train_steps={LIVE_STEPS}", state="live")["run"]
    )
    while (now := studio("runs", "show", run_id, state="live"))["step"] < LIVE_STEPS // 3:
        if now["state"] not in ("starting", "running"):
            raise SystemExit(f"The run ended: {now}")
        time.sleep(1)
    return run_id


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
    view.evaluate(NEUTRAL, [str(ROOT), "~/darkroom"])
    picture = Image.open(io.BytesIO(view.screenshot()))
    context.close()
    return picture


def photograph_all(browser: Browser, address: str, *, page: str, query: str, suffix: str) -> None:
    """One page in both colours and both sizes, to docs/screenshots."""
    for dark in (False, True):
        for size in SIZES:
            picture = photograph(browser, address, page=page, query=query, dark=dark, size=size)
            name = f"{page}{suffix}-{'dark' if dark else 'light'}-{size}.webp"
            picture.convert("RGB").save(OUT / name, quality=82, method=6)


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
                for page in [p for p in PAGES if not only or p in only]:
                    photograph_all(browser, address, page=page, query=query, suffix="" if state == "full" else "-empty")
                for page, data, suffix in MORE if state == "full" else ():
                    if not only or page in only:
                        photograph_all(browser, address, page=page, query=f"?dataset={ids[data]}", suffix=suffix)
        if not only or "monitor" in only:
            run_id = start_live(ids["dataset"])
            with serve(WORK / "live") as address:
                photograph_all(browser, address, page="monitor", query=f"?run={run_id}", suffix="-live")
            studio("runs", "stop", run_id, state="live")
        browser.close()
    total = sum(p.stat().st_size for p in OUT.glob("*.webp"))
    sys.stdout.write(f"{len(list(OUT.glob('*.webp')))} pictures, {total / 1e6:.1f} MB, in {OUT.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()

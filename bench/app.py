"""What the app costs: start, memory, first content of each page, saving a caption, an idle Monitor page.

`python -m bench.app` starts the real server on a workspace with captioned pictures and writes one JSON object. Nothing is compared
here, so that nothing takes turns: times are seconds by the clock of this machine; the memory is the server's resident set.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil
from PIL import Image

from docs.tools.serve import BROWSER_ARGUMENTS, Server, serving
from studio.datasets.ingest import ingest_upload
from studio.datasets.store import DatasetStore
from studio.workspace import open_workspace
from tests.browser.find_chromium import find_chromium

PAGES = ("", "dataset", "captions", "check", "train", "monitor", "compare", "generate")


def make_workspace(folder: Path, count: int) -> str:
    """A data set of `count` small pictures, each with a caption; its id."""
    store = DatasetStore(open_workspace(folder))
    dataset_id = store.create("Many").id
    picture = folder / "picture.png"
    for i in range(count):
        Image.new("RGB", (128, 128), (i % 256, i // 256 * 40, 90)).save(picture)
        ingest_upload(store, dataset_id, f"picture_{i:03d}.png", picture)
    return dataset_id


def time_pages(server: Server, dataset_id: str) -> dict[str, tuple[float, float]]:
    """Seconds, cold cache, median of 3: until a page shows something of its own, and until Gradio has drawn it (its h1)."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    found: dict[str, tuple[float, float]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=BROWSER_ARGUMENTS)
        for name in PAGES:
            firsts, drawn = [], []
            for _ in range(3):
                page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
                begun = time.perf_counter()
                page.goto(f"{server.address}/{name}?dataset={dataset_id}", wait_until="commit")
                page.locator(".d-first:visible, h1:visible").first.wait_for()
                firsts.append(time.perf_counter() - begun)
                page.locator("h1:visible").first.wait_for()
                drawn.append(time.perf_counter() - begun)
                page.context.close()
            found[name or "home"] = (statistics.median(firsts), statistics.median(drawn))
        browser.close()
    return found


def save_caption(server: Server, dataset_id: str) -> list[float]:
    """Seconds of 20 saves of one caption among all, through the same route as the page."""
    client = httpx.Client(base_url=server.address)
    items = client.get(f"/api/captions/{dataset_id}").json()["pictures"]
    version, times = items[0]["version"], []
    for i in range(20):
        begun = time.perf_counter()
        answer = client.put(
            f"/api/captions/{dataset_id}/pictures/{items[0]['id']}", json={"text": f"a picture, take {i}", "version": version}
        )
        times.append(time.perf_counter() - begun)
        version = answer.raise_for_status().json()["version"]
    return times


def idle_shares(server: Server, seconds: float) -> tuple[float, float]:
    """Shares of one core that the server uses with no page open, and with an idle Monitor page open."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    process = psutil.Process(server.process.pid)

    def used() -> float:
        before = sum(process.cpu_times()[:2])
        time.sleep(seconds)
        return (sum(process.cpu_times()[:2]) - before) / seconds

    alone = used()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=BROWSER_ARGUMENTS)
        page = browser.new_page()
        page.goto(f"{server.address}/monitor")
        page.locator("h1:visible").first.wait_for()
        time.sleep(3)
        with_page = used()
        browser.close()
    return alone, with_page


def measure(folder: Path, *, pictures: int, idle_s: float) -> dict[str, object]:
    """Everything, on a workspace made in `folder`."""
    dataset_id = make_workspace(folder, pictures)
    begun = time.perf_counter()
    with serving(folder) as server:
        httpx.get(server.address, timeout=60).raise_for_status()
        first_byte = time.perf_counter() - begun
        process = psutil.Process(server.process.pid)
        saves = save_caption(server, dataset_id)
        times, idle = time_pages(server, dataset_id), idle_shares(server, idle_s)
        return {
            "pictures": pictures,
            "first_byte_s": round(first_byte, 2),
            "memory_mib": round(process.memory_info().rss / 2**20),
            "torch_loaded": any("libtorch" in m.path for m in process.memory_maps()),
            "caption_save_ms_median": round(1000 * statistics.median(saves), 1),
            "caption_save_ms_max": round(1000 * max(saves), 1),
            "first_content_s": {k: round(v[0], 2) for k, v in times.items()},
            "drawn_s": {k: round(v[1], 2) for k, v in times.items()},
            "idle_share_of_a_core": round(idle[0], 4),
            "idle_monitor_page_adds": round(idle[1] - idle[0], 4),
        }


def main() -> None:
    """Writes one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--idle", type=float, default=20, help="Seconds in which an idle server is looked at, twice.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = measure(Path(folder), pictures=given.pictures, idle_s=given.idle)
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()

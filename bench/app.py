"""What the app costs: start, memory, first content of each page, saving a caption, an idle Monitor page.

`python -m bench.app` starts the real server on a workspace with 500 captioned pictures and prints one table. Times are wall
seconds of this machine; the memory is the server's resident set.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil
from PIL import Image

from studio.datasets.ingest import ingest_upload
from studio.datasets.store import DatasetStore
from studio.workspace import open_workspace
from tests.browser.find_chromium import find_chromium

ROOT = Path(__file__).resolve().parents[1]
PORT = 7990
PAGES = ("", "dataset", "captions", "check", "train", "monitor", "compare", "generate")


def make_workspace(folder: Path, count: int) -> str:
    """A data set of `count` small pictures, each with a caption; its id."""
    store = DatasetStore(open_workspace(folder))
    dataset_id = store.create("Five hundred").id
    picture = folder / "picture.png"
    for i in range(count):
        Image.new("RGB", (128, 128), (i % 256, i // 256 * 40, 90)).save(picture)
        ingest_upload(store, dataset_id, f"picture_{i:03d}.png", picture)
    return dataset_id


def start(folder: Path) -> tuple[subprocess.Popen[bytes], float]:
    """The server's process and the seconds to its first byte."""
    command = [sys.executable, "app.py", "--port", str(PORT), "--workspace", str(folder), "--no-browser"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{PORT}/", timeout=30)
            return process, time.perf_counter() - begun
        except httpx.TransportError:
            if process.poll() is not None:
                raise SystemExit(f"The app ended with code {process.returncode}.") from None
            time.sleep(0.02)


def time_pages(dataset_id: str) -> dict[str, tuple[float, float]]:
    """Seconds, cold cache, median of 3: until a page shows something of its own, and until Gradio has drawn it (its h1)."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    found: dict[str, tuple[float, float]] = {}
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=options)
        for name in PAGES:
            firsts, drawn = [], []
            for _ in range(3):
                page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
                begun = time.perf_counter()
                page.goto(f"http://127.0.0.1:{PORT}/{name}?dataset={dataset_id}", wait_until="commit")
                page.locator(".d-first:visible, h1:visible").first.wait_for()
                firsts.append(time.perf_counter() - begun)
                page.locator("h1:visible").first.wait_for()
                drawn.append(time.perf_counter() - begun)
                page.context.close()
            found[name or "home"] = (statistics.median(firsts), statistics.median(drawn))
        browser.close()
    return found


def save_caption(dataset_id: str) -> list[float]:
    """Seconds of 20 saves of one caption among 500, through the same route as the page."""
    client = httpx.Client(base_url=f"http://127.0.0.1:{PORT}")
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


def idle_shares(process: psutil.Process, seconds: float) -> tuple[float, float]:
    """Shares of one core that the server uses with no page open, and with an idle Monitor page open."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    def used() -> float:
        before = sum(process.cpu_times()[:2])
        time.sleep(seconds)
        return (sum(process.cpu_times()[:2]) - before) / seconds

    alone = used()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{PORT}/monitor")
        page.locator("h1:visible").first.wait_for()
        time.sleep(3)
        with_page = used()
        browser.close()
    return alone, with_page


def main() -> None:
    """Measures everything and prints one JSON object."""
    with tempfile.TemporaryDirectory() as folder:
        dataset_id = make_workspace(Path(folder), 500)
        process, first_byte = start(Path(folder))
        try:
            server = psutil.Process(process.pid)
            saves = save_caption(dataset_id)
            times, idle = time_pages(dataset_id), idle_shares(server, 20)
            values = {
                "first_byte_s": round(first_byte, 2),
                "memory_mib": round(server.memory_info().rss / 2**20),
                "torch_loaded": any("libtorch" in m.path for m in server.memory_maps()),
                "caption_save_ms_median": round(1000 * statistics.median(saves), 1),
                "caption_save_ms_max": round(1000 * max(saves), 1),
                "first_content_s": {k: round(v[0], 2) for k, v in times.items()},
                "drawn_s": {k: round(v[1], 2) for k, v in times.items()},
                "idle_share_of_a_core": round(idle[0], 4),
                "idle_monitor_page_adds": round(idle[1] - idle[0], 4),
                "memory_after_mib": round(server.memory_info().rss / 2**20),
            }
        finally:
            process.terminate()
            process.wait()
    sys.stdout.write(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""What editing costs among very many captions: first pages in a browser with their nodes, one edit, search, changes of many, undo.

`python -m bench.captions` writes the rows of a data set straight into its table (12 files, shared), starts the real server on it
and writes one JSON object. Times are seconds by the clock of this machine, the median of some takes each.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil

from docs.tools.serve import BROWSER_ARGUMENTS, Server, serving
from studio.datasets.store import DatasetStore
from studio.workspace import open_workspace
from tests.browser.find_chromium import find_chromium
from tests.studio.datasets.many import create_many

PAGES = {"dataset": "#light", "captions": "#notebook"}
_AFTERWARDS_MS = 8000
_NODES = "document.querySelectorAll('*').length"


def time_pages(server: Server, dataset_id: str, takes: int = 3) -> dict[str, dict[str, float]]:
    """Of each page, cold cache: seconds until its pictures are there, and how many elements it has."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    found = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=BROWSER_ARGUMENTS)
        for name, widget in PAGES.items():
            times, nodes = [], 0
            for _ in range(takes):
                page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
                begun = time.perf_counter()
                page.goto(f"{server.address}/{name}?dataset={dataset_id}", wait_until="commit")
                page.locator(f"{widget}[data-state=ready] img").first.wait_for()
                times.append(time.perf_counter() - begun)
                nodes = page.evaluate(_NODES)
                page.wait_for_timeout(_AFTERWARDS_MS)  # what the page asks once its pictures are there
                page.context.close()
            found[name] = {"seconds": round(statistics.median(times), 2), "nodes": nodes}
        browser.close()
    return found


def time_edits(client: httpx.Client, dataset_id: str, takes: int = 50) -> list[float]:
    """Seconds of saves of one caption in the middle."""
    found = client.get(f"/api/captions/{dataset_id}").json()
    middle = found["numbers"]["rows"] // 2
    row = client.get(f"/api/captions/{dataset_id}/rows", params={"places": str(middle)}).json()["pictures"][0]
    version, times = row["version"], []
    for take in range(takes):
        begun = time.perf_counter()
        answer = client.put(f"/api/captions/{dataset_id}/pictures/{row['id']}", json={"text": f"zog, take {take}", "version": version})
        times.append(time.perf_counter() - begun)
        version = answer.raise_for_status().json()["version"]
    return times


def time_steps(client: httpx.Client, dataset_id: str) -> dict[str, float]:
    """Seconds of what is done to all captions at once."""
    base, token = f"/api/captions/{dataset_id}", ""

    def post(path: str, wanted: dict[str, object]) -> Callable[[], httpx.Response]:
        return lambda: client.post(f"{base}/{path}", json=wanted)

    swap = {"find": "wooden table", "replace": "iron table"}
    steps: dict[str, Callable[[], httpx.Response]] = {
        "search a text": post("search", {"text": "red background"}),
        "search an expression": post("search", {"text": "red.*beach$", "expression": True}),
        "search by tokens": post("search", {"tokens_min": 23}),
        "count words": lambda: client.get(f"{base}/words"),
        "advice": lambda: client.get(f"{base}/advice"),
        "preview a replacement": post("replace/preview", swap),
        "replace": post("replace", swap),
        "undo": lambda: client.post(f"{base}/undo", json={"token": token}),
    }
    found = {}
    for name, step in steps.items():
        begun = time.perf_counter()
        answer = step().raise_for_status().json()
        found[name] = round(time.perf_counter() - begun, 2)
        token = answer.get("token", token) if isinstance(answer, dict) else token
    return found


def measure(folder: Path, rows: int) -> dict[str, object]:
    """Everything, on a workspace made in `folder`."""
    store = DatasetStore(open_workspace(folder))
    dataset_id = create_many(store, rows)
    with serving(folder) as server, httpx.Client(base_url=server.address, timeout=120) as client:
        pages = time_pages(server, dataset_id)
        edits, steps = time_edits(client, dataset_id), time_steps(client, dataset_id)
        again = time_edits(client, dataset_id)
        memory = psutil.Process(server.process.pid).memory_info().rss / 2**20
    return {
        "rows": rows,
        "pages": pages,
        "edit_s_median": round(statistics.median(edits + again), 4),
        "edit_s_max": round(max(edits + again), 4),
        "steps_s": steps,
        "server_mib": round(memory),
        "table_mb": round((store.index(dataset_id).path).stat().st_size / 1e6, 1),
    }


def main() -> None:
    """Writes one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = measure(Path(folder), given.rows)
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()

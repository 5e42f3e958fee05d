"""The light table of the Dataset page, as tests open it."""

from __future__ import annotations

import httpx

from tests.studio.datasets.pairs import make_pair


def open_light_table(page, server, dataset):
    """The page with the pictures or pairs of a data set, once they can be touched."""
    page.goto(f"{server.address}/dataset?dataset={dataset}")
    page.wait_for_selector("#light[data-state=ready]")
    return page


def create_pairs(server, count=4, texts=(), *, halves=0):
    """Pairs of 128 px, the first ones with these instructions, the last ones without their picture after; the data set's id."""
    made = httpx.post(f"{server.address}/api/datasets", json={"name": "Day to night", "kind": "pairs"}).json()["id"]
    files = []
    for n in range(count):
        for side, data in zip(("before", "after"), make_pair(n, size=(128, 128)), strict=True):
            if side == "before" or n < count - halves:
                files.append(("files", (f"{side}/{n}.png", data, "image/png")))
        if n < len(texts):
            files.append(("files", (f"after/{n}.txt", texts[n].encode(), "text/plain")))
    httpx.post(f"{server.address}/api/datasets/{made}/files", files=files, timeout=60)
    return made

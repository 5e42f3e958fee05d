"""The Check page among fifty thousand rows: a small answer at once, the rest in parts, a button that acts on all of them."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest

from studio.datasets.checks import gather_known_facts, judge
from studio.datasets.measure import Measures
from studio.datasets.measure_cache import write_measures
from studio.datasets.report import write_report
from studio.datasets.rows import Picture
from studio.web.check_view import PART, describe_check
from tests.studio.web.conftest import make_client

ROWS, TWINS = 50_000, 1_000
PAGE_KB, PART_KB, MEMORY_MIB, SECONDS = 64, 32, 100, 2.0
SIZES = ((64, 64), (96, 64), (64, 96), (128, 40))


def measure(rng):
    hashes = [int.from_bytes(rng.bytes(16), "big") for _ in range(2)]
    return Measures(*hashes, rng.bytes(192), 1.0, 120.0, 50.0, 200.0, rng.bytes(160))


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A server and a data set of fifty thousand rows, made in the table: one file and the measures of fifty thousand pictures."""
    with make_client(tmp_path_factory.mktemp("many")) as client:
        context = client.app.state.context
        store, rng = context.datasets, np.random.default_rng(0)
        made = store.create("Many", "pictures").id
        store.update(made, trigger_word="zog")
        (store.workspace.dataset(made) / "images" / "one.png").write_bytes(b"never opened")
        measures = [measure(rng) for _ in range(ROWS - TWINS)]
        measures += measures[:TWINS]
        rows = []
        for n in range(ROWS):
            text = "" if n % 3 == 0 else f"field {n}" if n % 3 == 1 else f"zog {n}"
            width, height = SIZES[n % 4]
            rows.append(Picture(f"{n:024x}", f"{n}.png", "images/one.png", width, height, 9, text, "file", 1, f"{n:064x}"))
        store.add(made, rows)
        write_measures(store.workspace.cache, {row.sha256: one for row, one in zip(rows, measures, strict=True)})
        write_report(store, made, judge(store, gather_known_facts(store, made, None, "pocket-sdxl", 0.1), "pocket-sdxl"))
        yield client, context, made


def test_the_page_is_small_and_comes_at_once(many):
    client, _, made = many
    started = time.process_time()  # the server is in this process: what it computes, not what it waits for on a busy machine
    answer = client.get(f"/api/check/{made}")
    seconds = time.process_time() - started
    page = answer.json()
    counts = {f["code"]: f["count"] for f in page["report"]["findings"]}
    assert counts["small"] == ROWS and counts["no_caption"] == 16_667 and counts["no_trigger_word"] == 16_667
    assert counts["alike"] == 2 * TWINS and page["report"]["split"]["groups"] == TWINS
    assert (page["report"]["split"]["training"], page["report"]["split"]["held_out"]) == (45_000, 5_000)
    assert sum(b["count"] for b in page["report"]["buckets"]) == ROWS and page["current"] is True
    assert len(answer.content) < PAGE_KB * 1000, f"{len(answer.content)} bytes"
    assert seconds < SECONDS, f"{seconds:.1f} s"


def test_what_the_page_takes_in_the_server_is_bounded(many):
    _, context, made = many
    tracemalloc.start()
    try:
        describe_check(context, made)
        peak = tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()
    assert peak < MEMORY_MIB, f"{peak:.0f} MiB"


def test_the_rest_of_a_finding_comes_in_parts_that_never_overlap(many):
    client, _, made = many
    finding = next(f for f in client.get(f"/api/check/{made}").json()["report"]["findings"] if f["code"] == "no_caption")
    seen = []
    for offset in (0, PART, 16_620):
        answer = client.get(f"/api/check/{made}/part/{finding['key']}?offset={offset}")
        part = answer.json()
        assert part["count"] == 16_667 and len(answer.content) < PART_KB * 1000
        assert all(part["rows"][i]["number"] == int(i, 16) + 1 for i in part["ids"])
        seen += part["ids"]
    assert len(seen) == len(set(seen)) == 2 * PART + 47


def test_twins_come_with_their_groups_and_cuts_with_their_bucket(many):
    client, _, made = many
    report = client.get(f"/api/check/{made}").json()["report"]
    alike = next(f for f in report["findings"] if f["code"] == "alike")
    part = client.get(f"/api/check/{made}/part/{alike['key']}?offset={PART}").json()
    assert part["groups"] == [n for n in range(31, 61) for _ in range(2)]
    together = client.get(f"/api/check/{made}/part/together").json()
    assert together["count"] == 2 * TWINS and len(together["ids"]) == len(together["groups"]) == PART
    bucket = report["buckets"][-1]
    last = client.get(f"/api/check/{made}/part/{bucket['width']}x{bucket['height']}?offset={bucket['count'] - 5}").json()
    assert len(last["cuts"]) == 5 and [c["id"] for c in last["cuts"]] == last["ids"]


def test_one_button_acts_on_all_that_a_finding_names_and_undo_brings_them_back(many):
    client, context, made = many
    finding = next(f for f in client.get(f"/api/check/{made}").json()["report"]["findings"] if f["code"] == "alike")
    token = client.post(f"/api/check/{made}/act", json={"kind": "remove", "keys": [finding["key"]]}).json()["token"]
    assert context.datasets.info(made).num_pictures == ROWS - TWINS
    client.post(f"/api/check/{made}/undo", json={"token": token})
    assert context.datasets.info(made).num_pictures == ROWS


def test_the_map_draws_some_of_them_and_stays_small(many):
    client, _, made = many
    answer = client.get(f"/api/check/{made}/map")
    told = answer.json()
    assert len(told["places"]) == len(told["rows"]) == 300 and "300 of 50,000 pictures" in told["says"]
    assert all(0 < x < 1 and 0 < y < 1 for x, y in told["places"].values()) and len(answer.content) < PAGE_KB * 1000

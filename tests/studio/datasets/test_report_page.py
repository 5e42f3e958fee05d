"""The report as one file: complete in itself, harmless, readable without the data set that it is about."""

from __future__ import annotations

import base64
import io
import re

import pytest
from PIL import Image

from studio.datasets.checks import check_dataset
from studio.datasets.report_page import render_report
from tests.studio.datasets.drawing import blur, draw_photo, encode


@pytest.fixture
def filled(store, dataset, drop):
    """Twelve pictures: one blurred, one a copy, one with a name that is HTML."""
    pictures = [draw_photo(n, 160) for n in range(10)]
    for n, image in enumerate([*pictures, blur(draw_photo(30, 160))]):
        drop(f"{n}.png", encode(image))
    drop("<script>alert(1)</script>.jpg", encode(pictures[0], "JPEG", quality=80))
    store.update(dataset, name="<b>Mine & yours</b>")
    return store, dataset


def pictures_in(page):
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r'src="data:image/webp;base64,([^"]+)"', page)]


def test_it_holds_the_verdict_every_finding_and_their_pictures(filled):
    store, dataset = filled
    report = check_dataset(store, dataset)
    page = render_report(store, dataset, report, "A note.")
    assert f"<b>{report.score}<small>%" in page and "A note." in page and "Who teaches and who judges" in page
    for finding in report.findings:
        assert finding.title in page and finding.way_out in page
    shown = pictures_in(page)
    assert len(shown) >= 12 + 3 and all(max(image.size) <= 192 for image in shown)


def test_nothing_in_it_runs_or_comes_from_outside(filled):
    store, dataset = filled
    page = render_report(store, dataset, check_dataset(store, dataset))
    assert "<script" not in page and "&lt;b&gt;Mine &amp; yours&lt;/b&gt;" in page
    bare = re.sub(r"data:image/webp;base64,[^\"]+", "", page)
    assert not re.search(r"//|url\(|@import|\bon[a-z]+=", bare)


def test_pictures_that_are_gone_since_are_left_out(filled):
    store, dataset = filled
    report = check_dataset(store, dataset)
    before = len(pictures_in(render_report(store, dataset, report)))
    store.remove(dataset, [row.id for row in store.pictures(dataset)][:11])
    page = render_report(store, dataset, report)
    assert 0 < len(pictures_in(page)) < before and report.findings[0].title in page


def test_an_empty_data_set_has_a_report_too(store, dataset):
    page = render_report(store, dataset, check_dataset(store, dataset))
    assert "There are no pictures yet" in page and pictures_in(page) == []

"""What the server completes in a page's HTML."""

from __future__ import annotations

import pytest

from studio.ui.text import PAGES


@pytest.mark.parametrize("text", [t for t in PAGES.values() if not t.own], ids=lambda t: t.path)
def test_a_page_with_a_fixed_title_brings_it_in_its_html(client, text):
    body = client.get(f"/{text.path}").text.split("<body", 1)[1]
    first = body[body.index("d-first") :]
    assert f"<b>{text.title}</b>" in first and f"<p>{text.sentence}</p>" in first
    assert body.index("d-first") < body.index("<script")


@pytest.mark.parametrize("text", [t for t in PAGES.values() if t.own], ids=lambda t: t.path or "home")
def test_a_page_that_names_what_stands_there_waits_for_it(client, text):
    assert "d-first" not in client.get(f"/{text.path}").text

"""The Captions page as its tests use it: opened, and what the server has then."""

from __future__ import annotations


def open_captions(page, server, dataset):
    page.goto(f"{server.address}/captions?dataset={dataset}")
    page.wait_for_selector("#notebook[data-state=ready]")
    return page.locator("#cap")


def texts(zog):
    store, dataset = zog
    return [p.text for p in store.pictures(dataset)]


def wait_for_text(page, zog, index, text):
    """The server's own copy is asked, so that the page's word alone is not enough."""
    store, dataset = zog
    picture = store.pictures(dataset)[index]
    page.wait_for_function(
        "async ([d, id, want]) => (await (await fetch(`/api/captions/${d}`)).json()).pictures.find((p) => p.id === id).text === want",
        arg=[dataset, picture.id, text],
    )

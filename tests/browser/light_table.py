"""The light table of the Dataset page, as tests open it."""

from __future__ import annotations


def open_light_table(page, server, dataset):
    """The page with the pictures or pairs of a data set, once they can be touched."""
    page.goto(f"{server.address}/dataset?dataset={dataset}")
    page.wait_for_selector("#light[data-state=ready]")
    return page

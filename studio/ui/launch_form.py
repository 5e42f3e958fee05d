"""“Where it runs”: the launch settings as a section of a page, drawn from their schema like every other setting.

A page draws it with `draw`, reads it with `read`, and sends what `studio.web.launch_view.describe_launch` says to its card.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from backends.contract.launch import LaunchSettings
from studio.ui import shell
from studio.ui.form import FormField, draw_field, fields_of_group, list_fields, read_values, to_form
from studio.web.launch_view import LAUNCHERS

FIELDS: tuple[FormField, ...] = list_fields(LaunchSettings)
_HEAD = '<h2 class="d-h2">Where it runs</h2>'


def draw(first: LaunchSettings | None = None) -> tuple[list[Any], gr.HTML]:
    """Draws the section; to be called inside a page's column.

    Returns:
        The native components in the order of `FIELDS`, and the card that takes `describe_launch`'s answer as its value.
    """
    values = (first or LaunchSettings()).model_dump()
    drawn: dict[str, Any] = {}
    with gr.Column(elem_classes="d-card frm", elem_id="launch"):
        shell.html(_HEAD)
        by_name = {f.name: f for f in FIELDS}
        title = by_name["launcher"].title
        drawn["launcher"] = gr.Radio(
            list(LAUNCHERS), value=values["launcher"], label=title, elem_id="f-launcher", elem_classes="as-seg", interactive=True
        )
        for group in ("launch", "slurm", "cloud"):
            fields = [f for f in fields_of_group(LaunchSettings, group) if f.name not in drawn]
            short, long = [f for f in fields if f.kind != "lines"], [f for f in fields if f.kind == "lines"]
            with gr.Column(elem_classes="lw", elem_id=f"lw-{group}"):
                with gr.Column(elem_classes="g2"):
                    drawn |= {f.name: draw_field(f, values[f.name]) for f in short}
                drawn |= {f.name: draw_field(f, values[f.name]) for f in long}
        card = shell.widget("launch", "launch-card", {"launcher": values["launcher"]})
    return [drawn[f.name] for f in FIELDS], card


def read(shown: Sequence[Any]) -> dict[str, Any]:
    """Name -> value of what stands in the components, in the order of `FIELDS`; `parse_launch` checks it."""
    return read_values(FIELDS, shown)


def shown_values(launch: LaunchSettings) -> list[Any]:
    """What the components show for these settings, in the order of `FIELDS`: to fill the section from an earlier run."""
    values = launch.model_dump()
    return [to_form(f, values[f.name]) if f.name != "launcher" else values["launcher"] for f in FIELDS]

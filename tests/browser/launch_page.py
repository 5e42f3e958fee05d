"""The app with a Train page that is nothing but “Where it runs”: `python -m tests.browser.launch_page --port 0 ...`."""

from __future__ import annotations

import sys
from typing import Any

import gradio as gr

import app
from backends.contract.config import parse_config
from backends.contract.errors import DarkroomError
from backends.contract.methods.text_to_image import TextToImageConfig
from studio.ui import launch_form, shell
from studio.ui.pages import train
from studio.web.brand import BRAND
from studio.web.launch_view import describe_launch


def build(context: Any) -> None:
    shell.head("train")
    with gr.Column(elem_classes="sd"):
        count = gr.Textbox("1", label="GPUs", elem_id="f-num_processes", interactive=True)
        fields, card = launch_form.draw()
    marks = "watch('value', () => import('" + BRAND + "/js/form.js').then(m => m.mark(props.value.faults || [], true)))"
    faults = gr.HTML({}, html_template="<div></div>", apply_default_css=False, js_on_load=marks)

    def look(processes: str, *shown: Any) -> tuple[Any, Any]:
        try:
            config = parse_config(TextToImageConfig, {"resolution": 128, "num_processes": processes})
        except DarkroomError:
            config = None
        found = describe_launch(context.workspace, config, launch_form.read(shown), "zog-01")
        return found, found

    gr.on([c.change for c in [count, *fields]], look, [count, *fields], [card, faults], trigger_mode="always_last", **shell.PRIVATE)
    shell.on_load(look, [count, *fields], [card, faults], **shell.PRIVATE)


if __name__ == "__main__":
    train.build = build
    sys.exit(app.main())

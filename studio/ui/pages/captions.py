"""The Captions page: the captioner's card in native fields, the notebook as a widget."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

from backends.contract.captioning import BUNDLED, CAPTIONERS
from backends.contract.errors import DarkroomError
from studio.ui import shell
from studio.web.brand import BRAND
from studio.web.context import Context

CHOICES = [(model.label, model.key) for model in CAPTIONERS.values()]
PLACES = {"As the subject": "subject", "First": "start", "Last": "end", "Leave out": "remove"}
_JOB = f"import('{BRAND}/js/captions_job.js')"
# What a person has written or chosen before the data set's own word and place came stays.
_MERGE = f"(kept, w, p) => [w || kept.word, p === {json.dumps(next(iter(PLACES)))} ? kept.place : p]"
_READS = """
const draw = () => {
  const {word, place} = props.value, p = element.querySelector('p'), thing = 'a toy', rest = 'on a red background';
  const t = Object.assign(document.createElement('span'), {className: 'tw', textContent: word});
  const reads = {'As the subject': [t, ' ' + rest], First: [t, `, ${thing} ${rest}`], Last: [`${thing} ${rest}, `, t]};
  p.replaceChildren(...((word && reads[place]) || [`${thing} ${rest}`]));
  const style = 'for a style';
  const fits = {'As the subject': 'for one person or thing', First: style, Last: style, 'Leave out': 'nothing calls it'};
  element.querySelector('small').textContent = word ? fits[place] : 'a made-up word calls what is learned';
};
draw(); watch('value', draw);"""


def build(context: Context) -> None:
    """Draws the page."""
    shell.head("captions")
    with gr.Row(elem_classes="d-card cpt"):
        captioner = gr.Dropdown(CHOICES, value=BUNDLED, label="Captioner", allow_custom_value=True, interactive=True, elem_id="captioner")
        word = gr.Textbox("", label="Trigger word", placeholder="such as zog", max_length=60, interactive=True, elem_id="f-trigger")
        place = gr.Radio(
            list(PLACES), value=next(iter(PLACES)), label="Its place", interactive=True, elem_id="place", elem_classes="as-seg"
        )
        reads = gr.HTML(
            {"word": "", "place": next(iter(PLACES))},
            html_template='<div class="d-field pv"><b>Reads like <small class="d-sub"></small></b><p></p></div>',
            elem_id="reads",
            apply_default_css=False,
            js_on_load=_READS,
        )
    shell.widget("captions", "notebook")
    stop, go, following = shell.dock(
        "",
        ("Stop", "secondary", "cap-stop", ["i-stop", "d-gone"]),
        ("Caption the pictures", "primary", "cap-go", []),
        ("Next: check", "primary", "cap-next", ["d-gone"]),
        ring=True,
    )
    fields: list[Any] = [captioner, word, place]
    told = f"(c, w, p) => {{ {_JOB}.then(m => m.WHAT(c, w, p)); return {{word: (w || '').trim(), place: p}} }}"
    gr.on([f.change for f in fields], None, fields, reads, js=told.replace("WHAT", "chosen"))
    for button, what in ((go, "start"), (stop, "stop"), (following, "next")):
        button.click(None, None, None, js=f"() => {{ {_JOB}.then(m => m.act({json.dumps(what)})) }}")

    def fill_in(request: gr.Request) -> dict[str, str]:
        first = next(iter(PLACES))
        try:
            info = context.datasets.info(request.query_params.get("dataset", ""))
        except DarkroomError:
            return {"word": "", "place": first}
        return {"word": info.trigger_word, "place": next((label for label, place in PLACES.items() if place == info.trigger_place), first)}

    begin = shell.on_load(fill_in, None, reads, **shell.PRIVATE)
    filled = begin.then(None, [reads, word, place], [word, place], js=_MERGE)
    filled.then(None, fields, reads, js=told.replace("WHAT", "filled"))

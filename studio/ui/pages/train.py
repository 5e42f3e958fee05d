"""The Train page: task, base model, recipe, settings; beside them what the run will take; below them Start."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import gradio as gr

from backends.contract.base_models import find_base_model
from backends.contract.config import GROUPS, Config, ConfigFaults
from backends.contract.errors import DarkroomError
from backends.registry import BACKENDS, find_backend
from studio.datasets.watch import Stopped
from studio.runs.presets import Preset, find_preset
from studio.ui import launch_form, shell
from studio.ui.form import FormField, draw_field, list_fields, read_values, same_value, to_form
from studio.web import train_view
from studio.web.brand import BRAND
from studio.web.choices import choose_preset, presets_for
from studio.web.context import Context
from studio.web.run_starts import NotStarted, Starts
from studio.web.train_view import BASE, Asked, describe_place, describe_run

_COPY = f'<button type="button" class="d-btn sm quiet d-push" aria-label="Copy the command">{shell.icon("copy")} <span>Copy</span></button>'
_COMMAND = f'<div class="d-row"><h2 class="d-lab">The command it runs</h2>{_COPY}</div><div class="d-code"><code tabindex="0"></code></div>'
_SETTINGS = '<h2 class="d-h2">Settings</h2><span class="d-small d-sub n" role="status"></span>'


def collect_fields() -> tuple[FormField, ...]:
    """Every setting of every back end, each name once; the page shows those of the chosen one."""
    found: dict[str, FormField] = {}
    for backend in BACKENDS.values():
        for field in list_fields(backend.config):
            found.setdefault(field.name, field)
    return tuple(found.values())


class TrainForm:
    """What the page's events do. Components come in and go out in the order of `self.fields`."""

    def __init__(self, context: Context) -> None:
        self.context, self.starts = context, Starts(context)
        self.fields = [f for f in collect_fields() if f.name != BASE]

    def asked(self, where: dict[str, str], base: str, preset_key: str, name: str, shown: Sequence[Any]) -> Asked:
        """The run that stands on the form; the launch settings stand behind the others."""
        preset = find_preset(preset_key)
        kind: type[Config] = find_backend(preset.backend).config
        values = read_values(self.fields, shown[: len(self.fields)])
        launch = launch_form.read(shown[len(self.fields) :])
        values = {k: v for k, v in values.items() if k in kind.model_fields}
        known = find_base_model(base)
        return Asked(where.get("dataset", ""), preset_key, name, {**values, BASE: known.key if known else (base or "").strip()}, launch)

    def look(self, where: dict[str, str], base: str, preset_key: str, name: str, *shown: Any) -> list[Any]:
        """The side card with the marks at the fields, and where it runs, for what stands on the form now."""
        told = {"told": where.get("told", "")}
        try:
            asked = self.asked(where, base, preset_key, name, shown)
            place = describe_place(self.context, asked)
            found = self._complete(describe_run(self.context, asked), asked)
            return [{**found, **told, "faults": found["faults"] + place["faults"]}, place]
        except DarkroomError as error:
            return [{"faults": [{"field": error.field or "", "text": error.text}], **told}, gr.skip()]

    def begin(self, where: dict[str, str], base: str, preset_key: str, name: str, *shown: Any) -> Any:
        """Starts the run and says where to go, or shows every fault at once."""
        sign = ""
        try:
            asked = self.asked(where, base, preset_key, name, shown)
            sign = asked.sign
            run_id = self.starts.start(where.get("ticket", ""), asked)
        except NotStarted as wrong:
            return self._complete(describe_run(self.context, asked, insist=True, known=(wrong.checked, wrong.launch)), asked)
        except ConfigFaults:
            return self._complete(describe_run(self.context, asked, insist=True), asked)
        except Stopped:
            return {"stopped": True}
        except DarkroomError as error:
            return {"faults": [{"field": error.field or "machine", "text": error.text}], "insist": True, "of": sign}
        return {"go": {"dataset": asked.dataset_id, "run": run_id}}

    def _complete(self, shown: dict[str, Any], asked: Asked) -> dict[str, Any]:
        want = shown.pop("want")
        by_name = {f.name: f for f in self.fields}
        changed = {
            n: to_form(by_name[n], want[n]) for n in asked.values if n in by_name and not same_value(by_name[n], asked.values[n], want[n])
        }
        fitting = {p.key for p in presets_for(find_preset(asked.preset_key).task, str(asked.values[BASE]))}
        recipes = [at for at, p in enumerate(train_view.offered_presets()) if p.key in fitting]
        return {**shown, "changed": changed, "recipes": recipes}

    def first(self, request: gr.Request) -> list[Any]:
        """Everything that depends on the address: where, task, base, recipe, name and the fields."""
        dataset_id, key = request.query_params.get("dataset", ""), request.query_params.get("preset", "")
        info = None
        try:
            info = self.context.datasets.info(dataset_id)
        except DarkroomError:
            dataset_id = ""
        preset, told = train_view.find_first(self.context, dataset_id, key)
        where = {"dataset": dataset_id, "ticket": secrets.token_hex(8), "told": told, "pictures": str(info.num_training if info else 0)}
        name = train_view.first_name(self.context, dataset_id) if dataset_id else ""
        brought = train_view.read_handed_over(preset, request.query_params)
        return [where, preset.task, *self._cards(preset, preset.base_model), name, *self._shown(where, preset, preset.base_model, brought)]

    def choose_task(self, where: dict[str, str], task: str, base: str) -> list[Any]:
        """Another task: the recipes for it, and the first of them."""
        bases = [key for _, key in train_view.offered_bases(task)]
        known = find_base_model(base)
        kept = base if (known and known.key in bases) or not known else None
        preset = choose_preset(task, kept)
        chosen = kept or preset.base_model
        return [*self._cards(preset, chosen), *self._shown(where, preset, chosen)]

    def choose_base(self, where: dict[str, str], task: str, base: str) -> list[Any]:
        """Another base model: the recipes that start from it."""
        preset = choose_preset(task, base)
        return [*self._cards(preset, base), *self._shown(where, preset, base)]

    def choose_recipe(self, where: dict[str, str], base: str, preset_key: str) -> list[Any]:
        """The recipe's settings; also the way back to them."""
        return self._shown(where, find_preset(preset_key), base)

    def _cards(self, preset: Preset, base: str) -> list[Any]:
        known = find_base_model(base)
        bases = train_view.offered_bases(preset.task)
        return [
            gr.update(choices=bases, value=known.key if known else base, info=train_view.describe_base(base)["line"]),
            gr.update(value=preset.key),
        ]

    def _shown(self, where: dict[str, str], preset: Preset, base: str, brought: dict[str, Any] | None = None) -> list[Any]:
        known = find_base_model(base)
        values = train_view.first_values(self.context, where.get("dataset", ""), preset, known.key if known else base) | (brought or {})
        return [to_form(f, values[f.name]) if f.name in values else gr.skip() for f in self.fields]


def build(context: Context) -> None:
    """Draws the page."""
    form = TrainForm(context)
    start_preset = choose_preset("subject", None)
    first = train_view.first_values(context, "", start_preset)
    shell.head("train")
    drawn: dict[str, Any] = {}
    where = gr.JSON({}, visible="hidden")
    with gr.Row(elem_classes="d-cols tr"):
        with gr.Column():
            tasks = train_view.offered_tasks()
            task = gr.Radio(tasks, value="subject", label="It learns", elem_id="task", elem_classes="as-seg", interactive=True)
            base, recipe = _draw_cards(start_preset)
            with gr.Column(elem_classes="d-card frm"):
                with gr.Row(elem_id="set-head"):
                    shell.html(_SETTINGS)
                    back = gr.Button("Back to preset", size="sm", elem_classes="quiet i-undo", elem_id="back")
                with gr.Column(elem_classes="g2"):
                    name = gr.Textbox("", label="Run name", info="Names the run’s folder and its file.", elem_id="f-name", interactive=True)
                    main = [f for f in form.fields if f.group == "main"]
                    drawn |= {f.name: draw_field(f, first.get(f.name)) for f in main if f.kind != "lines"}
                drawn |= {f.name: draw_field(f, first.get(f.name)) for f in main if f.kind == "lines"}
            _draw_all_settings(form.fields, first, drawn)
            places, place = launch_form.draw()
        with gr.Column(elem_classes="sd"):
            card = shell.widget("train", "forecast", {})
            shell.html(_COMMAND, "cmd")
    (start,) = shell.dock("", ("Start training", "primary", "start", []))
    _wire(form, where, (task, base, recipe, name), [drawn[f.name] for f in form.fields], (places, back, start, card, place))


def _draw_cards(preset: Preset) -> tuple[gr.Dropdown, gr.Radio]:
    base = gr.Dropdown(
        train_view.offered_bases(preset.task),
        value=preset.base_model,
        label="Starting from",
        info=train_view.describe_base(preset.base_model)["line"],
        allow_custom_value=True,
        elem_id="base",
        interactive=True,
    )
    shell.html('<p class="d-small d-sub"></p>', "base-more")
    # All of them, always: train.js shows those that fit. A choice that comes and goes would be refused on its way.
    recipes = [(train_view.describe_preset(p), p.key) for p in train_view.offered_presets()]
    recipe = gr.Radio(recipes, value=preset.key, label="With the recipe", elem_id="recipe", interactive=True)
    shell.html('<p class="d-small d-sub"></p>', "recipe-more")
    return base, recipe


def _draw_all_settings(fields: Sequence[FormField], first: dict[str, Any], drawn: dict[str, Any]) -> None:
    with gr.Accordion("All settings", open=False, elem_id="all", elem_classes="fold"):
        find = gr.Textbox(label="Find a setting", placeholder="learning rate, memory, seed", elem_id="find", interactive=True)
        shell.html("<p role='status' class='d-small d-sub'></p>", "find-note")
        for group, title in GROUPS.items():
            rest = [f for f in fields if f.group == group and f.name not in drawn]
            if not rest:
                continue
            with gr.Accordion(title, open=False, elem_classes="fold", elem_id="g-" + group), gr.Column(elem_classes="g2"):
                drawn.update({f.name: draw_field(f, first.get(f.name)) for f in rest})
    find.change(None, find, js=f"(s) => {{ import('{BRAND}/js/form.js').then(m => m.filter(s)) }}")


def _wire(form: TrainForm, where: gr.JSON, chosen: tuple[Any, ...], fields: list[Any], rest: tuple[Any, ...]) -> None:
    task, base, recipe, name = chosen
    places, back, start, card, place = rest
    asked = [where, base, recipe, name, *fields, *places]

    def look_after(event: Any) -> None:
        event.then(form.look, asked, [card, place], **shell.PRIVATE)

    look_after(shell.on_load(form.first, None, [where, task, base, recipe, name, *fields], **shell.PRIVATE))
    look_after(task.input(form.choose_task, [where, task, base], [base, recipe, *fields], **shell.PRIVATE))
    look_after(base.input(form.choose_base, [where, task, base], [base, recipe, *fields], **shell.PRIVATE))
    for event in (recipe.input, back.click):
        look_after(event(form.choose_recipe, [where, base, recipe], fields, **shell.PRIVATE))
    # .change, not .input: filling in by script, Backspace and a preset all count; only the newest state is worked out.
    gr.on([c.change for c in [name, *fields, *places]], form.look, asked, [card, place], trigger_mode="always_last", **shell.PRIVATE)
    start.click(form.begin, asked, card, **shell.PRIVATE)

"""What stands on the Train page, worked out without Gradio: cards, first values, forecast, faults, and the one start."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from backends.contract.base_models import BASE_MODELS, BaseModel, find_base_model
from backends.contract.config import Config, ConfigFaults, Fault, parse_config
from backends.contract.errors import DarkroomError
from backends.contract.launch import LaunchSettings
from backends.contract.settings.pictures import wants_pairs
from backends.registry import BACKENDS, find_backend
from studio.runs.base_faults import is_cached
from studio.runs.command import build_command, format_command
from studio.runs.data_faults import find_kind_fault
from studio.runs.forecast import Forecast
from studio.runs.preflight import Preflight, count_judges, forecast_launch, preflight_launch
from studio.runs.presets import Preset, find_preset, load_presets
from studio.web.choices import TASKS, choose_preset, compute_sample_prompts
from studio.web.context import Context
from studio.web.launch_view import FIELDS as LAUNCH_FIELDS
from studio.web.launch_view import describe_launch, parse_launch
from studio.web.train_figures import describe_forecast, explain_judges
from studio.workspace import new_id

BASE = "pretrained_model_name_or_path"
HANDED_OVER = ("caption_dropout", "shuffle_tags", "keep_tags", "seed")  # by the address that the Captions page leads to
OWN_FIELDS = (BASE, "trigger_word", "sample_prompts")  # filled from the data set or the base card, not by the preset alone


@dataclass(frozen=True)
class Asked:
    """What a person has on the form at this moment. `values` are settings as the form reads them, `launch` where it shall run."""

    dataset_id: str
    preset_key: str
    name: str
    values: dict[str, Any] = field(default_factory=dict)
    launch: dict[str, Any] = field(default_factory=dict)

    @property
    def sign(self) -> str:
        """The same for what is the same, so that an answer tells which form it is about."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, default=str).encode()).hexdigest()[:16]


def offered_presets() -> list[Preset]:
    """Presets of back ends that exist."""
    return [p for p in load_presets() if p.backend in BACKENDS]


def offered_tasks() -> list[tuple[str, str]]:
    """(label, key) of the tasks that some preset is for, in the page's order."""
    present = {p.task for p in offered_presets()}
    return [(label, key) for key, label in TASKS.items() if key in present]


def offered_bases(task: str) -> list[tuple[str, str]]:
    """(name, key) of the known base models for a task, bundled ones first."""
    wanted = {m.key for p in offered_presets() if p.task == task and (m := find_base_model(p.base_model))}
    return [(m.name, m.key) for m in BASE_MODELS.values() if m.key in wanted]


def describe_preset(preset: Preset) -> str:
    """The card's lines: name, when to use it, its figures, and where these come from."""
    card = f"{preset.gpu_memory_gb:g} GB GPU" if preset.gpu_memory_gb else "no GPU"
    memory = f"{preset.gpus} × {card}" if preset.gpus > 1 else card
    minutes = f"{preset.minutes:g} min" if preset.minutes <= 120 else f"{preset.minutes / 60:.1f} h"
    return "\n".join([preset.name, preset.sentence, f"{memory}   {minutes}", f"on {preset.minutes_on}"])


def describe_base(name: str) -> dict[str, Any]:
    """The base model's card: one line with size, place and licence, a sentence, and the address of the licence."""
    base = find_base_model(name)
    if base is None:
        place = "A folder on this machine." if Path(name).expanduser().is_dir() else "From Hugging Face, by its name."
        own = {
            "key": "",
            "name": name or "your base model",
            "sentence": "A base model of your own, in the diffusers layout.",
            "licence": "",
            "bundled": False,
        }
        return {**own, "line": f"{place} Look at its licence yourself."}
    here = "came with the studio" if base.bundled else "on this machine" if _is_here(base) else "downloaded when the run starts"
    size = f"{base.size_gb * 1000:.0f} MB" if base.size_gb < 1 else f"{base.size_gb:g} GB"
    line = f"{size}, {here}. {base.licence}{'' if base.licence.endswith('License') else ' licence'}."
    told = {"key": base.key, "name": base.name, "bundled": base.bundled}
    return {**told, "line": line, "sentence": base.sentence, "licence": base.licence_url}


def _is_here(base: BaseModel) -> bool:
    return base.bundled or is_cached(base.source)


def find_first(context: Context, dataset_id: str, preset_key: str) -> tuple[Preset, str]:
    """The preset to begin with and, where the address asks for one that there is not, a sentence that says so."""
    told = ""
    if preset_key:
        try:
            return find_preset(preset_key), ""
        except DarkroomError as error:
            told = error.text
    runs = context.runs.runs_of(dataset_id) if dataset_id else []
    used = next((p for p in offered_presets() if runs and p.key == runs[0].preset_key), None)
    return used or choose_preset(_first_task(context, dataset_id), None), told


def _first_task(context: Context, dataset_id: str) -> str:
    """An edit for a data set of pairs, else a subject."""
    try:
        return "edit" if context.datasets.info(dataset_id).kind == "pairs" else "subject"
    except DarkroomError:
        return "subject"


def first_values(context: Context, dataset_id: str, preset: Preset, base_model: str | None = None) -> dict[str, Any]:
    """Every setting's value as the preset and the data set give it."""
    config = find_backend(preset.backend).config
    values = {name: f.get_default(call_default_factory=True) for name, f in config.model_fields.items()} | dict(preset.values)
    values[BASE] = base_model or preset.base_model
    try:
        info = context.datasets.info(dataset_id)
    except DarkroomError:
        return values
    values |= preset.values_for(info.trigger_word)
    if not wants_pairs(config):  # of an edit pairs held out are drawn
        captions = [text for _, text in context.datasets.index(dataset_id).texts("missing <> 'both' AND NOT excluded")]
        values["sample_prompts"] = compute_sample_prompts(captions, info.trigger_word, values["sample_prompts"])
    values[BASE] = base_model or preset.base_model
    return values


def read_handed_over(preset: Preset, query: Mapping[str, str]) -> dict[str, Any]:
    """Settings that an address brings along for this preset's training; what is wrong with them is told at their fields."""
    fields = find_backend(preset.backend).config.model_fields
    found: dict[str, Any] = {name: query[name][:40] for name in HANDED_OVER if name in query and name in fields}
    return {name: value == "true" if fields[name].annotation is bool else value for name, value in found.items()}


def first_name(context: Context, dataset_id: str) -> str:
    """A free run name made from the data set's: zog-01, zog-02, ..."""
    try:
        stem = new_id(context.datasets.info(dataset_id).name, Path("/nonexistent"))[:40]
    except DarkroomError:
        return ""
    taken = {r.name for r in context.runs.list()} | {r.id for r in context.runs.list()}
    return next(name for n in range(1, 10_000) if (name := f"{stem}-{n:02d}") not in taken)


def describe_run(
    context: Context, asked: Asked, *, insist: bool = False, known: tuple[Preflight, LaunchSettings] | None = None
) -> dict[str, Any]:
    """What the side card and the field marks show.

    Args:
        context: The stores.
        asked: What stands on the form.
        insist: Show every fault at once, also at fields that nobody has touched yet, and those of the data set.
        known: What was found when everything was looked at a moment ago.
    """
    preset = find_preset(asked.preset_key)
    backend = find_backend(preset.backend)
    want = first_values(context, asked.dataset_id, preset, str(asked.values.get(BASE) or ""))
    base = describe_base(str(asked.values.get(BASE) or preset.base_model))
    why = dict(preset.why)
    if want.get("sample_prompts") != preset.values.get("sample_prompts"):
        why["sample_prompts"] = "New combinations, a caption of yours, and one without the trigger word, to see what it forgets."
    shown: dict[str, Any] = {
        "why": why,
        "preset": {"name": preset.name, "sources": list(preset.sources), "took": f"{preset.minutes:g} min on {preset.minutes_on}"},
        "want": want,
        "base": base,
        "insist": insist,
        "of": asked.sign,
        "dataset": asked.dataset_id,
    }
    if insist:
        checked, launch = known or preflight_launch(context.workspace, asked.dataset_id, backend.name, asked.values, asked.launch)
        faults, config, forecast = list(checked.faults), checked.config, checked.forecast
        shown["warnings"] = [w.model_dump() for w in checked.warnings]
    else:
        launch = _read_launch(asked)
        faults, config, forecast = _forecast(context, asked, backend.config, launch)
    shown["fields"] = _list_fields(backend.config, asked, {fault.field for fault in faults})
    shown["faults"] = [f.model_dump() for f in [*faults, *name_faults(asked.name)]]
    if forecast is not None and config is not None:
        shown |= describe_forecast(forecast, config, base["name"], preset.task)
        if forecast.chosen:
            why["held_out_share"] = explain_judges(forecast.chosen, "pair" if wants_pairs(config) else "picture")
        here = launch.is_local and launch.num_machines == 1  # else “Where it runs” has the commands
        folder = context.workspace.runs / new_id(asked.name, context.workspace.runs)
        shown["command"] = format_command(build_command(config, folder)) if here else ""
    return shown


def describe_place(context: Context, asked: Asked) -> dict[str, Any]:
    """What the section “Where it runs” shows; one process on this machine needs no command of its own beside the page's."""
    try:
        config = parse_config(find_backend(find_preset(asked.preset_key).backend).config, asked.values)
    except ConfigFaults:
        config = None
    found = describe_launch(context.workspace, config, asked.launch, asked.name)
    return {**found, "commands": []} if found["launcher"] == "local" and not found["many"] else found


def _read_launch(asked: Asked) -> LaunchSettings:
    try:
        return parse_launch(asked.launch)
    except ConfigFaults:
        return LaunchSettings()  # what is wrong with them is told where they stand


def _forecast(
    context: Context, asked: Asked, kind: type[Config], launch: LaunchSettings
) -> tuple[list[Fault], Config | None, Forecast | None]:
    try:
        config = parse_config(kind, asked.values)
    except ConfigFaults as wrong:
        return list(wrong.faults), None, None
    try:
        info = context.datasets.info(asked.dataset_id)
    except DarkroomError:
        return [], config, forecast_launch(context.workspace, config, 0, launch)
    misfit = find_kind_fault(config, info)
    forecast = forecast_launch(context.workspace, config, info.num_training, launch, count_judges(context.datasets, info.id))
    return [misfit] if misfit else [], config, forecast


def _list_fields(config: type[Config], asked: Asked, wrong: set[str]) -> list[str]:
    """The settings that the form shows; edits draw pairs as samples, and prompts only of a picture of one's own.

    What only shuffled tags have is not shown without them, unless it is wrong.
    """
    hidden = {"sample_prompts"} if wants_pairs(config) and not asked.values.get("val_image") else set()
    if not asked.values.get("shuffle_tags"):
        hidden |= {"keep_tags", "tag_orders"} - wrong
    return [*(name for name in config.model_fields if name not in hidden), *LAUNCH_FIELDS]


def name_faults(name: str) -> list[Fault]:
    """What is wrong with the name of a run."""
    plain = " ".join(name.split())
    if 1 <= len(plain) <= 80:
        return []
    return [Fault(field="name", text=f"The run name has {len(plain)} characters; it must have 1 to 80. For example: zog-01.")]

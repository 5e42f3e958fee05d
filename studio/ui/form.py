"""The form of a method's settings, drawn from the JSON schema of its config: nothing of a setting is written down twice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import gradio as gr

from backends.contract.config import GROUPS, Config, plain_number

EMPTY_CHOICE = "Decide for me"  # shown where an optional choice is left open
SET_BY_STUDIO = frozenset({"output_dir", "local_rank", "resume_from_checkpoint"})  # shown, but a page does not change them
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class FormField:
    """One setting as the form shows it. `kind` is int, float, bool, choice, lines or text."""

    name: str
    title: str
    help: str
    group: str
    widget: str
    unit: str
    kind: str
    choices: tuple[str, ...]
    optional: bool
    default: Any
    minimum: float | None
    maximum: float | None

    @property
    def elem_id(self) -> str:
        """Id of the field on the page."""
        return "f-" + self.name


@cache
def list_fields(config: type[Config]) -> tuple[FormField, ...]:
    """Every setting of `config` in the order in which it is written down there, those with a place of their own first."""
    written = config.model_json_schema()["properties"]
    properties = dict(sorted(written.items(), key=lambda item: item[1]["place"]))
    return tuple(_read_field(name, prop) for name, prop in properties.items())


def fields_of_group(config: type[Config], group: str) -> list[FormField]:
    """The settings of one group of `backends.contract.config.GROUPS`."""
    assert group in GROUPS, group
    return [f for f in list_fields(config) if f.group == group]


def _read_field(name: str, prop: dict[str, Any]) -> FormField:
    options = [o for o in prop.get("anyOf", [prop]) if o.get("type") != "null"]
    shape = options[0]  # an optional setting keeps its type and limits one level down
    kinds = {"integer": "int", "number": "float", "boolean": "bool", "array": "lines"}
    return FormField(
        name=name,
        title=prop["title"],
        help=prop["description"],
        group=prop["group"],
        widget=prop["widget"],
        unit=prop["unit"],
        kind="choice" if "enum" in shape else kinds.get(shape.get("type", ""), "text"),
        choices=tuple(shape.get("enum", ())),
        optional=len(prop.get("anyOf", [])) > len(options),
        default=prop.get("default"),
        minimum=shape.get("minimum"),
        maximum=shape.get("maximum"),
    )


def to_form(field: FormField, value: Any) -> Any:
    """What the field's component shows for a setting's value: numbers as a person types them."""
    if field.kind == "bool":
        return bool(value)
    if field.kind == "choice":
        return value if value is not None else EMPTY_CHOICE
    if field.kind == "lines":
        return "\n".join(value or [])
    if field.widget == "slider":
        return value
    if value is None:
        return ""
    return plain_number(value).replace(",", "") if isinstance(value, (int, float)) else str(value)


def from_form(field: FormField, shown: Any) -> Any:
    """The setting's value for what stands in the component; text that is no number stays text, for the config to refuse."""
    if field.kind == "choice":
        return None if field.optional and shown in (EMPTY_CHOICE, "", None) else shown
    if field.kind in ("int", "float") and isinstance(shown, str):
        return _read_number(shown, field.unit)
    if field.kind in ("int", "float") and shown is None:
        return ""  # a number that was wiped out: the config says what belongs there
    if field.kind == "text" and isinstance(shown, str):
        return shown.strip()
    return shown


def _read_number(text: str, unit: str) -> str:
    plain = text.strip().removesuffix(unit).strip() if unit else text.strip()
    if _THOUSANDS.fullmatch(plain):
        return plain.replace(",", "")
    if _DECIMAL_COMMA.fullmatch(plain):
        return plain.replace(",", ".")
    return re.sub(r"(?<=\d)[\s\u202f](?=\d{3}\b)", "", plain)


def read_values(fields: Iterable[FormField], shown: Sequence[Any]) -> dict[str, Any]:
    """Name -> value of all fields, in the form that `parse_config` takes; optional ones that are empty are None."""
    values = {}
    for field, one in zip(fields, shown, strict=True):
        value = from_form(field, one)
        values[field.name] = None if field.optional and isinstance(value, str) and not value else value
    return values


def same_value(field: FormField, one: Any, other: Any) -> bool:
    """Whether two values mean the same setting, however they are written: 1e-4 and 0.0001, "" and None."""
    return _canonical(field, one) == _canonical(field, other)


def _canonical(field: FormField, value: Any) -> Any:
    if field.kind == "lines":
        lines = value.splitlines() if isinstance(value, str) else value or []
        return [line.strip() for line in lines if line.strip()]
    if field.kind in ("int", "float"):
        try:
            return float(_read_number(str(value), field.unit))
        except ValueError:
            return value or None
    return value if value not in ("", EMPTY_CHOICE) else None


def draw_field(field: FormField, value: Any = None) -> gr.components.Component:
    """The native component of one setting. Numbers are text boxes: a number box would print 0.0006000000000000001."""
    shown = to_form(field, field.default if value is None else value)
    common: dict[str, Any] = {
        "label": field.title,
        "info": field.help,
        "elem_id": field.elem_id,
        "elem_classes": [*([f"u-{field.unit}"] if field.unit else []), f"w-{field.widget}"],
        "interactive": field.name not in SET_BY_STUDIO,
    }
    if field.kind == "bool":
        return gr.Checkbox(shown, **common)
    if field.kind == "choice":
        choices = [EMPTY_CHOICE, *field.choices] if field.optional else list(field.choices)
        return gr.Dropdown(choices, value=shown, filterable=False, **common)
    if field.widget == "slider" and field.minimum is not None and field.maximum is not None:
        return gr.Slider(field.minimum, field.maximum, value=shown, step=1 if field.kind == "int" else None, buttons=[], **common)
    if field.kind == "lines":
        return gr.Textbox(shown, lines=5, max_lines=16, **common)
    return gr.Textbox(shown, **common)

"""What every training's settings share: typed, frozen, unknown keys refused, faults told in plain words.

The form, the command line, the file and the trainer all read these models; a setting is written down once.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from backends.contract import files
from backends.contract.errors import DarkroomError

Widget = Literal["text", "lines", "slider", "number", "choice", "switch", "path"]
GROUPS = {
    "main": "Settings",
    "learning": "Learning",
    "lora": "LoRA",
    "class": "Keeping the class",
    "edits": "Edits",
    "pictures": "Pictures and captions",
    "memory": "Memory and speed",
    "samples": "Samples and checks while training",
    "saving": "Saving and resuming",
    "base": "Base model",
    "tracking": "Tracking",
    "launch": "Where it runs",
    "slurm": "Slurm",
    "cloud": "Cloud",
}


def setting(default: Any, title: str, help: str, *, group: str, widget: Widget = "text", unit: str = "", **rules: Any) -> Any:
    """One setting of a config: default, label, one line of help that names its range, and where it stands in the form.

    A `place` among the rules is its rank in its group, 9 where none is given; equals keep the order of the class.
    """
    assert group in GROUPS, group
    shown = {"group": group, "widget": widget, "unit": unit, "place": rules.pop("place", 9)}
    return Field(default, title=title, description=help, json_schema_extra=shown, **rules)


class Fault(BaseModel):
    """One thing wrong with the settings or the data, at its field."""

    field: str
    text: str


class ConfigFaults(DarkroomError):
    """All faults of a config at once."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(f.text for f in faults), field=faults[0].field if faults else None)
        self.faults = faults


class Config(BaseModel):
    """Base of every method's settings. Frozen: what was checked is what runs."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _name_unknown_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            unknown = [k for k in values if k not in cls.model_fields]
            if unknown:
                raise ValueError("; ".join(_unknown_key(k, list(cls.model_fields)) for k in unknown))
        return values


C = TypeVar("C", bound=Config)


def redefault(**defaults: Any) -> Callable[[type[C]], type[C]]:
    """Gives inherited settings other defaults, for a script whose own differ; all else of them stays."""

    def change(kind: type[C]) -> type[C]:
        for name, value in defaults.items():
            field = copy(kind.model_fields[name])
            field.default = value
            kind.__pydantic_fields__[name] = field
        kind.model_rebuild(force=True)
        return kind

    return change


def fixed(**values: Any) -> Callable[[type[C]], type[C]]:
    """Takes inherited settings out of the form and the file where nothing can be chosen: they keep the value given here."""

    def change(kind: type[C]) -> type[C]:
        for name, value in values.items():
            del kind.__pydantic_fields__[name]
            setattr(kind, name, value)
        kind.model_rebuild(force=True)
        return kind

    return change


def _unknown_key(key: str, known: list[str]) -> str:
    if key == "hub_token":
        return "The token for the hub is no setting, because settings are shown and passed on. Set HF_TOKEN in the environment."
    near = difflib.get_close_matches(str(key), known, n=1)
    return f"There is no setting “{key}”." + (f" Did you mean {near[0]}?" if near else "")


def parse_config(kind: type[C], values: dict[str, Any]) -> C:
    """A checked config from plain values (numbers may be text, as a form gives them).

    Raises:
        ConfigFaults: With every fault at its field, each with value, rule and way out.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        raise ConfigFaults([_fault(kind, e) for e in error.errors()]) from None


def _fault(kind: type[Config], error: Any) -> Fault:
    name = str(error["loc"][0]) if error["loc"] else ""
    text = str(error["msg"]).removeprefix("Value error, ")
    if not name or name not in kind.model_fields:
        field, _, rest = text.partition(": ")
        return Fault(field=field, text=rest) if field in kind.model_fields else Fault(field="", text=text)
    title = kind.model_fields[name].title or name
    if error["type"] == "value_error":
        return Fault(field=name, text=text)
    value = error.get("input")
    shown = f"“{value}”" if isinstance(value, str) else str(value)
    if error["type"] == "missing":
        return Fault(field=name, text=f"{title} is missing. {kind.model_fields[name].description}")
    return Fault(field=name, text=f"{title} is {shown}; {_rule(kind, name, error)}")


def _rule(kind: type[Config], name: str, error: Any) -> str:
    prop = kind.model_json_schema()["properties"][name]
    for option in prop.get("anyOf", []):  # an optional field keeps its limits one level down
        if option.get("type") != "null":
            prop = {**prop, **option}
    low, high = prop.get("minimum", prop.get("exclusiveMinimum")), prop.get("maximum")
    kinds = {"int_parsing": "a whole number", "int_from_float": "a whole number", "float_parsing": "a number, such as 1e-4"}
    kinds |= {"int_type": "a whole number", "float_type": "a number", "bool_parsing": "on or off"}
    wanted = kinds.get(error["type"], "")
    if error["type"] in ("literal_error", "enum") and "enum" in prop:
        return "it must be one of " + ", ".join(str(v) for v in prop["enum"]) + "."
    if low is not None and high is not None:
        return f"it must be {(wanted or 'a number').partition(',')[0]} from {plain_number(low)} to {plain_number(high)}{_example(wanted)}."
    if low is not None:
        return f"it must be {wanted or 'a number'} of {plain_number(low)} or more."
    return f"it must be {wanted}." if wanted else f"{error['msg'][0].lower()}{error['msg'][1:]}."


def _example(wanted: str) -> str:
    return "," + wanted.partition(",")[2] if "," in wanted else ""


def plain_number(value: float) -> str:
    """A number as a person writes it: 0.0001 as 1e-4, 10000 as 10,000."""
    if value == 0 or abs(value) >= 0.01:
        return f"{value:,.10g}" if isinstance(value, float) else f"{value:,}"
    mantissa, exponent = f"{value:.6e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def write_config(path: Path, config: Config, backend: str, versions: dict[str, str]) -> None:
    """Writes the frozen, complete settings with the back end's name and the versions that wrote them."""
    document = {"backend": backend, "versions": versions, "config": config.model_dump(mode="json")}
    files.write_text(path, yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def read_config_document(path: Path) -> dict[str, Any]:
    """`{"backend": ..., "versions": ..., "config": {...}}` as written by `write_config`.

    Raises:
        DarkroomError: When the file is not there or is not such a document.
    """
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise DarkroomError(f"{path} cannot be read as settings: {error}") from None
    if not isinstance(document, dict) or not {"backend", "config"} <= document.keys():
        raise DarkroomError(f"{path} is not a run's settings: it needs the keys backend and config.")
    return document

"""Who writes captions and who scores them, and the wording a person asks for.

Standard library alone: LAVIS writes in an environment of its own that has little else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backends.contract.errors import DarkroomError

Search = Literal["beam", "nucleus"]
BUNDLED = "pocket-blip"
LAVIS = "lavis:"  # in front of a LAVIS model: lavis:blip_caption/base_coco, or lavis: and a folder
MAX_TEXT = 200  # characters before and after a caption


@dataclass(frozen=True)
class KnownModel:
    """A captioner or scorer that the studio knows by name. `size_gb` is the download in 10**9 bytes; 0: it came with the studio."""

    key: str
    name: str
    size_gb: float
    sentence: str

    @property
    def label(self) -> str:
        """What a list shows: its name and its download."""
        return f"{self.name}, {self.size_gb:g} GB" if self.size_gb else self.name


def _by_key(*models: KnownModel) -> dict[str, KnownModel]:
    return {m.key: m for m in models}


CAPTIONERS = _by_key(
    KnownModel(BUNDLED, "Pocket BLIP", 0, "Came with the studio. Knows 238 words for drawings; of photographs it guesses."),
    KnownModel("Salesforce/blip-image-captioning-base", "BLIP base", 1.0, "One short free sentence."),
    KnownModel("Salesforce/blip-image-captioning-large", "BLIP large", 1.9, "One longer, more careful sentence; slower."),
    KnownModel("Salesforce/blip2-opt-2.7b", "BLIP-2", 15.0, "One short, exact sentence. Wants a GPU with 8 GB."),
    KnownModel(
        "florence-community/Florence-2-base", "Florence-2 base", 0.5, "From one sentence to a paragraph, by the length you ask for."
    ),
    KnownModel("florence-community/Florence-2-large", "Florence-2 large", 1.6, "The same, more exact; slower."),
    KnownModel("Qwen/Qwen2.5-VL-3B-Instruct", "Qwen2.5-VL 3B", 7.5, "Detailed prose. Wants a GPU with 10 GB."),
    KnownModel("Qwen/Qwen2.5-VL-7B-Instruct", "Qwen2.5-VL 7B", 16.6, "The most detailed prose. Wants a GPU with 20 GB."),
    KnownModel("SmilingWolf/wd-vit-tagger-v3", "WD14 tags", 0.4, "Tags instead of a sentence. Wants onnxruntime."),
    KnownModel(f"{LAVIS}blip_caption/base_coco", "LAVIS BLIP base", 0.9, "The original BLIP, in an environment of its own: setup-lavis."),
    KnownModel(f"{LAVIS}blip_caption/large_coco", "LAVIS BLIP large", 1.8, "The original large BLIP; setup-lavis."),
)
SCORERS = _by_key(
    KnownModel(BUNDLED, "Pocket BLIP", 0, "How much likelier the caption is with its picture than with other pictures of yours."),
    KnownModel("Salesforce/blip-itm-base-coco", "BLIP matching base", 0.9, "Trained to tell whether a caption belongs to a picture."),
    KnownModel("Salesforce/blip-itm-large-coco", "BLIP matching large", 1.8, "The same, more exact; slower."),
    KnownModel(f"{LAVIS}blip_image_text_matching/base", "LAVIS matching base", 0.9, "The original BLIP matching; setup-lavis."),
)


@dataclass(frozen=True)
class Wording:
    """How captions are to be worded.

    `beam` looks for the likeliest words (1 beam: the likeliest word each time), the same each time; `nucleus` draws words among
    those that together hold `top_p` of the probability, so that candidates differ; `seed` makes them the same again.
    `candidates` so many captions a picture, the first of which is written. `max_new_tokens` is the longest a caption may get,
    in the captioner's own tokens (about three quarters of a word each). `prefix` and `suffix` stand around what it says.
    `ask` is what a captioner that takes questions is asked, in place of our own. `threshold` is the least probability of a tag.
    """

    search: Search = "beam"
    num_beams: int = 1
    top_p: float = 0.9
    candidates: int = 1
    max_new_tokens: int = 40
    prefix: str = ""
    suffix: str = ""
    ask: str = ""
    threshold: float = 0.35
    seed: int = 0

    def around(self, text: str) -> str:
        """The caption between prefix and suffix; a space is put in where neither has one, except before a comma or a full stop."""
        first, last = self.prefix.strip(), self.suffix.strip()
        text = f"{first} {text}" if first else text
        return f"{text}{'' if last[0] in ',.;:!?' else ' '}{last}" if last else text


RANGES: dict[str, tuple[float, float, str]] = {
    "num_beams": (1, 10, "Beams"),
    "top_p": (0.05, 1.0, "The share of the probability"),
    "candidates": (1, 5, "The number of candidates"),
    "max_new_tokens": (5, 500, "The caption's length in tokens"),
    "threshold": (0.05, 0.95, "The least probability of a tag"),
    "seed": (0, 999_999, "The seed"),
}


def read_wording(values: Mapping[str, Any]) -> Wording:
    """The wording of plain values; what is not named stays as it is by default.

    Raises:
        DarkroomError: When a value is none of its kind or out of its range, or a name is unknown.
    """
    known = {field.name: field.default for field in dataclasses.fields(Wording)}
    for name in values:
        if name not in known:
            raise DarkroomError(f"Captions have no setting “{name}”. There is: {', '.join(known)}.", field=name)
    clean = {name: _read_value(name, value, known[name]) for name, value in values.items()}
    return Wording(**clean)


def _read_value(name: str, value: Any, default: Any) -> Any:
    if name == "search":
        if value not in ("beam", "nucleus"):
            raise DarkroomError(f"Words are looked for by beam or nucleus, not by “{value}”.", field=name)
        return value
    if isinstance(default, str):
        text = " ".join(str(value).split())
        if len(text) > MAX_TEXT:
            raise DarkroomError(f"The {name} has {len(text)} characters; {MAX_TEXT} are the most.", field=name)
        return text
    low, high, words = RANGES[name]
    try:
        number = type(default)(value)
    except (TypeError, ValueError):
        raise DarkroomError(f"{words} is “{value}”; it must be a number from {low:g} to {high:g}.", field=name) from None
    if not low <= number <= high:
        raise DarkroomError(f"{words} is {value}; it must be from {low:g} to {high:g}.", field=name)
    return number

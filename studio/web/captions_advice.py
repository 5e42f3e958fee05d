"""What the Captions page advises: the style that the base model reads best, what all captions share, whether the trigger word is known."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from backends.contract.base_models import ModelSource, find_base_model, name_source, parse_source
from backends.contract.errors import DarkroomError
from studio.datasets.known_words import describe_word
from studio.datasets.shared_words import CaptionStyle
from studio.datasets.tokens import Counter
from studio.runs.base_faults import is_cached

# What each family was taught with, and what follows for captions (docs/guide.md).
_PROSE = "Write whole sentences, as you would tell somebody over the phone."
STYLES = {
    "flux": ("sentences", f"Flux was taught with long descriptions. {_PROSE}"),
    "sdxl": ("either", "SDXL reads tags and short sentences alike. Keep to one of them in all captions."),
    "sd15": ("tags", "SD 1.5 reads short captions best: a short sentence, or tags between commas, what matters most first."),
}
_RULE = "Say what is to stay changeable, such as place, pose and light; leave out what is to be learnt."
_MOSTLY = 0.6


def describe_advice(style: CaptionStyle, base: str, kind: str) -> dict[str, Any]:
    """Sentences for a person, and what is shared with its number."""
    model = find_base_model(base)
    shared = [asdict(shared) for shared in style.shared]
    if kind == "pairs":
        return {
            "sentence": "Say what changes, as an order: “make it night”. What stays needs no word.",
            "clash": "",
            "shared": [],
            "written": style.written,
        }
    wants, sentence = STYLES.get(model.family if model else "", ("either", _RULE))
    tagged = style.written > 0 and style.tagged >= _MOSTLY * style.written
    clash = ""
    if wants == "sentences" and tagged:
        clash = f"{style.tagged:,} of {style.written:,} captions are tags. They work less well here than sentences."
    elif wants == "either" and 0.2 < style.tagged / max(1, style.written) < 0.8:
        clash = f"{style.tagged:,} of {style.written:,} captions are tags, the others sentences. One way in all of them is learnt better."
    return {"sentence": f"{sentence} {_RULE}" if sentence != _RULE else _RULE, "clash": clash, "shared": shared, "written": style.written}


def describe_trigger(counter: Counter, word: str, base: str) -> dict[str, Any]:
    """What the base model makes of the word, and whether it can draw it on this machine without a download."""
    name = name_source(base)
    known = describe_word(counter, word, name)
    return {
        "kind": known.kind,
        "sentence": known.sentence,
        "warns": known.warns,
        "base": base,
        "base_name": name,
        "drawable": is_here(base),
    }


def is_here(base: str) -> bool:
    """Whether the base model lies on this machine, with all its parts."""
    try:
        source: ModelSource | None = parse_source(base)
    except DarkroomError:
        return False
    while source is not None:
        if not (is_cached(source.place) if source.kind == "hub" else source.path.exists()):
            return False
        source = source.rest
    return True

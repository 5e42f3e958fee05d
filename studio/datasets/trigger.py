"""The trigger word in one caption: whether it stands there, put in, moved, taken out. Text in, text out."""

from __future__ import annotations

import re
from typing import Literal, get_args

from backends.contract.caption_reading import has_word

Place = Literal["start", "subject", "end", "remove"]
PLACES: tuple[Place, ...] = get_args(Place)
_ARTICLE = re.compile(r"(?:an?|the|one|two|three|this|that)\s", re.IGNORECASE)


# “a bus”, “a photo of a grinning face”: what a captioner calls the thing in the picture, up to where it says more of it.
_KIND = r"(?:(?:an?|the)\s+(?:photo|photograph|picture|image|drawing|painting|illustration|cartoon|close-?up)\s+of\s+)?"
_MORE = r"on|in|at|with|under|near|by|against|over|next|behind|beside|sitting|standing|lying|wearing|holding|looking|that|is|and"
_SUBJECT = re.compile(rf"^({_KIND})(?:an?|the|one)\s+[\w'’-]+(?:\s+[\w'’-]+){{0,3}}?(?=\s+(?:{_MORE})\b|\s*,|\s*$)", re.IGNORECASE)
_BARE = re.compile(rf"^[\w'’-]+(?:\s+[\w'’-]+){{0,2}}?(?=\s+(?:{_MORE})\b|\s*,|\s*$)", re.IGNORECASE)


def has_trigger_word(text: str, word: str) -> bool:
    """Whether the word stands in the caption as a word of its own, in any case of letters."""
    return has_word(text, word)


def find_subject(text: str) -> str:
    """What a caption calls the thing in the picture: “a photo of a red bus on a road” -> `a red bus`, “cheese on a plate” -> `cheese`."""
    found = _SUBJECT.match(text.strip())
    if found:
        return found[0].removeprefix(found[1])
    bare = _BARE.match(text.strip())
    return bare[0] if bare else ""


def suggest_trigger_word(name: str) -> str:
    """A trigger word taken from a data set's name where that is one plain word, such as Zog; else nothing."""
    word = name.strip().lower()
    return word if re.fullmatch(r"[a-z][a-z0-9]{1,19}", word) else ""


def with_trigger_word(text: str, word: str, place: Place | str = "start") -> str:
    """The caption with the trigger word at `place` (start, end), as its subject (subject), or without it (remove).

    As the subject it takes the place of the thing that the caption names first: “a bus on a red wall” becomes “zog on a
    red wall”. A captioner cannot know what is being taught, so that its own name for it only misleads.

    A word that is part of the sentence (“a photo of zog on red”) stays where it is; one that stands at an end, or alone
    between commas, moves.
    """
    word = " ".join(word.split())
    if not word:
        return text
    if place == "remove":
        return without_trigger_word(text, word)
    rest, before = _without_loose(text, word), text
    while rest != before:
        rest, before = _without_loose(rest, word), rest
    if has_trigger_word(rest, word):
        return rest
    if not rest:
        return word
    if place == "end":
        return f"{rest}, {word}"
    if place == "subject":
        named = _SUBJECT.sub(lambda found: found[1] + word, rest, count=1)
        if named == rest and has_trigger_word(text, word):
            return text
        if named != rest and not _names_another(named, word):
            return named
    # “zog on a red background” reads on; “zog a cat on a roof” does not.
    return f"{word}, {rest}" if _ARTICLE.match(rest) else f"{word} {rest}"


def without_trigger_word(text: str, word: str) -> str:
    """The caption without any occurrence of the word, and without the commas and spaces that it leaves."""
    return _mend(_pattern(word).sub(" ", text)) if word else text


def _names_another(text: str, word: str) -> bool:
    """Whether a caption such as “zog, a red” would read as one whose thing was not named by the word yet: “a wall, a red” becomes it."""
    rest = _without_loose(text, word)
    return rest != text and bool(_SUBJECT.match(rest))


def _without_loose(text: str, word: str) -> str:
    escaped = re.escape(word)
    loose = rf"^\s*{escaped}(?!\w)\s*,?|,?\s*(?<!\w){escaped}\s*$|(?<=,)\s*{escaped}\s*,"
    # A sentence such as “a photo of zog” ends in the word and needs it: only a comma before it makes it loose.
    sentence_end = re.search(rf"[^\s,]\s+{escaped}\s*$", text, re.IGNORECASE)
    if sentence_end and not re.match(rf"\s*{escaped}(?!\w)", text, re.IGNORECASE):
        loose = rf"^\s*{escaped}(?!\w)\s*,?|(?<=,)\s*{escaped}\s*,"
    return _mend(re.sub(loose, " ", text, flags=re.IGNORECASE))


def _pattern(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)


def _mend(text: str) -> str:
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"\s*,(?:\s*,)+", ",", text)
    text = re.sub(r"\s+([,.;:!?])", r"\1", text)
    return text.strip(" ,").strip()

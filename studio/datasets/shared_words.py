"""What is the same in nearly every caption: words that always stand there may become part of what is learnt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from backends.contract.caption_reading import split_tags
from studio.datasets.index import PictureIndex
from studio.datasets.trigger import has_trigger_word
from studio.datasets.words import SMALL

SHARE = 0.8  # of the captions with words
_FEWEST = 5  # captions; of fewer nothing can be said
_LONGEST = 6  # words
_MOST = 6  # phrases that are told
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_WORDS_A_TAG = 3.5  # at most, on average, between the commas of captions made of tags


@dataclass(frozen=True)
class Shared:
    """A phrase, and in how many of the captions it stands."""

    phrase: str
    count: int


@dataclass(frozen=True)
class CaptionStyle:
    """How many captions have words, how many of these are tags between commas rather than sentences, and what nearly all share."""

    written: int
    tagged: int
    shared: tuple[Shared, ...]


def describe_style(index: PictureIndex, trigger_word: str = "") -> CaptionStyle:
    """Goes through all captions twice: once for the words that nearly all have, once for the phrases that these make."""
    written = tagged = 0
    counts: Counter[str] = Counter()
    for _, text in index.texts(_WHERE):
        written += 1
        tagged += is_tagged(text)
        counts.update({word for part in _parts(text) for word in part})
    least = SHARE * written
    frequent = {word for word, count in counts.items() if count >= least and not has_trigger_word(word, trigger_word)}
    if written < _FEWEST or not frequent - SMALL:
        return CaptionStyle(written, tagged, ())
    phrases: Counter[str] = Counter()
    for _, text in index.texts(_WHERE):
        phrases.update({phrase for part in _parts(text) for phrase in _phrases(part, frequent)})
    found = sorted(
        ((phrase, count) for phrase, count in phrases.items() if count >= least), key=lambda p: (-len(p[0].split()), -p[1], p[0])
    )
    kept: list[Shared] = []
    for phrase, count in found:  # the longest first: “wooden table” says “wooden” and “table” too
        if not any(f" {phrase} " in f" {longer.phrase} " and count <= longer.count * 1.05 for longer in kept):
            kept.append(Shared(phrase, count))
    return CaptionStyle(written, tagged, tuple(sorted(kept, key=lambda s: (-s.count, s.phrase))[:_MOST]))


def is_tagged(text: str) -> bool:
    """Whether a caption is tags between commas rather than a sentence: three parts or more, of few words each."""
    tags = split_tags(text)
    return len(tags) >= 3 and sum(len(tag.split()) for tag in tags) / len(tags) <= _WORDS_A_TAG


def _parts(text: str) -> Iterator[list[str]]:
    for part in re.split(r"[,;.:!?\n]", text.casefold()):
        yield _WORD.findall(part)


def _phrases(words: list[str], frequent: set[str]) -> Iterator[str]:
    """All runs of frequent words that begin and end with one that says something."""
    for start, first in enumerate(words):
        if first in SMALL or first not in frequent:
            continue
        for end in range(start, min(len(words), start + _LONGEST)):
            if words[end] not in frequent:
                break
            if words[end] not in SMALL:
                yield " ".join(words[start : end + 1])


_WHERE = "missing = '' AND text <> ''"

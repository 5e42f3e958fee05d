"""Drafting instructions for many pairs: from the pictures where they tell, else from what a captioner says of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from studio.datasets.drafts import draft_from_captions, draft_from_pictures
from studio.datasets.rows import Picture
from studio.workers.captioner import CaptionReply

NO_CAPTIONER = "none"


@dataclass(frozen=True)
class Draft:
    """What came of one pair: words, nothing (`text` is empty), or why it could not be looked at."""

    pair: Picture
    text: str
    error: str = ""


def draft_pairs(folder: Path, pairs: Sequence[Picture], describe: Callable[[list[Path]], Iterable[CaptionReply]] | None) -> Iterator[Draft]:
    """A draft for each complete pair, the quick ones first.

    Args:
        folder: Of the data set.
        pairs: Without instruction; both pictures there.
        describe: Captions files in their order; None where there is no captioner.
    """
    unsure = []
    for pair in pairs:
        try:
            text = _compare(folder, pair)
        except (OSError, SyntaxError, ValueError):
            yield Draft(pair, "", "One of its pictures cannot be read. Remove the pair and add it again.")
            continue
        if text or describe is None:
            yield Draft(pair, text)
        else:
            unsure.append(pair)
    if unsure and describe is not None:
        yield from _describe(unsure, describe([folder / image.file for pair in unsure for image in pair.images]))


def _compare(folder: Path, pair: Picture) -> str:
    opened = []
    for side in pair.images:
        with Image.open(folder / side.file, formats=["PNG"]) as image:
            opened.append(image.convert("RGB"))
    return draft_from_pictures(*opened)


def _describe(pairs: Sequence[Picture], replies: Iterable[CaptionReply]) -> Iterator[Draft]:
    """Replies come in the order of the files: before and after of each pair."""
    first = CaptionReply(-1, "")
    for reply in replies:
        if reply.index % 2 == 0:
            first = reply
            continue
        error = first.error or reply.error
        yield Draft(pairs[reply.index // 2], "" if error else draft_from_captions(first.text, reply.text), error)

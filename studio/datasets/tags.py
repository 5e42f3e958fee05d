"""Captions made of tags between commas: tags added, taken out, renamed, moved or sorted, in all captions or in some."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from backends.contract.caption_reading import split_tags
from backends.contract.errors import DarkroomError
from studio.datasets.caption_files import clean_caption
from studio.datasets.captions import Change, rewrite
from studio.datasets.history import Cause
from studio.datasets.store import DatasetStore
from studio.datasets.trigger import has_trigger_word

Act = Literal["add", "remove", "rename", "move", "sort"]
Tag = Annotated[str, Field(max_length=200)]


class Tagging(BaseModel):
    """What is done to the tags of captions.

    `tag` may be several, with commas between them. They come, or are moved to, the `end`, the `start`, or `second`: behind the
    first tag, which is the trigger word in most captions. `to` is the new name; `sort` orders by the alphabet and leaves the
    tag with the trigger word first.
    """

    act: Act
    tag: Tag = ""
    to: Tag = ""
    place: Literal["start", "second", "end"] = "end"


def change_tags(text: str, wanted: Tagging, trigger_word: str = "") -> str:
    """The caption with its tags changed; the same text where there is nothing to change."""
    tags, named = split_tags(text), split_tags(wanted.tag)
    keys = {tag.casefold() for tag in named}
    rest = [tag for tag in tags if tag.casefold() not in keys]
    if wanted.act == "add":
        here = {tag.casefold() for tag in tags}
        changed = _insert(tags, [tag for tag in named if tag.casefold() not in here], wanted.place)
    elif wanted.act == "remove":
        changed = rest
    elif wanted.act == "rename":
        changed = list(dict.fromkeys(part for tag in tags for part in (split_tags(wanted.to) if tag.casefold() in keys else [tag])))
    elif wanted.act == "move":
        changed = _insert(rest, [tag for tag in tags if tag.casefold() in keys], wanted.place)
    else:
        changed = sorted(tags, key=lambda tag: (not has_trigger_word(tag, trigger_word), tag.casefold()))
    return text if changed == tags else ", ".join(changed)


def preview_tags(store: DatasetStore, dataset_id: str, wanted: Tagging, among: Collection[int] | None = None) -> Iterator[Change]:
    """The captions that would change, before and after. Nothing is written.

    Pictures without a caption stay without, unless `among` names them: a lone tag would hide that nothing is said.

    Raises:
        DarkroomError: When no tag is given, or a caption would grow too long.
    """
    if wanted.act != "sort" and not split_tags(wanted.tag):
        raise DarkroomError("Write a tag, such as smiling.", field="tag")
    if wanted.act == "rename" and not split_tags(wanted.to):
        raise DarkroomError("Write what the tag is to be called.", field="to")
    word, _ = store.trigger(dataset_id)
    for place, text in store.index(dataset_id).texts("missing = ''" + ("" if among is not None else " AND text <> ''")):
        if among is None or place in among:
            after = change_tags(text, wanted, word)
            if after != text:
                yield Change(place, text, clean_caption(after), 1)


def retag(store: DatasetStore, dataset_id: str, wanted: Tagging, among: Collection[int] | None = None) -> str:
    """Changes in all captions what `preview_tags` shows; the token undoes it."""
    found = preview_tags(store, dataset_id, wanted, among)
    where = {"start": "first", "second": "second", "end": "last"}[wanted.place]
    detail = {
        "add": f"“{wanted.tag}” added {where}",
        "remove": f"“{wanted.tag}” taken out",
        "rename": f"“{wanted.tag}” becomes “{wanted.to}”",
        "move": f"“{wanted.tag}” moved to be {where}",
        "sort": "sorted by the alphabet",
    }[wanted.act]
    return rewrite(store, dataset_id, ((c.place, c.before, c.after) for c in found), Cause("tags", many=True, detail=detail))


def _insert(tags: list[str], new: list[str], place: str) -> list[str]:
    at = {"start": 0, "second": min(1, len(tags)), "end": len(tags)}[place]
    return [*tags[:at], *new, *tags[at:]]

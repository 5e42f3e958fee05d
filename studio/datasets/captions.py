"""Captions: saved one by one or changed together, each change with a way back. A person's words win over a machine's."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import regex

from backends.contract.errors import DarkroomError
from studio.datasets.caption_files import clean_caption
from studio.datasets.history import Act, Cause, Entry, entries_of, read_act, read_acts, read_entries, read_entry
from studio.datasets.rows import Picture, TextBy
from studio.datasets.search import REGEX_S, build_pattern, too_slow
from studio.datasets.store import DatasetStore, found_picture
from studio.datasets.trigger import Place, with_trigger_word, without_trigger_word

__all__ = ["CaptionConflict", "Change", "with_trigger_word"]
_QUIET_WORDS = "a an the of on in at with and or to is are it its by for from this that"
_QUIET = frozenset(_QUIET_WORDS.split())
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


class CaptionConflict(DarkroomError):
    """Somebody changed the caption since it was read; `picture` is how it stands now."""

    def __init__(self, text: str, picture: Picture) -> None:
        super().__init__(text)
        self.picture = picture


@dataclass(frozen=True)
class Change:
    """What a change would do to one caption."""

    place: int
    before: str
    after: str
    count: int


def set_caption(
    store: DatasetStore,
    dataset_id: str,
    picture_id: str,
    text: str,
    version: int | None,
    *,
    by: Literal["person", "captioner", "draft"] = "person",
    cause: Cause | None = None,
) -> int:
    """Saves a caption and returns its new version; `version` is the one that the writer saw (None: whatever is there).

    Words of a person that are refused are kept in the caption's history.

    Raises:
        CaptionConflict: When it has changed since, or a captioner would overwrite what a person wrote.
        DarkroomError: When it is longer than 2,000 characters, or the picture is gone.
    """
    clean = clean_caption(text)
    store.workspace.dataset(dataset_id)
    cause = cause or Cause("hand" if by == "person" else "captioner")
    with store.index(dataset_id).change(cause) as rows:
        row = found_picture(rows.get(picture_id), picture_id)
        if clean == row.text and (by == row.text_by or not clean):
            return row.version  # saving again what is there is no conflict
        if version is None or version == row.version:
            if by != "person" and row.text and row.text_by in ("person", "file"):
                raise CaptionConflict(f"“{row.name}” has words of your own; a captioner does not overwrite them.", row)
            return rows.say(row, clean, by if clean else "")
        if by == "person" and clean:
            rows.set_aside(row, clean)
    raise CaptionConflict(f"The caption of “{row.name}” was changed elsewhere. Look at it, then save yours or keep the other.", row)


def restore_caption(store: DatasetStore, dataset_id: str, picture_id: str, number: int, writer: str = "") -> int:
    """Gives a caption back what stood in it before one of its changes (see `caption_history`); its new version."""
    index = store.index(dataset_id)
    row = store.picture(dataset_id, picture_id)
    with index.read() as table:
        entry = read_entry(table, row.place, number)
    if entry is None:
        raise DarkroomError("This older caption is no longer kept. Choose another, or write it anew.")
    with index.change(Cause("restore", writer=writer)) as rows:
        now = found_picture(rows.get(picture_id), picture_id)
        return now.version if now.text == entry.text else rows.say(now, entry.text, "person" if entry.text else "")


def caption_history(store: DatasetStore, dataset_id: str, picture_id: str) -> list[Entry]:
    """The last 50 changes of a caption, the newest first; each with what it read before."""
    row = store.picture(dataset_id, picture_id)
    with store.index(dataset_id).read() as table:
        return read_entries(table, row.place)


def list_changes(store: DatasetStore, dataset_id: str) -> list[Act]:
    """The last 20 changes of many captions, the newest first; those that were undone too."""
    store.workspace.dataset(dataset_id)
    with store.index(dataset_id).read() as table:
        return read_acts(table)


def set_trigger_word(
    store: DatasetStore, dataset_id: str, word: str, place: Place, pids: Collection[str] | None = None, among: Collection[int] | None = None
) -> str:
    """Puts the trigger word at the start or the end of captions, moves it there, or takes it out; the token undoes it.

    Pictures without a caption stay without, unless `pids` names them: a lone trigger word would hide that nothing is said.
    A former trigger word of the data set gives way to the new one. `among` are the only places that are changed.
    """
    before = store.info(dataset_id)
    word = clean_caption(word) or before.trigger_word
    if not word:
        raise DarkroomError("There is no trigger word yet. Write one, such as zog, then place it.", field="trigger_word")
    former = before.trigger_word if before.trigger_word.casefold() != word.casefold() else ""
    texts = {}
    for row in store.index(dataset_id).rows():
        named = pids is None or row.id in pids
        if named and (among is None or row.place in among) and (row.text or pids is not None):
            text = without_trigger_word(row.text, former) if former and place != "remove" else row.text
            texts[row.id] = with_trigger_word(text, word, place)
    where = {"start": "first", "subject": "as the subject", "end": "last", "remove": "taken out"}[place]
    head = {"trigger_word": before.trigger_word, "trigger_place": before.trigger_place}
    token = change_captions(store, dataset_id, texts, cause=Cause("trigger", many=True, detail=f"“{word}” {where}", head=head))
    if place != "remove":
        store.update(dataset_id, trigger_word=word, trigger_place=place)
    elif before.trigger_word.casefold() == word.casefold():
        store.update(dataset_id, trigger_word="", trigger_place="subject")
    return token


def preview_replace(
    store: DatasetStore,
    dataset_id: str,
    find: str,
    replacement: str,
    *,
    regex: bool = False,
    match_case: bool = False,
    among: Collection[int] | None = None,
) -> Iterator[Change]:
    """The captions that would change, before and after, one by one. Nothing is written. `among` are the only places that are looked at.

    Raises:
        DarkroomError: When the pattern is not a regular expression, takes more than 2 s, or a caption would grow too long.
    """
    pattern = build_pattern(find, is_regex=regex, match_case=match_case)
    spent = 0.0
    for place, text in store.index(dataset_id).texts("missing <> 'both' AND text <> ''"):
        if among is not None and place not in among:
            continue
        begun = time.thread_time()
        after, count = _substitute(pattern, replacement, text, is_regex=regex, left_s=REGEX_S - spent)
        spent += time.thread_time() - begun  # of the expression alone: neither a busy machine nor who looks at the changes is its fault
        after = clean_caption(_tidy(after)) if count else text
        if after != text:
            yield Change(place, text, after, count)


def replace(
    store: DatasetStore,
    dataset_id: str,
    find: str,
    replacement: str,
    *,
    regex: bool = False,
    match_case: bool = False,
    among: Collection[int] | None = None,
) -> str:
    """Replaces in all captions what `preview_replace` shows; the token undoes it. The results count as a person's words."""
    found = preview_replace(store, dataset_id, find, replacement, regex=regex, match_case=match_case, among=among)
    detail = f"“{find}” taken out" if not replacement else f"“{find}” becomes “{replacement}”"
    return rewrite(store, dataset_id, ((c.place, c.before, c.after) for c in found), Cause("replace", many=True, detail=detail))


def rewrite(store: DatasetStore, dataset_id: str, changes: Iterable[tuple[int, str, str]], cause: Cause) -> str:
    """Writes many captions in one step, by a person; the token undoes it.

    Args:
        store: Where the data set is.
        dataset_id: Which one.
        changes: Place, the words as they were read, and the new ones. Where others stand there by now, these stay.
        cause: What changes them.
    """
    store.workspace.dataset(dataset_id)
    made = list(changes)  # all is known to be right before the first is written
    with store.index(dataset_id).change(cause) as rows:
        for place, before, after in made:
            row = rows.at(place)
            if row is not None and row.text == before != after:
                rows.say(row, after, "person" if after else "")
    return rows.history.token


def change_captions(
    store: DatasetStore, dataset_id: str, texts: Mapping[str, str], *, by: TextBy | None = None, cause: Cause | None = None
) -> str:
    """Writes many captions in one step and returns the token that undoes it.

    Args:
        store: Where the data set is.
        dataset_id: Which one.
        texts: Picture id -> new caption.
        by: Who wrote them; None keeps who it was. The same words by somebody else are a change: a person may confirm a draft.
        cause: What changes them.
    """
    store.workspace.dataset(dataset_id)
    clean = {picture_id: clean_caption(text) for picture_id, text in texts.items()}
    with store.index(dataset_id).change(cause or Cause("say", many=True)) as rows:
        for row in (rows.get(picture_id) for picture_id in clean):
            if row is None:
                continue  # taken out meanwhile
            source: TextBy = (by if by is not None else row.text_by or "person") if clean[row.id] else ""
            if clean[row.id] != row.text or (by is not None and source != row.text_by):
                rows.say(row, clean[row.id], source)
    return rows.history.token


def undo(store: DatasetStore, dataset_id: str, token: str) -> int:
    """Takes back a change of many captions (or any other step on the rows); captions edited since stay. Says how many went back."""
    if not token.startswith("caption-"):
        return store.undo(dataset_id, token)
    store.workspace.dataset(dataset_id)
    index, count = store.index(dataset_id), 0
    with index.read() as table:
        act = read_act(table, token)
        olds = list(entries_of(table, act.act)) if act else []
    if act is None or act.undone:
        raise DarkroomError("This can no longer be undone: it was undone already, or too much has changed since.")
    with index.change(Cause("undo", detail=act.detail)) as rows:
        for place, text, text_by, version in olds:
            row = rows.at(place)
            if row is not None and row.version == version:
                rows.history.lead_on(place, version - 1, rows.say(row, text, text_by))
                count += 1
        rows.mark_undone(act.act)
    if act.head:
        store.update(dataset_id, **act.head)
    return count


def find_words(text: str) -> set[str]:
    """The words of a caption in small letters, without a, the, of..."""
    return {w.casefold() for w in _WORD.findall(text)} - _QUIET


def _substitute(pattern: regex.Pattern[str], replacement: str, text: str, *, is_regex: bool, left_s: float) -> tuple[str, int]:
    try:
        return pattern.subn(replacement if is_regex else lambda _: replacement, text, timeout=max(0.01, left_s))
    except TimeoutError:
        raise too_slow(pattern) from None
    except (regex.error, IndexError) as error:
        raise DarkroomError(f"The replacement does not fit the pattern: {error}.", field="replace") from None


def _tidy(text: str) -> str:
    """Mends what taking a word out leaves behind: doubled, leading and trailing commas."""
    return re.sub(r"(?:\s*,)+(?=\s*,)", "", text).strip().strip(",").strip()

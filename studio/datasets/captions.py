"""Captions: saved one by one or changed together, each change with a way back. A person's words win over a machine's."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from dataclasses import replace as changed_copy
from typing import Literal

import regex

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets.caption_files import clean_caption
from studio.datasets.rows import Picture, TextBy
from studio.datasets.store import DatasetStore, found_picture
from studio.datasets.trigger import Place, with_trigger_word, without_trigger_word
from studio.workspace import safe_id

__all__ = ["CaptionConflict", "Change", "WordCount", "with_trigger_word"]
_REGEX_S = 2.0
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

    picture_id: str
    name: str
    before: str
    after: str
    count: int


@dataclass(frozen=True)
class WordCount:
    """In how many captions a word stands, and in which."""

    word: str
    count: int
    picture_ids: list[str]


def set_caption(
    store: DatasetStore,
    dataset_id: str,
    picture_id: str,
    text: str,
    version: int | None,
    by: Literal["person", "captioner", "draft"] = "person",
) -> int:
    """Saves a caption and returns its new version; `version` is the one that the writer saw (None: whatever is there).

    Raises:
        CaptionConflict: When it has changed since, or a captioner would overwrite what a person wrote.
        DarkroomError: When it is longer than 2,000 characters, or the picture is gone.
    """
    clean = clean_caption(text)
    store.workspace.dataset(dataset_id)
    with store.index(dataset_id).change() as rows:
        row = found_picture(rows.get(picture_id), picture_id)
        if clean == row.text and (by == row.text_by or not clean):
            return row.version  # saving again what is there is no conflict
        if version is not None and version != row.version:
            raise CaptionConflict(f"The caption of “{row.name}” was changed elsewhere. Look at it, then save yours or keep the other.", row)
        if by != "person" and row.text and row.text_by in ("person", "file"):
            raise CaptionConflict(f"“{row.name}” has words of your own; a captioner does not overwrite them.", row)
        source: TextBy = by if clean else ""
        rows.put(changed_copy(row, text=clean, text_by=source, version=row.version + 1))
        return row.version + 1


def set_trigger_word(store: DatasetStore, dataset_id: str, word: str, place: Place, pids: Collection[str] | None = None) -> str:
    """Puts the trigger word at the start or the end of captions, moves it there, or takes it out; the token undoes it.

    Pictures without a caption stay without, unless `pids` names them: a lone trigger word would hide that nothing is said.
    A former trigger word of the data set gives way to the new one.
    """
    before = store.info(dataset_id)
    word = clean_caption(word) or before.trigger_word
    if not word:
        raise DarkroomError("There is no trigger word yet. Write one, such as zog, then place it.", field="trigger_word")
    former = before.trigger_word if before.trigger_word.casefold() != word.casefold() else ""
    texts = {}
    for row in store.index(dataset_id).rows():
        if (row.text or pids is not None) and (pids is None or row.id in pids):
            text = without_trigger_word(row.text, former) if former and place != "remove" else row.text
            texts[row.id] = with_trigger_word(text, word, place)
    token = change_captions(store, dataset_id, texts, trigger=(before.trigger_word, before.trigger_place))
    if place != "remove":
        store.update(dataset_id, trigger_word=word, trigger_place=place)
    elif before.trigger_word.casefold() == word.casefold():
        store.update(dataset_id, trigger_word="", trigger_place="subject")
    return token


def preview_replace(
    store: DatasetStore, dataset_id: str, find: str, replacement: str, *, regex: bool = False, match_case: bool = False
) -> list[Change]:
    """The captions that would change, before and after. Nothing is written.

    Raises:
        DarkroomError: When the pattern is not a regular expression, takes more than 2 s, or a caption would grow too long.
    """
    pattern = _build_pattern(find, is_regex=regex, match_case=match_case)
    deadline = time.monotonic() + _REGEX_S
    changes = []
    for row in store.index(dataset_id).rows():
        after, count = _substitute(pattern, replacement, row.text, is_regex=regex, left_s=deadline - time.monotonic())
        after = clean_caption(_tidy(after)) if count else row.text
        if after != row.text:
            changes.append(Change(row.id, row.name, row.text, after, count))
    return changes


def replace(store: DatasetStore, dataset_id: str, find: str, replacement: str, *, regex: bool = False, match_case: bool = False) -> str:
    """Replaces in all captions what `preview_replace` shows; the token undoes it. The results count as a person's words."""
    changes = preview_replace(store, dataset_id, find, replacement, regex=regex, match_case=match_case)
    return change_captions(store, dataset_id, {c.picture_id: c.after for c in changes}, by="person")


def change_captions(
    store: DatasetStore, dataset_id: str, texts: Mapping[str, str], *, by: TextBy | None = None, trigger: tuple[str, str] | None = None
) -> str:
    """Writes many captions in one step and returns the token that undoes it.

    Args:
        texts: Picture id -> new caption.
        by: Who wrote them; None keeps who it was. The same words by somebody else are a change: a person may confirm a draft.
        trigger: Trigger word and place to go back to on undo.
    """
    folder = store.workspace.dataset(dataset_id)
    clean = {picture_id: clean_caption(text) for picture_id, text in texts.items()}
    token = f"caption-{time.time_ns():x}-{secrets.token_hex(3)}"
    before = {}
    with store.index(dataset_id).change() as rows:
        for row in (rows.get(picture_id) for picture_id in clean):
            if row is None:
                continue  # taken out meanwhile
            source: TextBy = (by if by is not None else row.text_by or "person") if clean[row.id] else ""
            if clean[row.id] == row.text and (by is None or source == row.text_by):
                continue
            rows.put(changed_copy(row, text=clean[row.id], text_by=source, version=row.version + 1))
            before[row.id] = {"text": row.text, "by": row.text_by, "version": row.version + 1}
        (folder / ".undo").mkdir(exist_ok=True)
        files.write_json(folder / ".undo" / f"{token}.json", {"before": before, "trigger": trigger})
    return token


def undo(store: DatasetStore, dataset_id: str, token: str) -> int:
    """Takes back a change of many captions (or any other step on the rows); captions edited since stay. Says how many went back."""
    if not token.startswith("caption-"):
        return store.undo(dataset_id, token)
    path = store.workspace.dataset(dataset_id) / ".undo" / f"{safe_id(token, 'change')}.json"
    step = files.read_json(path)
    if not isinstance(step, dict):
        raise DarkroomError("This can no longer be undone: it was undone already, or it is more than 30 days old.")
    count = 0
    with store.index(dataset_id).change() as rows:
        for picture_id, old in step["before"].items():
            row = rows.get(picture_id)
            if row is not None and old["version"] == row.version:
                rows.put(changed_copy(row, text=old["text"], text_by=old["by"], version=row.version + 1))
                count += 1
    path.unlink(missing_ok=True)
    if step.get("trigger"):
        word, place = step["trigger"]
        store.update(dataset_id, trigger_word=word, trigger_place=place)
    return count


def count_words(store: DatasetStore, dataset_id: str, limit: int | None = None) -> list[WordCount]:
    """The words of all captions with the number of captions they stand in, the most frequent first; a, the, of... are left out."""
    found: dict[str, list[str]] = {}
    for row in store.index(dataset_id).rows():
        for word in find_words(row.text):
            found.setdefault(word, []).append(row.id)
    counts = [WordCount(word, len(ids), ids) for word, ids in found.items()]
    return sorted(counts, key=lambda c: (-c.count, c.word))[:limit]


def find_words(text: str) -> set[str]:
    """The words of a caption in small letters, without a, the, of..."""
    return {w.casefold() for w in _WORD.findall(text)} - _QUIET


def _build_pattern(find: str, *, is_regex: bool, match_case: bool) -> regex.Pattern[str]:
    if not find:
        raise DarkroomError("Write what is to be found.", field="find")
    flags = regex.V1 | (0 if match_case else regex.IGNORECASE)
    try:
        return regex.compile(find if is_regex else regex.escape(find), flags)
    except regex.error as error:
        raise DarkroomError(
            f"“{find}” is not a regular expression: {error}. Switch it off to find the text as it stands.", field="find"
        ) from None


def _substitute(pattern: regex.Pattern[str], replacement: str, text: str, *, is_regex: bool, left_s: float) -> tuple[str, int]:
    try:
        return pattern.subn(replacement if is_regex else lambda _: replacement, text, timeout=max(0.01, left_s))
    except TimeoutError:
        raise DarkroomError(
            f"“{pattern.pattern}” takes more than {_REGEX_S:g} s on these captions. Write it simpler.", field="find"
        ) from None
    except (regex.error, IndexError) as error:
        raise DarkroomError(f"The replacement does not fit the pattern: {error}.", field="replace") from None


def _tidy(text: str) -> str:
    """Mends what taking a word out leaves behind: doubled, leading and trailing commas."""
    return re.sub(r"(?:\s*,)+(?=\s*,)", "", text).strip().strip(",").strip()

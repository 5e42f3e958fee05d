"""Words in files: what encoding, which picture they belong to, lists of them, and those that came before their picture."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets.index import hold_lock
from studio.datasets.rows import Picture
from studio.datasets.store import DatasetStore
from studio.datasets.table import words_key

MAX_CHARACTERS = 2000
_MAX_FILE_BYTES = 64_000
_MAX_WAITING = 100_000
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the start of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def clean_caption(text: str) -> str:
    """`text` on one line, in NFC, without control characters.

    Raises:
        DarkroomError: When more than 2,000 characters are left.
    """
    text = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))
    text = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text if c != "\ufeff")
    text = " ".join(text.split())
    if len(text) > MAX_CHARACTERS:
        raise DarkroomError(
            f"The caption has {len(text):,} characters; at most {MAX_CHARACTERS:,} are kept, and models read far fewer. Shorten it."
        )
    return text


def decode_text(data: bytes) -> str:
    """The text in `data`: by its byte order mark, else UTF-8, else UTF-16 where every second byte is zero, else Windows-1252."""
    try:
        for mark, encoding in _MARKS:
            if data.startswith(mark):
                return data.decode(encoding)
        for encoding, high, low in (("utf-16-le", data[1:4000:2], data[:4000:2]), ("utf-16-be", data[:4000:2], data[1:4000:2])):
            if len(data) % 2 == 0 and high and 2 * high.count(0) > len(high) and not low.count(0):
                return data.decode(encoding)
        return data.decode("utf-8")
    except UnicodeDecodeError:
        try:
            return data.decode("cp1252")
        except UnicodeDecodeError:
            return data.decode("latin-1")


def read_caption(path: Path) -> str:
    """The caption in a text file.

    Raises:
        DarkroomError: When it is too long to be one.
    """
    size = path.stat().st_size
    if size > _MAX_FILE_BYTES:
        raise DarkroomError(f"The text file has {size / 1000:,.0f} kB; a caption has at most {MAX_CHARACTERS:,} characters. Shorten it.")
    return clean_caption(decode_text(path.read_bytes()))


def caption_names(picture_name: str) -> list[str]:
    """Names that a caption file of this picture may have, the surest first: `a.jpg.txt` belongs to one, `a.txt` to all `a`."""
    stem = str(PurePosixPath(picture_name).with_suffix("")) if PurePosixPath(picture_name).suffix else picture_name
    return [f"{picture_name}.txt", f"{stem}.txt", f"{stem}.caption"]


def choose_caption(texts: dict[str, str], picture_name: str) -> str:
    """The caption of this picture among `texts` (by file name), or nothing."""
    return next((texts[n] for n in caption_names(picture_name) if texts.get(n)), "")


def give_captions(store: DatasetStore, dataset_id: str, texts: dict[str, str]) -> dict[str, tuple[Picture | None, bool]]:
    """Writes captions that came as files to the pictures they name; those without a picture wait for it.

    Returns:
        By file name: the picture (None: it waits), and whether a person's own words were there and stayed.
    """
    if not texts:
        return {}
    given: dict[str, tuple[Picture | None, bool]] = {name: (None, False) for name in texts}
    with store.index(dataset_id).change() as rows:
        keys = {key for name in texts for key in (words_key(name), words_key(name.removesuffix(".txt")))}
        for row in {row.id: row for key in keys for row in rows.with_words_key(key)}.values():
            name = next((n for n in caption_names(row.name) if n in texts), None)
            if name is not None:
                changed, kept = with_words_of_file(row, texts[name])
                if changed is not row:
                    rows.put(changed)
                given[name] = (changed, kept)
    add_waiting(store, dataset_id, {n: texts[n] for n, (picture, _) in given.items() if picture is None})
    return given


def with_words_of_file(row: Picture, text: str) -> tuple[Picture, bool]:
    """The row with words that came in a file, and whether a person's own words were there and stayed."""
    if row.text_by == "person" and row.text and row.text != text:
        return row, True
    if row.text == text:
        return row, False
    return replace(row, text=text, text_by="file" if text else "", version=row.version + 1), False


def take_waiting(store: DatasetStore, dataset_id: str, picture_names: Collection[str]) -> dict[str, str]:
    """Captions by picture name that came before these pictures."""
    path = _waiting_path(store, dataset_id)
    if not picture_names or not path.is_file():
        return {}
    status = path.stat()
    waiting, by_end = _read_known(path, status.st_mtime_ns, status.st_size)
    found = {}
    for name in picture_names:
        text = choose_caption(waiting, name)
        if not text and "/" not in name:  # one that came alone has lost the folder under which a list names it
            full = next((by_end[n] for n in caption_names(name) if by_end.get(n)), "")
            text = waiting.get(full, "")
        if text:
            found[name] = text
    return found


@lru_cache(maxsize=1)  # of a list of fifty thousand it is asked for each picture
def _read_known(path: Path, time_ns: int, size: int) -> tuple[dict[str, str], dict[str, str]]:
    """The words that wait by file name; and by the last part of it the whole name, nothing where several end so."""
    waiting = dict(files.read_json(path, {}))
    by_end: dict[str, str] = {}
    for name in waiting:
        end = name.rpartition("/")[2]
        by_end[end] = "" if end in by_end else name
    return waiting, by_end


def read_waiting(store: DatasetStore, dataset_id: str) -> dict[str, str]:
    """Words that came before what they belong to, by the name of their file."""
    return dict(files.read_json(_waiting_path(store, dataset_id), {}))


def add_waiting(store: DatasetStore, dataset_id: str, texts: dict[str, str]) -> None:
    """Keeps words until what they belong to comes."""
    if not texts:
        return
    path = _waiting_path(store, dataset_id)
    with hold_lock(path.parent / ".lock"):
        waiting = files.read_json(path, {}) | texts
        files.write_json(path, dict(list(waiting.items())[-_MAX_WAITING:]))


def _waiting_path(store: DatasetStore, dataset_id: str) -> Path:
    return store.workspace.dataset(dataset_id) / "waiting_captions.json"

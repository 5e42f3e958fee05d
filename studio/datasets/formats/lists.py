"""Lists of pictures or pairs, whatever they are called: JSON lines, a JSON list of objects, CSV or TSV; known by what stands in them.

They are read line by line: a list of fifty thousand rows costs no more memory than one of fifty.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from backends.contract.errors import DarkroomError
from backends.contract.judging import HELD_OUT
from studio.datasets.formats.columns import Columns, Kind, choose_columns
from studio.datasets.names import PICTURE_SUFFIXES, fold_name
from studio.datasets.pair_names import find_columns

LISTS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
FILE_NAME = "file_name"
STANDARD = ("metadata.jsonl", "metadata.csv")
_LOOK_ROWS, _MOST_FILES = 100, 0.8
_CHUNK, _LARGEST = 1 << 16, 1 << 20  # letters that are read at once, and that one object may have
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"))
_MARKS16 = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
Line = tuple[int, dict[str, Any]]


def is_list(name: str, path: Path) -> bool:
    """Whether a file lists pictures: by its name where that is the usual one, else because a column names picture files."""
    lower = fold_name(PurePosixPath(name).name)
    if lower in STANDARD:
        return True
    if not lower.endswith(LISTS):
        return False
    try:
        return "picture" in read_kinds(name, path).values()
    except (ValueError, csv.Error, OSError):
        return False


def read_kinds(name: str, path: Path) -> dict[str, Kind]:
    """What each column of a list holds, by its first hundred rows: names of picture files, words, or something else.

    Raises:
        ValueError, csv.Error: When it is no list.
    """
    values: dict[str, list[Any]] = {}
    try:
        for _, line in islice(read_lines(name, path), _LOOK_ROWS):
            for column, value in line.items():
                values.setdefault(str(column), []).append(value)
    except ValueError:
        if not values:  # else a later row is torn, and whoever reads it says which
            raise
    known = find_columns(values)
    always = {known[0], known[2]} if known else {FILE_NAME}
    marks: dict[str, Kind] = {column: "mark" for column in values if column == HELD_OUT}
    return {column: "picture" if column in always else marks.get(column) or _kind_of(found) for column, found in values.items()}


def read_columns(name: str, path: Path) -> Columns:
    """Which columns name the pictures and hold the words, where their names tell.

    Raises:
        DarkroomError: When the names do not tell; says what there is.
        ValueError, csv.Error: When it is no list.
    """
    kinds = read_kinds(name, path)
    if "picture" not in kinds.values():
        raise ValueError("no column of it names picture files")
    known, mark = find_columns(kinds), HELD_OUT if HELD_OUT in kinds else ""
    if known:
        return Columns((known[0], known[2]), known[1] if known[1] in kinds else "", held_out=mark)
    if FILE_NAME in kinds:
        return Columns((FILE_NAME,), choose_columns(kinds, [FILE_NAME]).words, held_out=mark)
    return choose_columns(kinds)


def read_examples(name: str, path: Path, columns: Mapping[str, Kind], count: int) -> list[dict[str, str]]:
    """The first rows of these columns, as words."""
    return [{column: str(line.get(column) or "") for column in columns} for _, line in islice(read_lines(name, path), count)]


def read_lines(name: str, path: Path) -> Iterator[Line]:
    """Each row with its number: that of its line, or of the object in a JSON list.

    Raises:
        ValueError, csv.Error: When it is no list of this kind.
    """
    lower = fold_name(name)
    with path.open("r", encoding=_find_encoding(path), newline="") as text:
        if lower.endswith((".csv", ".tsv")):
            yield from _read_table(text, tabs=lower.endswith(".tsv"))
        elif lower.endswith(".json") and not _is_lines(text):
            yield from _read_json(text)
        else:
            for number, line in enumerate(text, 1):
                if line.strip():
                    yield number, _row(_parse(line, number))


def _read_table(text: TextIO, *, tabs: bool) -> Iterator[Line]:
    first = text.readline()
    text.seek(0)
    delimiter = "\t" if tabs else max((",", ";", "\t"), key=first.count)
    reader = csv.DictReader(text, delimiter=delimiter)
    for row in reader:
        yield reader.line_num, {str(key): value for key, value in row.items() if key is not None}


def _is_lines(text: TextIO) -> bool:
    """Whether a .json holds JSON lines all the same."""
    first = next((line for line in islice(text, 100) if line.strip()), "")
    text.seek(0)
    try:
        return isinstance(json.loads(first), dict)
    except ValueError:
        return False


def _read_json(text: TextIO) -> Iterator[Line]:
    """The objects of a list, one after the other, without the whole of it in memory."""
    decoder, buffer, ended, number = json.JSONDecoder(), "", False, 0
    while not buffer.strip():
        chunk = text.read(_CHUNK)
        if not chunk:
            raise ValueError("it is empty")
        buffer += chunk
    buffer = buffer.lstrip("\ufeff \t\r\n")
    if not buffer.startswith("["):
        raise ValueError("it is no list")
    buffer = buffer[1:]
    while True:
        buffer = buffer.lstrip(" \t\r\n,")
        if buffer.startswith("]"):
            return
        try:
            value, end = decoder.raw_decode(buffer)
        except ValueError:
            chunk = "" if ended else text.read(_CHUNK)
            if not chunk or len(buffer) > _LARGEST:
                raise ValueError(f"object {number + 1} is not whole") from None
            buffer += chunk
            continue
        buffer, number = buffer[end:], number + 1
        yield number, _row(value)
        if not buffer:
            buffer = text.read(_CHUNK)
            ended = not buffer
            if ended:
                raise ValueError("its end is missing")


def _parse(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        raise ValueError(f"line {number} is not JSON") from None


def _row(value: Any) -> dict[str, Any]:
    """The columns; none where it is no object, which is told with its line as what names no picture."""
    return value if isinstance(value, dict) else {}


def _kind_of(values: list[Any]) -> Kind:
    texts = [value.strip() for value in values if isinstance(value, str) and value.strip()]
    if not texts:
        return "other"
    files = sum(PurePosixPath(text.replace("\\", "/")).suffix.lower() in PICTURE_SUFFIXES and len(text) < 500 for text in texts)
    return "picture" if files >= _MOST_FILES * len(texts) else "words"


def _find_encoding(path: Path) -> str:
    """As `decode_text` decides it, in one pass that keeps nothing."""
    with path.open("rb") as file:
        head = file.read(4000)
        for mark, encoding in (*_MARKS, *_MARKS16):
            if head.startswith(mark):
                return encoding
        for encoding, high, low in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
            if high and 2 * high.count(0) > len(high) and not low.count(0):
                return encoding
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


def refuse_list(name: str, error: Exception) -> DarkroomError:
    """Why a list cannot be read, with what it should be."""
    if isinstance(error, DarkroomError):
        return error
    return DarkroomError(
        f"{name} is not a list of captions or pairs ({error}). Each line needs file_name and text, or two pictures and an instruction; "
        "a .json file holds a list of such objects."
    )

"""What a page's import does beside the page: archives and tables; asks for the columns where their names tell nothing."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from backends.contract.errors import DarkroomError
from studio.datasets.data_jobs import Job
from studio.datasets.formats import tables
from studio.datasets.formats.columns import Columns, Kind, choose_columns
from studio.datasets.formats.lists import LISTS, STANDARD, read_columns, read_examples, read_kinds
from studio.datasets.formats.take_in import ingest_table, is_table
from studio.datasets.incoming import ARCHIVES, Outcome
from studio.datasets.ingest import ingest_folder, ingest_upload
from studio.datasets.listed import needs_choice
from studio.datasets.names import fold_name
from studio.datasets.pictures import decode_picture
from studio.datasets.samples import SAMPLES
from studio.datasets.store import DatasetStore

TABLES = (".parquet", ".arrow")
LARGE_BYTES = 2_000_000  # an archive below is taken while the page waits for its answer
_LOOK_ROWS, _THUMB_PX, _WORDS = 3, 96, 120


def needs_job(name: str, size: int) -> bool:
    """Whether a file takes so long that a page should see how far it is."""
    lower = fold_name(name)
    return lower.endswith((*TABLES, ".tar")) or (lower.endswith((*ARCHIVES, *LISTS)) and size > LARGE_BYTES)


def may_ask(name: str, path: Path) -> bool:
    """Whether a person may have to say which columns of a list are meant: of one whose names do not tell, or one in a ZIP."""
    lower = fold_name(name)
    if lower.endswith(LISTS):
        return needs_choice(lower, path)
    if not lower.endswith(".zip"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(n.lower().endswith(LISTS) and PurePosixPath(n).name.lower() not in STANDARD for n in archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return False  # whoever unpacks it says what is wrong


def import_files(store: DatasetStore, job: Job, named: Sequence[tuple[str, Path]]) -> str:
    """Takes archives and tables in, under the names that a person knows; what came of it, in words.

    Tables with equal columns are asked about once.
    """
    columns_of = ColumnsOf(job)
    for name, path in named:
        if job.watch.stopped:
            break
        try:
            if is_table(path):
                columns = columns_of.choose(name, path)
                picked = columns.as_said() if columns else {}
                job.took(_named(o, name) for o in ingest_table(store, job.dataset, path, watch=job.watch, **picked))
            else:
                job.took(ingest_upload(store, job.dataset, name, path, job.watch, choose=columns_of.choose_list))
        except DarkroomError as refusal:
            job.took([Outcome(name, False, None, refusal.text.replace(str(path), f"“{name}”"))])
    return describe_end(store, job)


def import_sample(store: DatasetStore, job: Job, name: str) -> str:
    """Brings the sample pictures into the data set that was begun for them."""
    job.took(ingest_folder(store, job.dataset, SAMPLES / name, job.watch))
    return describe_end(store, job)


def describe_end(store: DatasetStore, job: Job) -> str:
    """How many came, and what stays when it was stopped."""
    info = store.info(job.dataset)
    noun = "pair" if info.kind == "pairs" else "picture"
    there = f"{info.num_pictures:,} {noun}{'' if info.num_pictures == 1 else 's'}"
    refused = len(job.refused) + job.left_out
    rest = f" {refused:,} could not be taken; the list says why." if refused else ""
    if job.watch.stopped:
        return f"It was stopped. What had come in stays: “{info.name}” has {there}.{rest}"
    return f"“{info.name}” has {there}.{rest}"


def _named(outcome: Outcome, table: str) -> Outcome:
    """A row without a name of its own says from which table it is."""
    return (
        Outcome(f"{table}, {outcome.name}", *(getattr(outcome, n) for n in ("accepted", "picture_id", "reason")))
        if outcome.name.startswith("row ")
        else outcome
    )


class ColumnsOf:
    """The columns of a job's tables; of tables with equal columns they are asked for once."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._chosen: dict[tuple[tuple[str, Kind], ...], Columns] = {}

    def choose_list(self, name: str, path: Path) -> Columns:
        """The columns of a list: found by their names, or asked for."""
        if not needs_choice(name, path):
            return read_columns(name, path)
        kinds = read_kinds(name, path)
        key = tuple(kinds.items())
        if key not in self._chosen:
            self._chosen[key] = _choose(kinds, self._job.ask(describe_list(name, path, kinds)))
        return self._chosen[key]

    def choose(self, name: str, path: Path) -> Columns | None:
        """Found by their names, or asked for; None of shards, whose columns are always the same."""
        files = tables.find_files(path) if path.suffix in TABLES else []
        if not files:
            return None
        kinds = tables.read_kinds(files)
        key = tuple(kinds.items())
        if key not in self._chosen:
            self._chosen[key] = _find_or_ask(self._job, name, files, kinds)
        return self._chosen[key]


def _choose(kinds: Mapping[str, Kind], answer: Mapping[str, Any]) -> Columns:
    chosen = [str(c) for c in answer.get("pictures") or []]
    return choose_columns(kinds, chosen, str(answer.get("words") or ""), str(answer.get("mask") or ""))


def _find_or_ask(job: Job, name: str, files: list[Path], kinds: dict[str, Kind]) -> Columns:
    if "picture" not in kinds.values():
        return choose_columns(kinds)  # says what there is
    guess: Columns | None = None
    try:
        guess = choose_columns(kinds)
        if guess.words or "words" not in kinds.values():
            return guess
    except DarkroomError:
        pass  # several columns of pictures, and nothing says which
    return _choose(kinds, job.ask(describe_columns(name, files, kinds, guess)))


def describe_list(name: str, path: Path, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """What the dialogue shows of a list: as `describe_columns`, with the names of files in place of the pictures."""
    useful = {column: kind for column, kind in kinds.items() if kind in ("picture", "words")}
    first = read_examples(name, path, useful, _LOOK_ROWS)
    shown: dict[str, str] = {"picture": "file", "words": "words"}
    columns = [
        {"name": column, "kind": shown[kind], "examples": [_example(row[column], "words") for row in first]}
        for column, kind in useful.items()
    ]
    try:
        guess = read_columns(name, path)
    except DarkroomError:
        guess = Columns((), _only_words(kinds))
    return {"what": "columns", "name": name, "columns": columns, "pictures": list(guess.pictures), "words": guess.words, "mask": ""}


def describe_columns(name: str, files: list[Path], kinds: dict[str, Kind], guess: Columns | None) -> dict[str, Any]:
    """What a dialogue shows: the columns with what the first rows hold, and those that would be taken."""
    useful = [column for column, kind in kinds.items() if kind in ("picture", "words")]
    first = []
    for row in tables.read_records(files, useful):
        first.append(row)
        if len(first) == _LOOK_ROWS:
            break
    columns = [
        {"name": column, "kind": kinds[column], "examples": [_example(row[column], kinds[column]) for row in first]} for column in useful
    ]
    pictures = list(guess.pictures) if guess else []
    found = {"words": guess.words, "mask": guess.mask} if guess else {"words": _only_words(kinds), "mask": ""}
    return {"what": "columns", "name": name, "columns": columns, "pictures": pictures, **found}


def _only_words(kinds: Mapping[str, Kind]) -> str:
    """The column of words, where there is one alone."""
    there = [column for column, kind in kinds.items() if kind == "words"]
    return there[0] if len(there) == 1 else ""


def _example(value: Any, kind: Kind) -> str:
    """Words, cut; a picture as a small WebP in a data address, or nothing where it cannot be read."""
    if kind == "words":
        text = " ".join(str(value or "").split())
        return text if len(text) <= _WORDS else text[:_WORDS].rstrip() + " …"
    data = value.get("bytes") if isinstance(value, dict) else value
    if not data:
        return ""
    try:
        image = decode_picture(data).image
    except DarkroomError:
        return ""
    image.thumbnail((_THUMB_PX, _THUMB_PX), Image.Resampling.LANCZOS)
    small = io.BytesIO()
    image.save(small, "WEBP", quality=70)
    return "data:image/webp;base64," + base64.b64encode(small.getvalue()).decode()

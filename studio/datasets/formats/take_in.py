"""Rows of tables and shards on their way in: written as files, some at a time, and taken like any others."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any

from backends.contract.errors import DarkroomError
from backends.contract.judging import HELD_OUT, read_mark
from studio.datasets.caption_files import clean_caption
from studio.datasets.formats import shards, tables
from studio.datasets.formats.columns import EDIT_COLUMNS, MASK, PICTURE_COLUMNS, Columns, choose_columns
from studio.datasets.formats.mask_names import BESIDE
from studio.datasets.incoming import Found, Outcome, image_id
from studio.datasets.ingest import ingest_found
from studio.datasets.names import PICTURE_SUFFIXES, fold_name
from studio.datasets.rows import METADATA, pair_content
from studio.datasets.store import DatasetStore
from studio.datasets.watch import Watch

PART = 512
_SIDES = ("input_images", "output_images")
_BEGINNINGS = ((b"\x89PNG", ".png"), (b"\xff\xd8\xff", ".jpg"), (b"RIFF", ".webp"), (b"GIF8", ".gif"), (b"BM", ".bmp"))


def is_table(path: Path) -> bool:
    """Whether this is a table or shards rather than loose files: by name, and for a folder by what lies in it."""
    if path.is_file():
        return path.suffix in (".parquet", ".arrow") or (path.suffix == ".tar" and shards.is_shard(path))
    return tables.is_saved(path) or any(path.glob("*.parquet")) or any(shards.is_shard(p) for p in islice(sorted(path.glob("*.tar")), 1))


def count_rows(path: Path) -> int:
    """How many rows there are, by what the files say of themselves: no picture is read. 0 where they do not say."""
    found = tables.find_files(path) if path.suffix != ".tar" else []
    return tables.count_rows(found) if found else shards.count_rows([path] if path.is_file() else sorted(path.glob("*.tar")))


def ingest_table(
    store: DatasetStore,
    dataset_id: str,
    path: Path,
    *,
    pictures: Sequence[str] = (),
    words: str | None = None,
    mask: str | None = None,
    watch: Watch | None = None,
) -> list[Outcome]:
    """Takes every row of a table or of shards.

    Args:
        store: Where the data set lies.
        dataset_id: Which one; its kind becomes that of the rows where it has none yet.
        path: A Parquet or Arrow file, a folder of `save_to_disk`, a shard, or a folder of such.
        pictures: The column of pictures, or those before and after; found where not given.
        words: The column of captions or instructions; None to find it.
        mask: The column of masks; None to find it.
        watch: Is told how many pictures have come, and may end it: what has come stays.

    Raises:
        DarkroomError: When nothing can be read, or the columns are not there.
    """
    found = tables.find_files(path) if path.suffix != ".tar" else []
    if found:
        columns = choose_columns(tables.read_kinds(found), pictures, words, mask)
        records = tables.read_records(found, filter(None, (*columns.pictures, columns.words, columns.mask, columns.held_out)))
    else:
        records = shards.read_shards([path] if path.is_file() else sorted(path.glob("*.tar")))
        first = next(records, None)
        if first is None:
            raise DarkroomError(f"There are no rows in {path}.")
        before, said, after = EDIT_COLUMNS
        single = Columns(PICTURE_COLUMNS[:1], PICTURE_COLUMNS[1], MASK, HELD_OUT)
        columns = Columns((before, after), said, held_out=HELD_OUT) if before in first else single
        records = chain([first], records)
    store.decide_kind(dataset_id, lambda: "pairs" if columns.are_pairs else "pictures")
    if (store.info(dataset_id).kind == "pairs") != columns.are_pairs:
        held, comes = ("single pictures", "edit pairs") if columns.are_pairs else ("edit pairs", "single pictures")
        raise DarkroomError(f"The data set holds {held}; these rows are {comes}. Begin another data set for them.")
    (watch := watch or Watch()).begin("Taking the pictures in", count_rows(path) * len(columns.pictures))
    return list(_take(store, dataset_id, records, columns, watch))


def _take(store: DatasetStore, dataset_id: str, records: Iterable[dict[str, Any]], columns: Columns, watch: Watch) -> Iterator[Outcome]:
    store.workspace.temporary.mkdir(parents=True, exist_ok=True)
    rows = enumerate(records, first := store.index(dataset_id).highest_number() + 1)  # what has no name must not be taken for another
    while not watch.stopped and (part := list(islice(rows, PART))):
        twins = _find_twins(store, dataset_id, part, columns)
        yield from twins.values()
        watch.step(len(twins) * len(columns.pictures))
        part = [(number, row) for number, row in part if number not in twins]
        with tempfile.TemporaryDirectory(dir=store.workspace.temporary, prefix="table-") as name:
            found, empty = _write(part, columns, Path(name), first)
            yield from empty
            outcomes = ingest_found(store, dataset_id, found, watch)
            yield from (o for o in outcomes if not o.accepted or not (o.name == METADATA or o.name.endswith(f"{BESIDE}.png")))


def _find_twins(store: DatasetStore, dataset_id: str, part: list[tuple[int, dict[str, Any]]], columns: Columns) -> dict[int, Outcome]:
    """Rows that are here already, by number: whoever brings a table in again, after Stop, gets what is missing."""
    index, twins = store.index(dataset_id), dict[int, Outcome]()
    for number, row in part:
        data = [_picture(row[name])["bytes"] for name in columns.pictures]
        if all(data):
            ids = [image_id(one) for one in data]
            known = index.with_content(pair_content(*ids) if columns.are_pairs else ids[0])
            if known is not None:
                twins[number] = Outcome(known.name, False, known.id, f"It is already here as “{known.name}”, and comes once.")
    return twins


def _picture(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"bytes": value, "path": None}


def _write(part: list[tuple[int, dict[str, Any]]], columns: Columns, folder: Path, first: int) -> tuple[list[Found], list[Outcome]]:
    """The files of these rows with the list that names them, and what became of rows without a picture."""
    found: list[Found] = []
    empty: list[Outcome] = []
    lines: list[str] = []
    used: set[str] = set()
    for number, row in part:
        values = [_picture(row[name]) for name in columns.pictures]
        if not all(value["bytes"] for value in values):
            away = next((value["path"] for value in values if not value["bytes"] and value["path"]), "")
            says = f"the table only names “{away}”, which is not beside it" if away else "nothing is in that place"
            empty.append(Outcome(f"row {number - first + 1}", False, None, f"It has no picture: {says}."))
            continue
        names = [_name(number, value, used) for value in values]
        if columns.are_pairs:
            names = [
                f"{side}/{number:06d}{PurePosixPath(n).suffix}" for side, n in zip(("input_images", "output_images"), names, strict=True)
            ]
        for name, value in zip(names, values, strict=True):
            place = folder / f"{len(found):06d}"
            place.write_bytes(value["bytes"])
            found.append(Found(name, place))
        mask = _picture(row.get(columns.mask))["bytes"] if columns.mask else None
        if mask:
            place = folder / f"{len(found):06d}"
            place.write_bytes(mask)
            found.append(Found(f"{PurePosixPath(names[0]).with_suffix('')}{BESIDE}.png", place))
        try:
            words = clean_caption(str(row.get(columns.words) or "")) if columns.words else ""
        except DarkroomError as refusal:  # the picture is taken all the same
            words = ""
            empty.append(Outcome(f"row {number - first + 1}", False, None, refusal.text))
        judges = False
        try:
            judges = read_mark(row.get(columns.held_out)) if columns.held_out else False
        except DarkroomError as refusal:  # likewise
            empty.append(Outcome(f"row {number - first + 1}", False, None, refusal.text))
        keys = ("input_image", "output_image", "instruction") if columns.are_pairs else ("file_name", "text")
        lines.append(json.dumps(dict(zip(keys, (*names, words), strict=True)) | ({HELD_OUT: True} if judges else {})))
    (folder / METADATA).write_text("\n".join(lines), "utf-8")
    return [*found, Found(METADATA, folder / METADATA)], empty


def _name(number: int, value: dict[str, Any], used: set[str]) -> str:
    """What the picture is called: as in the table, else its number; with its number where others of the part are called so."""
    given = PurePosixPath(str(value["path"] or "").replace("\\", "/")).name
    if PurePosixPath(given).suffix.lower() not in PICTURE_SUFFIXES:
        suffix = next((suffix for beginning, suffix in _BEGINNINGS if value["bytes"].startswith(beginning)), ".png")
        given = f"{given or f'{number:06d}'}{suffix}"
    name = given if fold_name(given) not in used else f"{number:06d}_{given}"
    used.add(fold_name(name))
    return name

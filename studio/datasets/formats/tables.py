"""Tables with pictures in them, as the `datasets` library reads and writes them: Parquet files, and folders of `save_to_disk`.

Written and read part by part with Arrow alone, so that neither the number of rows nor PyTorch costs memory. The layout is that of
datasets 5.2: a column of pictures is a struct of `bytes` and `path`, what each column is stands in the schema under `huggingface`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from backends.contract import files
from backends.contract.errors import DarkroomError
from backends.contract.judging import HELD_OUT
from studio.datasets.formats.columns import Kind

Record = Mapping[str, Any]
"""One row: of a picture its file's bytes and name, of words a string."""
PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_MARK_TYPES = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating)
_ROWS, _PART_BYTES = 64, 64 * 2**20
_FILE_BYTES = 500 * 2**20


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote this folder: one data set, or several splits."""
    return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()


def find_files(path: Path) -> list[Path]:
    """The files of a table in their order: a Parquet or Arrow file, a folder of them, a saved data set with its splits.

    Raises:
        DarkroomError: When a file that the folder names is missing.
    """
    if path.is_file():
        return [path]
    if (path / "dataset_dict.json").is_file():
        splits = _read(path / "dataset_dict.json").get("splits", [])
        return [file for split in splits for file in find_files(path / str(split))]
    if (path / "state.json").is_file():
        found = [path / str(one.get("filename", "")) for one in _read(path / "state.json").get("_data_files", [])]
        missing = [file.name for file in found if not file.is_file()]
        if missing:
            raise DarkroomError(f"{path} names files that are not there: {', '.join(missing[:5])}. Copy it again, whole.")
        return found
    return sorted(p for pattern in ("**/*.parquet", "**/*.arrow") for p in path.glob(pattern))


def read_kinds(paths: list[Path]) -> dict[str, Kind]:
    """What each column holds, by name."""
    kinds: dict[str, Kind] = {}
    for field in _schema(paths[0]) if paths else ():
        storage = getattr(field.type, "storage_type", field.type)
        is_picture = pa.types.is_struct(storage) and {storage.field(n).name for n in range(storage.num_fields)} >= {"bytes", "path"}
        is_words = pa.types.is_string(storage) or pa.types.is_large_string(storage)
        is_bytes = pa.types.is_binary(storage) or pa.types.is_large_binary(storage)
        is_mark = field.name == HELD_OUT and (is_words or any(is_kind(storage) for is_kind in _MARK_TYPES))
        kinds[field.name] = "picture" if is_picture or is_bytes else "mark" if is_mark else "words" if is_words else "other"
    return kinds


def count_rows(paths: list[Path]) -> int:
    """How many rows the files have together; no picture is read."""
    total = 0
    for path in paths:
        try:
            if path.suffix == ".parquet":
                total += pq.read_metadata(path).num_rows
            else:
                with pa.memory_map(str(path)) as source, closing(_open_arrow(source)) as reader:
                    total += sum(batch.num_rows for batch in reader)
        except (pa.ArrowInvalid, OSError) as error:
            raise DarkroomError(f"{path} cannot be read: {str(error).splitlines()[0]} Copy it again.") from None
    return total


def read_records(paths: list[Path], columns: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The rows of the files, one after the other, with these columns only; a picture is its file's bytes, or nothing.

    Raises:
        DarkroomError: When a file is damaged.
    """
    wanted = list(columns)
    for path in paths:
        try:
            for batch in _batches(path, wanted):
                yield from ({name: _value(row[name], path) for name in wanted} for row in batch.to_pylist())
        except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
            raise DarkroomError(f"{path} cannot be read: {str(error).splitlines()[0]} Copy it again.") from None


def write_parquet(records: Iterable[Record], kinds: Mapping[str, Kind], path: Path) -> int:
    """One Parquet file with the pictures in it; says how many rows."""
    schema, count = build_schema(kinds), 0
    with pq.ParquetWriter(path, schema, compression="none") as writer:  # pictures are compressed already
        for batch in _parts(records, schema):
            writer.write_batch(batch)
            count += batch.num_rows
    return count


def write_saved(records: Iterable[Record], kinds: Mapping[str, Kind], folder: Path) -> int:
    """A folder that `datasets.load_from_disk` opens at once, with the pictures in it; says how many rows."""
    schema, count = build_schema(kinds), 0
    written: list[Path] = []
    parts = _parts(records, schema)
    batch = next(parts, None)
    while batch is not None or not written:
        written.append(folder / f"part-{len(written):05d}.arrow")
        with pa.OSFile(str(written[-1]), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            while batch is not None and sink.tell() < _FILE_BYTES:
                writer.write_batch(batch)
                count += batch.num_rows
                batch = next(parts, None)
    names = [f"data-{n:05d}-of-{len(written):05d}.arrow" for n in range(len(written))]
    for file, name in zip(written, names, strict=True):
        file.rename(folder / name)
    digest = hashlib.sha256(f"{count}".encode() + schema.to_string().encode()).hexdigest()[:16]
    state: dict[str, Any] = dict.fromkeys(("_format_columns", "_format_type", "_split"))
    state |= {"_data_files": [{"filename": n} for n in names], "_fingerprint": digest, "_format_kwargs": {}, "_output_all_columns": False}
    info = dict.fromkeys(("citation", "description", "homepage", "license"), "") | {"features": _features(kinds)}
    files.write_json(folder / "dataset_info.json", info)
    files.write_json(folder / "state.json", state)
    return count


def build_schema(kinds: Mapping[str, Kind]) -> pa.Schema:
    """The columns, with what the `datasets` library wants to know of them."""
    told = json.dumps({"info": {"features": _features(kinds)}})
    types = {"picture": PICTURE, "mark": pa.bool_()}
    fields = [pa.field(name, types.get(kind, pa.string())) for name, kind in kinds.items()]
    return pa.schema(fields, metadata={"huggingface": told})


def _features(kinds: Mapping[str, Kind]) -> dict[str, Any]:
    types = {"picture": {"_type": "Image"}, "mark": {"dtype": "bool", "_type": "Value"}}
    return {name: types.get(kind, {"dtype": "string", "_type": "Value"}) for name, kind in kinds.items()}


def _parts(records: Iterable[Record], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    rows: list[Record] = []
    size = 0
    for record in records:
        rows.append(record)
        size += sum(len(value["bytes"] or b"") for value in record.values() if isinstance(value, Mapping))
        if len(rows) >= _ROWS or size >= _PART_BYTES:
            yield pa.RecordBatch.from_pylist(rows, schema=schema)
            rows, size = [], 0
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=schema)


def _schema(path: Path) -> pa.Schema:
    try:
        if path.suffix == ".parquet":
            return pq.read_schema(path)
        with pa.memory_map(str(path)) as source, closing(_open_arrow(source)) as reader:
            return reader.schema
    except (pa.ArrowInvalid, OSError) as error:
        raise DarkroomError(f"{path} cannot be read: {str(error).splitlines()[0]} Copy it again.") from None


def _batches(path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=_ROWS, columns=columns)
        return
    with pa.memory_map(str(path)) as source, closing(_open_arrow(source)) as reader:
        for batch in reader:
            for start in range(0, batch.num_rows, _ROWS):
                yield batch.select(columns).slice(start, _ROWS)


def _open_arrow(source: pa.NativeFile) -> Any:
    """The library writes streams; other programs write files."""
    try:
        return pa.ipc.open_stream(source)
    except pa.ArrowInvalid:
        source.seek(0)
        file = pa.ipc.open_file(source)
        return pa.RecordBatchReader.from_batches(file.schema, (file.get_batch(n) for n in range(file.num_record_batches)))


def _value(value: Any, table: Path) -> Any:
    """The bytes of a picture, also where the table only says where its file lies: beside it, never elsewhere."""
    if not isinstance(value, dict):
        return value
    if value.get("bytes") is None and value.get("path"):
        place = (table.parent / str(value["path"])).resolve()
        if place.is_relative_to(table.parent.resolve()) and place.is_file():
            return {"bytes": place.read_bytes(), "path": place.name}
        return {"bytes": None, "path": str(value["path"])}
    return value


def _read(path: Path) -> dict[str, Any]:
    value = files.read_json(path)
    if not isinstance(value, dict):
        raise DarkroomError(f"{path} cannot be read. Copy the folder again, whole.")
    return value

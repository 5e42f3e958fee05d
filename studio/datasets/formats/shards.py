"""WebDataset: tar files whose members with one key are one row. For data sets that no single file or folder should hold.

A key is a member's name up to the first dot of its last part (WebDataset's rule): `0001.png` and `0001.txt`, of a pair
`0001.input.png`, `0001.output.png` and `0001.txt`.
"""

from __future__ import annotations

import io
import itertools
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from backends.contract.errors import DarkroomError
from backends.contract.judging import HELD_OUT
from backends.contract.shards import WORD_KEYS, is_mask, split_name
from studio.datasets.archive import require_tar_end
from studio.datasets.caption_files import decode_text
from studio.datasets.formats.columns import EDIT_COLUMNS, MASK, PICTURE_COLUMNS
from studio.datasets.formats.tables import Record
from studio.datasets.names import PICTURE_SUFFIXES
from studio.datasets.pair_names import read_spot

ROWS, BYTES = 10_000, 2**30
_MAX_MEMBER_BYTES = 512 * 2**20


def write_shards(records: Iterable[Record], folder: Path, *, rows: int = ROWS, most_bytes: int = BYTES) -> int:
    """`shard-000000.tar`, `shard-000001.tar`...: each at most so many rows and about so many bytes; says how many rows there are."""
    left, count = iter(records), 0
    first = next(left, None)
    for number in itertools.count():
        if first is None:
            return count
        with tarfile.open(folder / f"shard-{number:06d}.tar", "w", format=tarfile.PAX_FORMAT) as shard:
            end = count + rows
            while first is not None and count < end and shard.offset < most_bytes:
                for name, data in _members(first, f"{count:08d}"):
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    shard.addfile(member, io.BytesIO(data))
                count, first = count + 1, next(left, None)
    return count


def read_shards(paths: list[Path]) -> Iterator[dict[str, Any]]:
    """Rows of shards, with the columns of a picture or of an edit pair; one row is in memory at a time.

    Raises:
        DarkroomError: When a shard is damaged, or holds members that are too large.
    """
    for path in paths:
        try:
            require_tar_end(path)
            with tarfile.open(path, "r|*") as shard:
                yield from (_row(key, members) for key, members in _group(shard, path))
        except (tarfile.TarError, EOFError, OSError) as error:
            raise DarkroomError(f"{path} is damaged or does not end ({error}). Copy it again.") from None


def count_rows(paths: list[Path]) -> int:
    """How many rows the shards have together: only the members' heads are read. 0 where one is packed, and would be read whole."""
    total = 0
    for path in paths:
        try:
            with tarfile.open(path, "r:") as shard:
                last = ""
                while (member := shard.next()) is not None:
                    shard.members = []  # type: ignore[attr-defined]  # else it keeps every one of them
                    key = split_name(member.name)[0]
                    total += member.isfile() and key != last
                    last = key
        except (tarfile.TarError, EOFError, OSError):
            return 0
    return total


def is_shard(path: Path) -> bool:
    """Whether the tar begins as a shard does: two members with one key, of which one is a picture."""
    try:
        with tarfile.open(path, "r|*") as shard:
            names = [member.name for _, member in zip(range(4), (m for m in shard if m.isfile()), strict=False)]
    except (tarfile.TarError, EOFError, OSError):
        return False
    keys = [split_name(name)[0] for name in names]
    return any(keys.count(key) > 1 for key in keys) and any(PurePosixPath(n).suffix.lower() in PICTURE_SUFFIXES for n in names)


def _members(record: Record, key: str) -> Iterator[tuple[str, bytes]]:
    before, words, after = EDIT_COLUMNS
    image, text = PICTURE_COLUMNS
    sides = ((before, ".input"), (after, ".output")) if before in record else ((image, ""),)
    for column, side in sides:
        name = record[column]["path"] or "picture.png"
        yield f"{key}{side}{PurePosixPath(name).suffix.lower() or '.png'}", record[column]["bytes"]
    if record.get(MASK):
        yield f"{key}.{MASK}.png", record[MASK]["bytes"]
    if record.get(HELD_OUT):
        yield f"{key}.json", json.dumps({HELD_OUT: True}).encode()
    yield f"{key}.txt", (record.get(words if before in record else text) or "").encode()


def _group(shard: tarfile.TarFile, path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    key, members = "", dict[str, bytes]()
    for member in shard:
        if not member.isfile():
            continue  # links and devices are nothing that a row needs
        if member.size > _MAX_MEMBER_BYTES:
            raise DarkroomError(
                f"“{member.name[:80]}” in {path} has {member.size / 2**20:,.0f} MiB; at most 512 MiB are taken. Make it smaller."
            )
        own, rest = split_name(member.name)
        if own != key and members:
            yield key, members
            members = {}
        key = own
        content = shard.extractfile(member)
        members[rest] = content.read() if content else b""
        if len(members[rest]) < member.size:
            raise EOFError(f"“{member.name[:80]}” ends in the middle")
    if members:
        yield key, members


def _row(key: str, members: dict[str, bytes]) -> dict[str, Any]:
    pictures = {rest: data for rest, data in members.items() if f".{rest.rpartition('.')[2].lower()}" in PICTURE_SUFFIXES}
    masks = [pictures.pop(rest) for rest in list(pictures) if is_mask(rest)]
    sides = {read_spot(f"{key}.{rest}").side: rest for rest in pictures}
    words = _words(members)
    named = {rest: {"bytes": data, "path": f"{key.rpartition('/')[2]}.{rest}"} for rest, data in pictures.items()}
    if sides.get("before") and sides.get("after"):
        before, said, after = EDIT_COLUMNS
        return {before: named[sides["before"]], said: words, after: named[sides["after"]], HELD_OUT: _mark(members)}
    image, text = PICTURE_COLUMNS
    mask = {"bytes": masks[0], "path": None} if masks else None
    return {image: next(iter(named.values()), {"bytes": None, "path": key}), text: words, MASK: mask, HELD_OUT: _mark(members)}


def _mark(members: dict[str, bytes]) -> Any:
    """What the JSON member says of whether the row judges; nothing where it does not."""
    for rest, data in members.items():
        if rest.rpartition(".")[2] == "json" and HELD_OUT.encode() in data:
            try:
                value = json.loads(data)
            except ValueError:
                continue
            if isinstance(value, dict):
                return value.get(HELD_OUT)
    return None


def _words(members: dict[str, bytes]) -> str:
    for rest, data in members.items():
        if rest.rpartition(".")[2] in ("txt", "caption"):
            return decode_text(data).strip()
    for rest, data in members.items():
        if rest.rpartition(".")[2] == "json":
            try:
                value = json.loads(data)
            except ValueError:
                continue
            if isinstance(value, dict):
                return next((str(value[name]) for name in WORD_KEYS if value.get(name)), "")
    return ""

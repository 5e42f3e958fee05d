"""Where each sample of a shard lies: made by one walk over the tar's headers, kept in the cache, read from the disk as needed.

50 bytes a sample: of 10 million 0.5 GB of files, of which the processor's own cache of the disk holds what a run looks at.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.recfunctions import repack_fields
from PIL import Image, UnidentifiedImageError

from backends.contract.errors import DarkroomError
from backends.contract.judging import HELD_OUT, read_mark
from backends.contract.shards import AFTER_WORDS, BEFORE_WORDS, PICTURE_SUFFIXES, TEXT_SUFFIXES, WORD_KEYS, is_mask, split_name
from backends.engine.shards.member import Member

FORMAT = 3
NO_WORDS, PLAIN_WORDS, JSON_WORDS = range(3)
SAMPLE = np.dtype(
    [
        ("key", "<u8"),
        ("width", "<u2"),
        ("height", "<u2"),
        ("picture_at", "<u8"),
        ("picture_size", "<u4"),
        ("before_at", "<u8"),
        ("before_size", "<u4"),
        ("words_at", "<u8"),
        ("words_size", "<u4"),
        ("words_kind", "<u1"),
    ]
)
"""One sample: a hash of its shard and key; its size in px, upright; offset and bytes of each part; an edit pair has a picture before."""
MASKED_SAMPLE = np.dtype([*SAMPLE.descr, ("mask_at", "<u8"), ("mask_size", "<u4")])
"""The same with its mask: of a shard in which a sample has one."""
_WHOLE = np.dtype([*MASKED_SAMPLE.descr, (HELD_OUT, "<u1")])  # and whether it judges: of a shard in which a person chose one to
_HEAD = 64 * 2**10  # bytes in which a picture says its size; one that says it later is read whole
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height


def index_shard(path: Path, cache: Path, *, pairs: bool) -> Path:
    """The file with a shard's samples; made where it is not there yet, or the shard is another one since.

    Args:
        path: A tar, not compressed.
        cache: Folder of such files.
        pairs: Whether each sample is an edit pair with an instruction, or a picture with or without words.

    Raises:
        DarkroomError: When the shard cannot be read, or a sample is not whole; names both.
    """
    try:
        stat = path.stat()
    except OSError:
        raise DarkroomError(f"The shard {path} is not there. Put it back, or start a new run.", field="train_data_dir") from None
    identity = f"{FORMAT} {path.absolute()} {stat.st_size} {stat.st_mtime_ns} {pairs}"
    kept = cache / f"{hashlib.sha256(identity.encode()).hexdigest()}.npy"
    if not kept.is_file():
        samples = np.array([_describe(path, key, members, pairs) for key, members in _walk(path)], _WHOLE)
        lacking = [names for names in (("mask_at", "mask_size"), (HELD_OUT,)) if not samples[names[-1]].any()]
        samples = repack_fields(samples[[name for name in _WHOLE.names or () if not any(name in names for names in lacking)]])
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f".{kept.name}.{os.getpid()}.part")
        with part.open("wb") as file:
            np.save(file, samples)
        os.replace(part, kept)
    return kept


@lru_cache(maxsize=64)
def open_index(kept: Path) -> np.ndarray:
    """The samples of one shard, (N,) of `SAMPLE` with what its own have of masks and marks; on the disk until they are looked at."""
    return np.load(kept, mmap_mode="r")


def read_words(shard: Path, sample: Any) -> str:
    """What is said of a sample."""
    if sample["words_kind"] == NO_WORDS:
        return ""
    text = Member(shard, int(sample["words_at"]), int(sample["words_size"]), "words").read_bytes().decode("utf-8-sig", "replace")
    return text.strip() if sample["words_kind"] == PLAIN_WORDS else _pick_words(json.loads(text))


def find_mask(shard: Path, sample: Any, name: str) -> Member | None:
    """Its mask, where it has one."""
    if "mask_size" not in sample.dtype.names or not sample["mask_size"]:
        return None
    return Member(shard, int(sample["mask_at"]), int(sample["mask_size"]), name)


def find_chosen(samples: np.ndarray) -> np.ndarray:
    """Which of these a person chose to judge, (N,) of bool."""
    if HELD_OUT not in (samples.dtype.names or ()):
        return np.zeros(len(samples), bool)
    return np.asarray(samples[HELD_OUT]).astype(bool)


def _walk(path: Path) -> Iterator[tuple[str, dict[str, tarfile.TarInfo]]]:
    """Each sample's key and members; members of one sample stand together."""
    key, members = "", dict[str, tarfile.TarInfo]()
    try:
        with tarfile.open(path, "r:") as shard:
            for member in shard:
                shard.members = []  # type: ignore[attr-defined]  # tarfile keeps all of them otherwise
                if not member.isfile():
                    continue
                own, rest = split_name(member.name)
                if own != key and members:
                    yield key, members
                    members = {}
                key, members[rest] = own, member
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DarkroomError(
            f"The shard {path} cannot be read ({error}). It must be a tar that is not compressed. Copy it again.", field="train_data_dir"
        ) from None
    if members:
        yield key, members


def _describe(path: Path, key: str, members: dict[str, tarfile.TarInfo], pairs: bool) -> tuple[Any, ...]:
    pictures = {rest: member for rest, member in members.items() if f".{rest}".endswith(PICTURE_SUFFIXES) and not is_mask(rest)}
    mask = None if pairs else next((member for rest, member in members.items() if is_mask(rest)), None)
    before = _find_side(pictures, BEFORE_WORDS)
    after = _find_side(pictures, AFTER_WORDS) if pairs else next(iter(pictures.values()), None)
    kind, words = _find_words(path, members)
    if after is None or (pairs and before is None):
        raise _refuse(path, key, "has not both pictures of a pair, such as .input.png and .output.png" if pairs else "has no picture")
    if pairs and kind == NO_WORDS:
        raise _refuse(path, key, "has no instruction: neither a .txt nor a .json with one")
    size = _measure(path, key, after)
    if pairs and before is not None and _measure(path, key, before) != size:
        raise _refuse(path, key, "has two pictures of different size; both pictures of a pair must have one size")
    if mask is not None and _measure(path, key, mask) != size:
        raise _refuse(path, key, "has a mask of another size than its picture; both must have one size")
    number = int.from_bytes(hashlib.blake2b(f"{path.name}/{key}".encode(), digest_size=8).digest(), "little")
    sides = (*_place(after), *_place(before if pairs else None))
    return number, *size, *sides, *_place(words), kind, *_place(mask), _is_chosen(path, key, members)


def _find_side(pictures: dict[str, tarfile.TarInfo], words: tuple[str, ...]) -> tarfile.TarInfo | None:
    return next((member for rest, member in pictures.items() if rest.rpartition(".")[0].removesuffix("_image") in words), None)


def _find_words(path: Path, members: dict[str, tarfile.TarInfo]) -> tuple[int, tarfile.TarInfo | None]:
    for rest, member in members.items():
        if f".{rest}".endswith(TEXT_SUFFIXES):
            return (PLAIN_WORDS if member.size else NO_WORDS), member
    for rest, member in members.items():
        if f".{rest}".endswith(".json"):
            try:
                value = json.loads(Member(path, member.offset_data, member.size, member.name).read_bytes())
            except ValueError:
                continue
            if isinstance(value, dict) and _pick_words(value):
                return JSON_WORDS, member
    return NO_WORDS, None


def _is_chosen(path: Path, key: str, members: dict[str, tarfile.TarInfo]) -> bool:
    """Whether its JSON member says that it judges."""
    for rest, member in members.items():
        if not f".{rest}".endswith(".json"):
            continue
        data = Member(path, member.offset_data, member.size, member.name).read_bytes()
        try:
            value = json.loads(data) if HELD_OUT.encode() in data else None
            if isinstance(value, dict) and HELD_OUT in value:
                return read_mark(value[HELD_OUT])
        except ValueError:
            continue
        except DarkroomError as error:
            raise _refuse(path, key, f"says who judges in words of its own: {error.text.rstrip('.')}") from None
    return False


def _pick_words(value: dict[str, Any]) -> str:
    return next((str(value[name]).strip() for name in WORD_KEYS if value.get(name)), "")


def _measure(path: Path, key: str, member: tarfile.TarInfo) -> tuple[int, int]:
    file = Member(path, member.offset_data, member.size, member.name)
    try:
        try:
            return _read_size(BytesIO(file.read_bytes(_HEAD)))
        except (UnidentifiedImageError, OSError, SyntaxError):
            return _read_size(BytesIO(file.read_bytes()))
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise _refuse(path, key, f"has a picture that cannot be read ({error})") from None


def _read_size(file: BinaryIO) -> tuple[int, int]:
    with Image.open(file) as picture:
        turned = picture.getexif().get(0x0112) in _TURNED
        return (picture.height, picture.width) if turned else picture.size


def _place(member: tarfile.TarInfo | None) -> tuple[int, int]:
    return (member.offset_data, member.size) if member else (0, 0)


def _refuse(path: Path, key: str, what: str) -> DarkroomError:
    return DarkroomError(f"Sample “{key}” of the shard {path} {what}. Mend the shard, or leave it out.", field="train_data_dir")

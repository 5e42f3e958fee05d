"""A file on its way in: what kind it is, how it is called, and the picture in it as it is kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets import thumbnails
from studio.datasets.measure import measure_picture, write_measures
from studio.datasets.names import PICTURE_SUFFIXES, fold_name
from studio.datasets.pictures import MAX_BYTES, decode_picture, encode_png
from studio.datasets.rows import ImageFile
from studio.datasets.store import DatasetStore, explain_disk

BATCH = 32
_SILENT = {"thumbs.db", "desktop.ini", ".ds_store"}


@dataclass(frozen=True)
class Outcome:
    """What became of one file. `reason` says why it was refused, or what is worth knowing about one that was taken.

    `picture_id` is the row that it went to: a picture, or a pair.
    """

    name: str
    accepted: bool
    picture_id: str | None
    reason: str


@dataclass(frozen=True)
class Found:
    """A file on its way in: the name as a person knows it (with `/` between folders), and where its bytes are now."""

    name: str
    path: Path


def read_bytes(file: Found) -> tuple[bytes, str]:
    """What is in the file, and the id that this content has.

    Raises:
        DarkroomError: When it is too large to be taken.
    """
    size = file.path.stat().st_size
    if size > MAX_BYTES:
        raise DarkroomError(f"The file has {size / 2**20:,.0f} MiB; at most {MAX_BYTES // 2**20} MiB are taken. Make it smaller.")
    data = file.path.read_bytes()
    return data, hashlib.sha256(data).hexdigest()[:24]


def keep_image(store: DatasetStore, dataset_id: str, name: str, data: bytes, image_id: str) -> tuple[ImageFile, str]:
    """Decodes a picture and keeps it: the original, the training copy, a thumbnail and its measures; what is worth knowing about it.

    Raises:
        DarkroomError: When it cannot be taken as a picture, or the disk does not take it.
    """
    decoded = decode_picture(data)
    folder = store.workspace.dataset(dataset_id)
    copy = encode_png(decoded.image)
    sha256 = hashlib.sha256(copy).hexdigest()
    try:
        files.write_bytes(folder / ".originals" / f"{image_id}.{decoded.suffix}", data)
        files.write_bytes(folder / "images" / f"{image_id}.png", copy)
        thumbnails.write_thumbnail(store.workspace.cache, decoded.image, sha256, max(thumbnails.SIZES))
        write_measures(store.workspace.cache, sha256, measure_picture(decoded.image))
    except OSError as error:
        raise explain_disk(error) from None
    width, height = decoded.image.size
    return ImageFile(image_id, name, f"images/{image_id}.png", width, height, len(data), sha256), " ".join(decoded.notes)


def clean_name(name: str) -> str:
    """`name` as it can be shown and stored: as given, without an absolute start, `..` or what is not text."""
    text = name.encode("utf-8", "replace").decode("utf-8").replace("\0", "").replace("\\", "/")
    parts = [p for p in text.split("/") if p not in ("", ".", "..")]
    return "/".join(parts)[-255:] or "picture"


def kind_of(file: Found) -> str:
    """picture, caption, list, zip or other: by its name, for a picture without one by its first bytes."""
    lower = PurePosixPath(file.name).name.lower()
    suffix = PurePosixPath(lower).suffix
    if lower in ("metadata.jsonl", "metadata.csv"):
        return "list"
    if suffix in (".txt", ".caption"):
        return "caption"
    if suffix in PICTURE_SUFFIXES:
        return "picture"
    if suffix == ".zip":
        return "zip"
    return "picture" if _looks_like_picture(file.path) else "other"


def refuse_kind(file: Found) -> Outcome:
    """Why a file that is neither a picture nor words is not taken."""
    reason = "It is neither a picture nor a caption. Pictures: PNG, JPEG, WebP, BMP, TIFF, GIF. Captions: .txt."
    if file.name.lower().endswith(".zip"):
        reason = "It is a ZIP inside a ZIP, which is not opened. Unpack it and add its pictures."
    return Outcome(file.name, False, None, reason)


def is_silent(name: str) -> bool:
    """Whether it is something that systems leave in folders, and of which nobody wants to hear."""
    parts = PurePosixPath(name).parts
    return fold_name(parts[-1]) in _SILENT or parts[-1].startswith("._") or "__MACOSX" in parts


def _looks_like_picture(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        return False
    starts = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"GIF8")
    return head.startswith(starts) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")

"""A file on its way in: what kind it is, how it is called, and the picture in it as it is kept."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
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
_MAX_THREADS = 4  # a picture of 50 megapixels takes half a gigabyte while it is decoded and written
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


@dataclass(frozen=True)
class Taken:
    """What came of one picture file: the id of its content, and the picture, or why it was refused, or neither where it was known."""

    file: Found
    image_id: str
    image: ImageFile | None = None
    note: str = ""
    refusal: str = ""


def keep_images(store: DatasetStore, dataset_id: str, batch: Sequence[Found], known: Collection[str]) -> list[Taken]:
    """Decodes and keeps every picture of the batch whose content is not in `known`; in the order in which they were given.

    Several are worked on at a time: decoding keeps the cores busy while a disk says that it has written. What comes back lasts.
    """
    kept: dict[str, tuple[ImageFile | None, str, str]] = {}
    guard = threading.Lock()

    def take(file: Found) -> Taken:
        try:
            data, image_id = _read_bytes(file)
        except DarkroomError as refusal:
            return Taken(file, "", refusal=refusal.text)
        with guard:
            if image_id in known or image_id in kept:
                return Taken(file, image_id)
            kept[image_id] = (None, "", "")  # ours to decode
        try:
            kept[image_id] = (*_keep_image(store, dataset_id, file.name, data, image_id), "")
        except DarkroomError as refusal:
            kept[image_id] = (None, "", refusal.text)
        return Taken(file, image_id)

    threads = min(_MAX_THREADS, os.cpu_count() or 1, len(batch))
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            taken = list(pool.map(take, batch))
    else:
        taken = [take(file) for file in batch]
    if any(image for image, _, _ in kept.values()):
        try:
            for part in (".originals", "images"):
                files.sync_folder(store.workspace.dataset(dataset_id) / part)
        except OSError as error:
            kept = {image_id: (None, "", explain_disk(error).text) for image_id in kept}
    return [_with_kept(one, *kept[one.image_id]) if one.image_id in kept else one for one in taken]


def _with_kept(one: Taken, image: ImageFile | None, note: str, refusal: str) -> Taken:
    return replace(one, image=image and replace(image, name=one.file.name), note=note, refusal=refusal)


def _read_bytes(file: Found) -> tuple[bytes, str]:
    """What is in the file, and the id that this content has."""
    size = file.path.stat().st_size
    if size > MAX_BYTES:
        raise DarkroomError(f"The file has {size / 2**20:,.0f} MiB; at most {MAX_BYTES // 2**20} MiB are taken. Make it smaller.")
    data = file.path.read_bytes()
    return data, hashlib.sha256(data).hexdigest()[:24]


def _keep_image(store: DatasetStore, dataset_id: str, name: str, data: bytes, image_id: str) -> tuple[ImageFile, str]:
    """Decodes a picture and keeps it: the original, the training copy, a thumbnail and its measures; what is worth knowing about it."""
    decoded = decode_picture(data)
    folder = store.workspace.dataset(dataset_id)
    copy = encode_png(decoded.image)
    sha256 = hashlib.sha256(copy).hexdigest()
    try:
        files.write_bytes(folder / ".originals" / f"{image_id}.{decoded.suffix}", data, sync_parent=False)
        files.write_bytes(folder / "images" / f"{image_id}.png", copy, sync_parent=False)
        if max(decoded.image.size) > max(thumbnails.SIZES):  # of a small picture one is made when somebody looks
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

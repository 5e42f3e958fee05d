"""A file on its way in: what kind it is, how it is called, and the picture in it as it is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets import thumbnails
from studio.datasets.crew import work_through
from studio.datasets.formats.lists import LISTS, is_list
from studio.datasets.formats.parameters import read_prompt
from studio.datasets.measure import Measures, measure_picture
from studio.datasets.measure_cache import write_measures
from studio.datasets.names import PICTURE_SUFFIXES, fold_name
from studio.datasets.pictures import MAX_BYTES, decode_picture, encode_png
from studio.datasets.rows import ImageFile
from studio.datasets.store import DatasetStore, explain_disk
from studio.datasets.watch import Watch

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
BATCH = 256
_ID = 24  # letters of a picture's id: the hash of the file as it came
_SILENT = {"thumbs.db", "desktop.ini", ".ds_store", "state.json", "dataset_info.json", "dataset_dict.json"}


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
    """What came of one picture file: the picture, or why it was refused. One that is here already is known and not kept again.

    `words` is the prompt that the program which drew it left in it.
    """

    file: Found
    image: ImageFile | None = None
    note: str = ""
    refusal: str = ""
    is_known: bool = False
    measures: Measures | None = None
    words: str = ""


def keep_images(store: DatasetStore, dataset_id: str, found: Sequence[Found], watch: Watch | None = None) -> Iterator[list[Taken]]:
    """Decodes and keeps every picture whose content is not here yet; in the order in which they were given, some at a time.

    What comes back lasts: it is on the disk before anybody names it. Where `watch` says so it ends early, with what is ready.
    """
    folder = store.workspace.dataset(dataset_id)
    with store.index(dataset_id).finding() as find:
        asked = (_ask(find, file) for file in found)
        results = work_through(partial(take_image, folder, store.workspace.cache), asked, len(found), _say_crashed)
        watched = watch.going(results) if watch else results
        try:
            while batch := list(islice(watched, BATCH)):
                write_measures(store.workspace.cache, {t.image.sha256: t.measures for t in batch if t.image and t.measures})
                yield _synced(folder, batch)
        finally:
            results.close()


def image_id(data: bytes) -> str:
    """The id of a picture whose file holds these bytes."""
    return hashlib.sha256(data).hexdigest()[:_ID]


def _ask(find: Callable[[str], ImageFile | None], file: Found) -> Found | Taken:
    """The file, or what came of it where that is plain without decoding: it is too large, or it is here."""
    size = file.path.stat().st_size
    if size > MAX_BYTES:
        reason = f"The file has {size / 2**20:,.0f} MiB; at most {MAX_BYTES // 2**20} MiB are taken. Make it smaller."
        return Taken(file, refusal=reason)
    with file.path.open("rb") as content:
        known = find(hashlib.file_digest(content, "sha256").hexdigest()[:_ID])
    return file if known is None else Taken(file, replace(known, name=file.name), is_known=True)


def take_image(folder: Path, cache: Path, asked: Found | Taken) -> Taken:
    """Decodes one picture file and keeps it: the original, the training copy, a thumbnail; with its measures."""
    if isinstance(asked, Taken):
        return asked
    try:
        return _keep_image(folder, cache, asked)
    except DarkroomError as refusal:
        return Taken(asked, refusal=refusal.text)


def _say_crashed(asked: Found | Taken) -> Taken:
    if isinstance(asked, Taken):
        return asked
    return Taken(asked, refusal="The file brought the decoder down: it is damaged. Save it anew with another program, then add it again.")


def _synced(folder: Path, batch: list[Taken]) -> list[Taken]:
    """The batch, whose files now have their names for good; where the disk does not take that, nothing of it is kept."""
    if any(taken.measures for taken in batch):
        try:
            for part in (".originals", "images"):
                files.sync_folder(folder / part)
        except OSError as error:
            text = explain_disk(error).text
            return [Taken(taken.file, refusal=text) if taken.measures else taken for taken in batch]
    return batch


def _keep_image(folder: Path, cache: Path, file: Found) -> Taken:
    data = file.path.read_bytes()
    own_id = image_id(data)
    decoded = decode_picture(data)
    copy = encode_png(decoded.image)
    sha256 = hashlib.sha256(copy).hexdigest()
    try:
        files.write_bytes(folder / ".originals" / f"{own_id}.{decoded.suffix}", data, sync_parent=False)
        files.write_bytes(folder / "images" / f"{own_id}.png", copy, sync_parent=False)
        if max(decoded.pixels.size) > max(thumbnails.SIZES):  # of a small picture one is made when somebody looks
            thumbnails.write_thumbnail(cache, decoded.pixels, sha256, max(thumbnails.SIZES))
    except OSError as error:
        raise explain_disk(error) from None
    width, height = decoded.pixels.size
    image = ImageFile(own_id, file.name, f"images/{own_id}.png", width, height, len(data), sha256)
    return Taken(file, image, " ".join(decoded.notes), measures=measure_picture(decoded.pixels), words=read_prompt(data))


def clean_name(name: str) -> str:
    """`name` as it can be shown and stored: as given, without an absolute start, `..` or what is not text."""
    text = name.encode("utf-8", "replace").decode("utf-8").replace("\0", "").replace("\\", "/")
    parts = [p for p in text.split("/") if p not in ("", ".", "..")]
    return "/".join(parts)[-255:] or "picture"


def kind_of(file: Found) -> str:
    """picture, caption, list, archive or other: by its name, for a picture without one by its first bytes."""
    lower = PurePosixPath(file.name).name.lower()
    suffix = PurePosixPath(lower).suffix
    if suffix in LISTS:
        return "list" if is_list(lower, file.path) else "other"
    if suffix in (".txt", ".caption"):
        return "caption"
    if suffix in PICTURE_SUFFIXES:
        return "picture"
    if lower.endswith(ARCHIVES):
        return "archive"
    return "picture" if _looks_like_picture(file.path) else "other"


def refuse_kind(file: Found) -> Outcome:
    """Why a file that is neither a picture nor words is not taken."""
    reason = "It is neither a picture nor a caption. Pictures: PNG, JPEG, WebP, BMP, TIFF, GIF. Captions: .txt."
    if file.name.lower().endswith(LISTS):
        reason = "It names no pictures: no column of it holds names of picture files. A list has one row a picture or pair."
    if file.name.lower().endswith(ARCHIVES):
        reason = "It is an archive inside another, which is not opened. Unpack it and add its pictures."
    return Outcome(file.name, False, None, reason)


def is_silent(name: str) -> bool:
    """Whether it is something that systems and programs leave in folders, and of which nobody wants to hear."""
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

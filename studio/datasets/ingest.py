"""From what a person drops (a picture, a caption file, a ZIP, a folder) to pictures of a data set."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets import caption_files, thumbnails
from studio.datasets.archive import unpack_zip
from studio.datasets.index import Picture
from studio.datasets.measure import measure_picture, write_measures
from studio.datasets.pictures import MAX_BYTES, decode_picture, encode_png
from studio.datasets.store import DatasetStore, explain_disk

PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif"}
_BATCH = 32
_SILENT = {"thumbs.db", "desktop.ini", ".ds_store"}


@dataclass(frozen=True)
class Outcome:
    """What became of one file. `reason` says why it was refused, or what is worth knowing about one that was taken."""

    name: str
    accepted: bool
    picture_id: str | None
    reason: str


@dataclass(frozen=True)
class Found:
    """A file on its way in: the name as a person knows it (with `/` between folders), and where its bytes are now."""

    name: str
    path: Path


def ingest_upload(store: DatasetStore, dataset_id: str, name: str, file_path: Path) -> list[Outcome]:
    """Takes one dropped file: a picture, a caption (.txt), a list of captions (metadata.jsonl), or a ZIP of such."""
    store.workspace.dataset(dataset_id)
    shown = clean_name(name)
    file_path = Path(file_path)
    if _kind(shown, file_path) == "zip":
        with unpack_zip(file_path, store.workspace.temporary) as unpacked:
            refused = [Outcome(clean_name(n), False, None, reason) for n, reason in unpacked.refused]
            return _ingest(store, dataset_id, [Found(clean_name(n), p) for n, p in unpacked.files]) + refused
    return _ingest(store, dataset_id, [Found(shown, file_path)])


def ingest_folder(store: DatasetStore, dataset_id: str, path: Path) -> list[Outcome]:
    """Takes every picture and caption in a folder and its subfolders, in the order of their names."""
    root = Path(path)
    if not root.is_dir():
        raise DarkroomError(f"There is no folder {root}.")
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            full = Path(folder) / name
            if full.is_file():
                found.append(Found(clean_name(full.relative_to(root).as_posix()), full))
    return _ingest(store, dataset_id, found)


def clean_name(name: str) -> str:
    """`name` as it can be shown and stored: as given, without an absolute start, `..` or what is not text."""
    text = name.encode("utf-8", "replace").decode("utf-8").replace("\0", "").replace("\\", "/")
    parts = [p for p in text.split("/") if p not in ("", ".", "..")]
    return "/".join(parts)[-255:] or "picture"


def _ingest(store: DatasetStore, dataset_id: str, found: list[Found]) -> list[Outcome]:
    found = [f for f in _without_common_folder(found) if not _is_silent(f.name)]
    pictures = [f for f in found if _kind(f.name, f.path) == "picture"]
    outcomes = [Outcome(f.name, False, None, _refuse_kind(f)) for f in found if _kind(f.name, f.path) in ("zip", "other")]
    captions, caption_outcomes = _read_captions([f for f in found if _kind(f.name, f.path) in ("caption", "list")])
    known = {p.id: p.name for p in store.pictures(dataset_id)}
    batch: list[Picture] = []
    taken: list[Outcome] = []
    for file in pictures:
        try:
            picture, note = _take_picture(store, dataset_id, file, known)
        except DarkroomError as refusal:
            taken.append(Outcome(file.name, False, None, refusal.text))
            continue
        known[picture.id] = picture.name
        text = caption_files.choose_caption(captions, file.name)
        batch.append(replace(picture, text=text, text_by="file") if text else picture)
        taken.append(Outcome(file.name, True, picture.id, note))
        if len(batch) >= _BATCH:
            taken = _commit(store, dataset_id, batch, taken)
            batch = []
    taken = _commit(store, dataset_id, batch, taken)
    accepted = {o.name for o in taken if o.accepted}
    spoken_for = {n for name in accepted for n in caption_files.caption_names(name)}
    loose = {name: text for name, text in captions.items() if name not in spoken_for}
    return taken + outcomes + _attach(store, dataset_id, loose, caption_outcomes)


def _commit(store: DatasetStore, dataset_id: str, batch: list[Picture], outcomes: list[Outcome]) -> list[Outcome]:
    if not batch:
        return outcomes
    waiting = caption_files.take_waiting(store, dataset_id, [p.name for p in batch if not p.text])
    batch = [replace(p, text=waiting[p.name], text_by="file") if p.name in waiting else p for p in batch]
    renamed = store.add(dataset_id, batch)
    notes = {pid: f"Another picture has this name, so it is called “{name}” here." for pid, name in renamed.items()}
    return [replace(o, reason=" ".join(filter(None, (o.reason, notes.pop(o.picture_id or "", ""))))) for o in outcomes]


def _take_picture(store: DatasetStore, dataset_id: str, file: Found, known: dict[str, str]) -> tuple[Picture, str]:
    size = file.path.stat().st_size
    if size > MAX_BYTES:
        raise DarkroomError(f"The file has {size / 2**20:,.0f} MiB; at most {MAX_BYTES // 2**20} MiB are taken. Make it smaller.")
    data = file.path.read_bytes()
    picture_id = hashlib.sha256(data).hexdigest()[:24]
    if picture_id in known:
        raise DarkroomError(f"It is already here as “{known[picture_id]}”. The same picture twice would count double.")
    decoded = decode_picture(data)
    folder = store.workspace.dataset(dataset_id)
    copy = encode_png(decoded.image)
    sha256 = hashlib.sha256(copy).hexdigest()
    try:
        files.write_bytes(folder / ".originals" / f"{picture_id}.{decoded.suffix}", data)
        files.write_bytes(folder / "images" / f"{picture_id}.png", copy)
        thumbnails.write_thumbnail(store.workspace.cache, decoded.image, sha256, max(thumbnails.SIZES))
        write_measures(store.workspace.cache, sha256, measure_picture(decoded.image))
    except OSError as error:
        raise explain_disk(error) from None
    width, height = decoded.image.size
    file_name = f"images/{picture_id}.png"
    picture = Picture(picture_id, file.name, file_name, width, height, size, "", "", 1, sha256)
    return picture, " ".join(decoded.notes)


def _read_captions(found: list[Found]) -> tuple[dict[str, str], list[Outcome]]:
    """Texts by name of the caption file (or `name of the picture + .txt` where a list names it), and what could not be read."""
    texts: dict[str, str] = {}
    outcomes = []
    for file in found:
        try:
            if _kind(file.name, file.path) == "list":
                listed = dict(_read_list(file))
                texts |= {n: t for n, t in listed.items() if n not in texts}
                outcomes.append(Outcome(file.name, True, None, f"It holds {len(listed):,} captions."))
            else:
                texts[file.name] = caption_files.read_caption(file.path)
        except DarkroomError as refusal:
            outcomes.append(Outcome(file.name, False, None, refusal.text))
    return texts, outcomes


def _read_list(file: Found) -> Iterator[tuple[str, str]]:
    text = caption_files.decode_text(file.path.read_bytes())
    folder = PurePosixPath(file.name).parent
    try:
        rows: Iterable[dict[str, str]]
        if file.name.lower().endswith(".csv"):
            rows = list(csv.DictReader(io.StringIO(text)))
        else:
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
        for row in rows:
            name = str(row["file_name"])
            yield f"{(folder / name).as_posix().removeprefix('./')}.txt", caption_files.clean_caption(str(row.get("text") or ""))
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error):
        raise DarkroomError(f"{file.name} is not a list of captions: each line needs file_name and text.") from None


def _attach(store: DatasetStore, dataset_id: str, texts: dict[str, str], outcomes: list[Outcome]) -> list[Outcome]:
    for name, (picture, kept) in caption_files.give_captions(store, dataset_id, texts).items():
        if picture is None:
            outcomes.append(Outcome(name, True, None, "No picture has this name yet. The caption waits for it."))
        elif kept:
            outcomes.append(Outcome(name, False, picture.id, f"“{picture.name}” has words of your own; they stay."))
        else:
            outcomes.append(Outcome(name, True, picture.id, ""))
    return outcomes


def _kind(name: str, path: Path) -> str:
    lower = PurePosixPath(name).name.lower()
    suffix = PurePosixPath(lower).suffix
    if lower in ("metadata.jsonl", "metadata.csv"):
        return "list"
    if suffix in (".txt", ".caption"):
        return "caption"
    if suffix in PICTURE_SUFFIXES:
        return "picture"
    if suffix == ".zip":
        return "zip"
    return "picture" if _looks_like_picture(path) else "other"


def _looks_like_picture(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        return False
    starts = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"GIF8")
    return head.startswith(starts) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def _refuse_kind(file: Found) -> str:
    if file.name.lower().endswith(".zip"):
        return "It is a ZIP inside a ZIP, which is not opened. Unpack it and add its pictures."
    return "It is neither a picture nor a caption. Pictures: PNG, JPEG, WebP, BMP, TIFF, GIF. Captions: .txt."


def _is_silent(name: str) -> bool:
    parts = PurePosixPath(unicodedata.normalize("NFC", name)).parts
    return parts[-1].lower() in _SILENT or parts[-1].startswith("._") or "__MACOSX" in parts


def _without_common_folder(found: list[Found]) -> list[Found]:
    """`zog/a.png`, `zog/b.png` -> `a.png`, `b.png`: one folder around everything says nothing."""
    kept = [f for f in found if not _is_silent(f.name)]
    while kept and all("/" in f.name for f in kept) and len({f.name.split("/")[0] for f in kept}) == 1:
        kept = [Found(f.name.split("/", 1)[1], f.path) for f in kept]
    return kept

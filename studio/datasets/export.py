"""A data set for other programs: pictures with a .txt beside each, or pairs in two folders, and metadata.jsonl that names them all."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from backends.contract.errors import DarkroomError
from backends.contract.judging import HELD_OUT
from studio.datasets.export_plan import has_masks, mask_of, measure_export, require_room, require_rows, whole_rows
from studio.datasets.formats.kohya import name_repeated
from studio.datasets.formats.mask_names import BESIDE, MASK_COLUMN, MASK_FOLDER
from studio.datasets.rows import METADATA, Picture
from studio.datasets.store import DatasetStore
from studio.datasets.watch import Watch

MaskStyle = Literal["folder", "beside"]
MASK_STYLES: tuple[MaskStyle, ...] = get_args(MaskStyle)
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


@dataclass(frozen=True)
class Layout:
    """How the files lie.

    `masks`: in a folder `masks` under their pictures' names, or beside each as `name-masklabel.png`. `repeats`: pictures lie in folders
    `10_zog`, as kohya's scripts want them: those that came in such a folder in theirs, all others in one with this number; 0 for none.
    """

    masks: MaskStyle = "folder"
    repeats: int = 0


def export_dataset(store: DatasetStore, dataset_id: str, out: Path, *, layout: Layout | None = None, watch: Watch | None = None) -> Path:
    """Writes the data set to `out`: a ZIP where the name ends in .zip, else a folder that must be empty or new.

    The pictures are the training copies (upright, sRGB, without any metadata), under the names they came with, with their masks. Edit
    pairs lie in input_images/ and output_images/; one that still waits for a side is left out, and so is what is excluded from
    training. What breaks off or is stopped leaves nothing behind.

    Raises:
        DarkroomError: When there is nothing to write, no room for it, or no right to write there.
        Stopped: When `watch` says so.
    """
    out, watch, layout = Path(out), watch or Watch(), layout or Layout()
    total = require_rows(store, dataset_id)
    if layout.repeats and store.info(dataset_id).kind == "pairs":
        raise DarkroomError("Folders with repeats are for single pictures; these are edit pairs. Export them without repeats.")
    watch.begin("Counting what it takes")
    require_room(out.parent, measure_export(store, dataset_id))
    watch.begin("Writing", total, "row")
    contents = _contents(store, dataset_id, layout, watch)
    try:
        return _write_zip(contents, out) if out.suffix.lower() == ".zip" else _write_folder(contents, out)
    except OSError as error:
        raise DarkroomError(f"{out} cannot be written: {error.strerror}. Choose another place, or free some space.") from None


def name_exports(pictures: Iterable[Picture]) -> Iterator[tuple[Picture, str]]:
    """Each picture with a file name that every system can hold and no other has, in any case of letters."""
    taken: set[str] = {METADATA}
    for picture in pictures:
        stem = safe_stem(picture.name)
        stem = stem if not stem.casefold().endswith(BESIDE) else f"{stem}_"  # else it would be taken for the mask of another
        candidate, count = stem, 1
        while unicodedata.normalize("NFC", candidate).casefold() in taken:
            count += 1
            candidate = f"{stem}_{count}"
        taken.add(unicodedata.normalize("NFC", candidate).casefold())
        yield picture, f"{candidate}.png"


def safe_stem(name: str) -> str:
    """A file name without its ending, made of what every file system takes; at most 100 bytes."""
    base = unicodedata.normalize("NFC", name.replace("\\", "/")).rsplit("/", 1)[-1]
    stem = base.rpartition(".")[0] or base
    stem = re.sub(r'[<>:"|?*\s]+', "_", "".join(c for c in stem if c.isprintable() or c == " ")).strip("._- ")
    stem = stem.encode("utf-8")[:100].decode("utf-8", "ignore").rstrip("._- ")
    return f"_{stem}" if stem.casefold() in _RESERVED else stem or "picture"


def _contents(store: DatasetStore, dataset_id: str, layout: Layout, watch: Watch) -> Iterator[tuple[str, Path | str]]:
    """Every file of the export; the list comes last."""
    folder, lines, masked = store.workspace.dataset(dataset_id), list[str](), has_masks(store, dataset_id)
    info = store.info(dataset_id)
    for picture, name in name_exports(watch.counted(whole_rows(store, dataset_id))):
        line: dict[str, str | bool | None]
        if picture.before and picture.after:
            before, after = f"input_images/{name}", f"output_images/{name}"
            line = {"input_image": before, "instruction": picture.text, "output_image": after}
            yield before, folder / picture.before.file
            yield after, folder / picture.after.file
        else:
            above = f"{name_repeated(picture.name, layout.repeats, info.trigger_word or info.name)}/" if layout.repeats else ""
            stem = above + name.removesuffix(".png")
            line = {"file_name": f"{stem}.png", "text": picture.text}
            yield f"{stem}.png", folder / picture.file
            if picture.text:
                yield f"{stem}.txt", picture.text + "\n"
            mask = mask_of(folder, picture)
            own = None if mask is None else f"{MASK_FOLDER}/{name}" if layout.masks == "folder" else f"{stem}{BESIDE}.png"
            if mask and own:
                yield own, mask
            line |= {MASK_COLUMN: own} if masked else {}
        line |= {HELD_OUT: picture.judges} if info.num_judges else {}
        lines.append(json.dumps(line, ensure_ascii=False))
    yield METADATA, "".join(f"{line}\n" for line in lines)


def _write_zip(contents: Iterable[tuple[str, Path | str]], out: Path) -> Path:
    handle, temporary = tempfile.mkstemp(dir=out.parent, prefix=".export-", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, content in contents:
                if isinstance(content, Path):
                    archive.write(content, name)
                else:
                    archive.writestr(name, content)
        os.replace(temporary, out)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return out


def _write_folder(contents: Iterable[tuple[str, Path | str]], out: Path) -> Path:
    was_there = out.is_dir()
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise DarkroomError(f"The folder {out} is not empty. Give a new or empty folder, so that nothing of yours is overwritten.")
    try:
        for name, content in contents:
            (out / name).parent.mkdir(exist_ok=True)
            if isinstance(content, Path):
                shutil.copyfile(content, out / name)
            else:
                (out / name).write_text(content, "utf-8")
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        if was_there:
            out.mkdir(exist_ok=True)
        raise
    return out

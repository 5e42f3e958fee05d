"""A data set for other programs: pictures with a .txt beside each, or pairs in two folders, and metadata.jsonl that names them all."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path

from backends.contract.errors import DarkroomError
from studio.datasets.rows import METADATA, Picture
from studio.datasets.store import DatasetStore

_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def export_dataset(store: DatasetStore, dataset_id: str, out: Path) -> Path:
    """Writes the data set to `out`: a ZIP where the name ends in .zip, else a folder that must be empty or new.

    The pictures are the training copies (upright, sRGB, without any metadata), under the names they came with. Edit pairs
    lie in input_images/ and output_images/; one that still waits for a side is left out, and so is what is excluded from training.
    """
    out = Path(out)
    pairs = store.info(dataset_id).kind == "pairs"
    pictures = [p for p in store.training_pictures(dataset_id) if not p.missing]
    if not pictures and store.info(dataset_id).num_excluded:
        raise DarkroomError("There is nothing to export: all that is whole is excluded from training. Include some on the Dataset page.")
    if not pictures:
        raise DarkroomError(f"There is nothing to export: the data set has no {'complete pairs' if pairs else 'pictures'} yet.")
    try:
        if out.suffix.lower() == ".zip":
            return _write_zip(store, dataset_id, pictures, out)
        return _write_folder(store, dataset_id, pictures, out)
    except OSError as error:
        raise DarkroomError(f"{out} cannot be written: {error.strerror}. Choose another place.") from None


def name_exports(pictures: list[Picture]) -> Iterator[tuple[Picture, str]]:
    """Each picture with a file name that every system can hold and no other has, in any case of letters."""
    taken: set[str] = {METADATA}
    for picture in pictures:
        stem = safe_stem(picture.name)
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


def _contents(store: DatasetStore, dataset_id: str, pictures: list[Picture]) -> Iterator[tuple[str, Path | str]]:
    folder, lines = store.workspace.dataset(dataset_id), []
    for picture, name in name_exports(pictures):
        if picture.before and picture.after:
            line = {"input_image": f"input_images/{name}", "instruction": picture.text, "output_image": f"output_images/{name}"}
            yield line["input_image"], folder / picture.before.file
            yield line["output_image"], folder / picture.after.file
        else:
            line = {"file_name": name, "text": picture.text}
            yield name, folder / picture.file
            if picture.text:
                yield f"{name.removesuffix('.png')}.txt", picture.text + "\n"
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    yield METADATA, "".join(lines)


def _write_zip(store: DatasetStore, dataset_id: str, pictures: list[Picture], out: Path) -> Path:
    handle, temporary = tempfile.mkstemp(dir=out.parent, prefix=".export-", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, content in _contents(store, dataset_id, pictures):
                if isinstance(content, Path):
                    archive.write(content, name)
                else:
                    archive.writestr(name, content)
        os.replace(temporary, out)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return out


def _write_folder(store: DatasetStore, dataset_id: str, pictures: list[Picture], out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise DarkroomError(f"The folder {out} is not empty. Give a new or empty folder, so that nothing of yours is overwritten.")
    for name, content in _contents(store, dataset_id, pictures):
        (out / name).parent.mkdir(exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, out / name)
        else:
            (out / name).write_text(content, "utf-8")
    return out

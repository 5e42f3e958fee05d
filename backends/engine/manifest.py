"""The frozen data set of a run: read from its manifest, or built from a folder or a `datasets` data set."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from backends.contract import files
from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from backends.engine.seeds import mix_seed
from backends.methods.protocol import Row

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
_KNOWN = {"id", "file", "caption", "width", "height", "held_out"}


def read_manifest(path: Path) -> list[Row]:
    """The rows of a manifest.

    Raises:
        DarkroomError: When it is empty or a line is not what it should be; names the line.
    """
    rows = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            rows.append(
                Row(
                    id=str(value["id"]),
                    file=Path(value["file"]),
                    caption=str(value["caption"]),
                    width=int(value["width"]),
                    height=int(value["height"]),
                    held_out=bool(value["held_out"]),
                    extra={k: v for k, v in value.items() if k not in _KNOWN},
                )
            )
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise DarkroomError(f"Line {number} of {path.name} cannot be read ({error}). Start a new run from the data set.") from None
    if not rows:
        raise DarkroomError("The run has no pictures. Add some to the data set, then start a new run.", field="train_data_dir")
    return rows


def ensure_manifest(run: RunDir, config: Any, *, held_out_share: float) -> None:
    """Builds the manifest where the studio has not written one, from the settings' folder or data set.

    Raises:
        DarkroomError: When the settings name neither, or no picture is found there.
    """
    if run.manifest.is_file():
        return
    if config.train_data_dir:
        found = _read_folder(Path(config.train_data_dir).expanduser())
    elif config.dataset_name:
        found = _read_hub_dataset(run, config)
    else:
        raise DarkroomError(
            "The run has no pictures: there is no manifest.jsonl in its folder, and neither a folder with pictures (train_data_dir) "
            "nor a data set (dataset_name) is given.",
            field="train_data_dir",
        )
    rows = sorted({row["id"]: row for row in found}.values(), key=lambda row: row["file"])
    for identity in choose_held_out([row["id"] for row in rows], held_out_share):
        next(row for row in rows if row["id"] == identity)["held_out"] = True
    files.write_text(run.manifest, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def choose_held_out(ids: list[str], share: float) -> list[str]:
    """The ids that judge: the given share, at least one, by the order of their hashes; none of a single picture."""
    if share <= 0 or len(ids) < 2:
        return []
    return sorted(ids)[: max(1, round(share * len(ids)))]


def limit_rows(rows: list[Row], limit: int | None, seed: int) -> list[Row]:
    """At most `limit` training rows, drawn by the seed; those held out all stay."""
    training = [row for row in rows if not row.held_out]
    if limit is None or len(training) <= limit:
        return rows
    chosen = {row.id for row in sorted(training, key=lambda row: mix_seed(seed, "limit", row.id))[:limit]}
    return [row for row in rows if row.held_out or row.id in chosen]


def compute_dataset_hash(rows: Iterable[Row]) -> str:
    """Changes when a picture, a caption or who is held out does; not with the folder they lie in."""
    lines = sorted(json.dumps([r.id, r.caption, r.held_out]) for r in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _read_folder(folder: Path) -> list[dict[str, Any]]:
    if not folder.is_dir():
        raise DarkroomError(f"The folder {folder} does not exist.", field="train_data_dir")
    listed = folder / "metadata.jsonl"
    if listed.is_file():
        named = _read_metadata(listed)
    else:
        pictures = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        named = [(p, p.with_suffix(".txt").read_text("utf-8").strip() if p.with_suffix(".txt").is_file() else "") for p in pictures]
    if not named:
        raise DarkroomError(f"There are no pictures in {folder}; they may be {', '.join(sorted(SUFFIXES))}.", field="train_data_dir")
    return [_row(path, caption) for path, caption in named]


def _read_metadata(path: Path) -> list[tuple[Path, str]]:
    named = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            file = (path.parent / value["file_name"]).resolve()
            named.append((file, str(value.get("text") or "")))
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise DarkroomError(f"Line {number} of {path} has no file_name or is not JSON ({error}).", field="train_data_dir") from None
        if not file.is_file():
            raise DarkroomError(f"Line {number} of {path} names {value['file_name']}, which is not there.", field="train_data_dir")
    return named


def _row(path: Path, caption: str) -> dict[str, Any]:
    data = path.read_bytes()
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = ImageOps.exif_transpose(picture).size
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError, SyntaxError) as error:
        raise DarkroomError(f"The picture {path.name} cannot be read: {error}. Replace or remove it.", field="train_data_dir") from None
    identity = hashlib.sha256(data).hexdigest()
    return {"id": identity, "file": str(path.absolute()), "caption": caption, "width": width, "height": height, "held_out": False}


def _read_hub_dataset(run: RunDir, config: Any) -> list[dict[str, Any]]:
    """Pictures of a `datasets` data set, written out as files beside the run, because a manifest names files."""
    import datasets

    name = config.dataset_name
    try:
        if Path(name).expanduser().is_dir() and (Path(name).expanduser() / "dataset_info.json").is_file():
            loaded = datasets.load_from_disk(str(Path(name).expanduser()))
        elif Path(name).expanduser().is_dir() and (Path(name).expanduser() / "dataset_dict.json").is_file():
            loaded = datasets.load_from_disk(str(Path(name).expanduser()))["train"]
        else:
            loaded = datasets.load_dataset(name, config.dataset_config_name, cache_dir=config.cache_dir, split="train")
    except (OSError, ValueError, KeyError, ConnectionError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise DarkroomError(f"The data set “{name}” cannot be loaded: {first}", field="dataset_name") from error
    for field in ("image_column", "caption_column"):
        column = getattr(config, field)
        if column not in loaded.column_names:
            known = ", ".join(loaded.column_names)
            raise DarkroomError(f"The data set “{name}” has no column “{column}”. It has: {known}.", field=field)
    loaded = loaded.cast_column(config.image_column, datasets.Image(decode=False))
    folder = run.root / "pictures"
    folder.mkdir(exist_ok=True)
    rows = []
    for number, value in enumerate(loaded):
        picture, caption = value[config.image_column], value[config.caption_column]
        data = picture["bytes"] if picture["bytes"] is not None else Path(picture["path"]).read_bytes()
        suffix = os.path.splitext(picture["path"] or "")[1].lower()
        path = folder / f"{number:06d}{suffix if suffix in SUFFIXES else '.png'}"
        path.write_bytes(data)
        rows.append(_row(path, str(caption[0] if isinstance(caption, list) and caption else caption or "")))
    return rows

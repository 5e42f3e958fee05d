"""Pictures and pairs for a run that was started without the studio: from a folder, or from a data set of `datasets`."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from backends.contract.errors import DarkroomError
from backends.contract.judging import HELD_OUT, read_mark
from backends.contract.rundir import RunDir
from backends.contract.settings.pictures import wants_pairs

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
# The names that a pair's columns have here and there, beside those of the settings.
_PAIR_NAMES = {
    "input": ("input_image", "original_image", "input"),
    "instruction": ("instruction", "edit_prompt", "edit"),
    "output": ("output_image", "edited_image", "output"),
}


def gather_rows(run: RunDir, config: Any) -> list[dict[str, Any]]:
    """Rows of a manifest from the folder or the data set that the settings name.

    Raises:
        DarkroomError: When they name neither, or what is there cannot be read; names the file or line.
    """
    field = "instance_data_dir" if hasattr(config, "instance_data_dir") else "train_data_dir"
    folder = getattr(config, field)
    if not folder and not config.dataset_name:
        raise DarkroomError(
            f"The run has no pictures: there is no manifest.jsonl in its folder, and neither a folder with pictures ({field}) "
            "nor a data set (dataset_name) is given.",
            field=field,
        )
    if folder:
        source = Path(folder).expanduser()
        if not source.is_dir():
            raise DarkroomError(f"The folder {source} does not exist.", field=field)
        return _read_pair_folder(source, field) if wants_pairs(config) else _read_folder(source, field)
    return _read_hub_dataset(run, config)


def list_pictures(folder: Path) -> list[Path]:
    """Pictures in a folder and below it, in the order of their names."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)


def read_row(path: Path, caption: str, *, field: str, **extra: Any) -> dict[str, Any]:
    """A manifest's row for one picture: the content's hash, its size upright.

    Raises:
        DarkroomError: When it is no picture; names it.
    """
    data = path.read_bytes()
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = ImageOps.exif_transpose(picture).size
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError, SyntaxError) as error:
        raise DarkroomError(f"The picture {path.name} cannot be read: {error}. Replace or remove it.", field=field) from None
    identity = hashlib.sha256(data).hexdigest()
    return {"id": identity, "file": str(path.absolute()), "caption": caption, "width": width, "height": height, "held_out": False, **extra}


def _pair_row(before: Path, instruction: str, after: Path, field: str) -> dict[str, Any]:
    first, second = read_row(before, "", field=field), read_row(after, instruction, field=field)
    sizes = [(row["width"], row["height"]) for row in (first, second)]
    if sizes[0] != sizes[1]:
        (w, h), (w2, h2) = sizes
        raise DarkroomError(
            f"{before.name} has {w} × {h} px and {after.name} {w2} × {h2} px; both pictures of a pair must have one size. "
            "Cut or scale one of them.",
            field=field,
        )
    identity = hashlib.sha256(f"{first['id']} {second['id']}".encode()).hexdigest()
    return {**second, "id": identity, "input_file": first["file"], "input_id": first["id"]}


def _read_pair_folder(folder: Path, field: str) -> list[dict[str, Any]]:
    listed = folder / "metadata.jsonl"
    if not listed.is_file():
        raise DarkroomError(
            f"The folder {folder} has no metadata.jsonl. A pair is a line in it such as "
            '{"input_image": "input_images/001.jpg", "instruction": "make the sky blue", "output_image": "output_images/001.jpg"}.',
            field=field,
        )
    rows = []
    for number, value in _read_lines(listed, field):
        named = {part: next((value[n] for n in names if n in value), None) for part, names in _PAIR_NAMES.items()}
        if not named["input"] or not named["output"]:
            raise DarkroomError(
                f"Line {number} of {listed} lacks one half of its pair: it needs input_image and output_image.", field=field
            )
        halves = [_existing(listed, number, str(named[part]), field) for part in ("input", "output")]
        row = _pair_row(halves[0], str(named["instruction"] or ""), halves[1], field)
        rows.append(row | {HELD_OUT: _read_mark(listed, number, value, field)})
    return rows


def _read_folder(folder: Path, field: str) -> list[dict[str, Any]]:
    listed = folder / "metadata.jsonl"
    if listed.is_file():
        named = [
            (_existing(listed, number, str(value.get("file_name", "")), field), str(value.get("text") or ""), number, value)
            for number, value in _read_lines(listed, field)
        ]
    else:
        named = [(p, _read_caption(p.with_suffix(".txt")), 0, {}) for p in list_pictures(folder)]
    if not named:
        raise DarkroomError(f"There are no pictures in {folder}; they may be {', '.join(sorted(SUFFIXES))}.", field=field)
    return [
        read_row(path, caption, field=field) | {HELD_OUT: _read_mark(listed, number, value, field)}
        for path, caption, number, value in named
    ]


def _read_mark(listed: Path, number: int, value: dict[str, Any], field: str) -> bool:
    """Whether a line says that its picture judges."""
    try:
        return read_mark(value.get(HELD_OUT))
    except DarkroomError as error:
        raise DarkroomError(f"Line {number} of {listed}: {error.text}", field=field) from None


def _read_caption(path: Path) -> str:
    return path.read_text("utf-8").strip() if path.is_file() else ""


def _read_lines(path: Path, field: str) -> Iterable[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise DarkroomError(f"Line {number} of {path} is not JSON ({error}).", field=field) from None
        if not isinstance(value, dict):
            raise DarkroomError(f"Line {number} of {path} is not an object with names and values.", field=field)
        yield number, value


def _existing(listed: Path, number: int, name: str, field: str) -> Path:
    if not name:
        raise DarkroomError(f"Line {number} of {listed} has no file_name.", field=field)
    file = (listed.parent / name).resolve()
    if not file.is_file():
        raise DarkroomError(f"Line {number} of {listed} names {name}, which is not there.", field=field)
    return file


def _read_hub_dataset(run: RunDir, config: Any) -> list[dict[str, Any]]:
    """Pictures of a `datasets` data set, written out as files beside the run, because a manifest names files."""
    import datasets

    loaded = _load_dataset(config)
    columns = _find_columns(config, loaded.column_names)
    images = [columns[part] for part in ("image", "input", "output") if part in columns]
    for column in images:
        loaded = loaded.cast_column(column, datasets.Image(decode=False))
    folder = run.root / "pictures"
    folder.mkdir(exist_ok=True)
    rows = []
    for number, value in enumerate(loaded):
        paths = {column: _write_picture(folder, f"{number:06d}_{place}", value[column]) for place, column in enumerate(images)}
        words = _first_text(value[columns["words"]]) if "words" in columns else ""
        if "image" in columns:
            row = read_row(paths[columns["image"]], words, field="dataset_name")
        else:
            row = _pair_row(paths[columns["input"]], words, paths[columns["output"]], "dataset_name")
        try:
            rows.append(row | {HELD_OUT: read_mark(value.get(HELD_OUT))})
        except DarkroomError as error:
            raise DarkroomError(f"Row {number + 1} of “{config.dataset_name}”: {error.text}", field="dataset_name") from None
    return rows


def _load_dataset(config: Any) -> Any:
    import datasets

    name = config.dataset_name
    local = Path(name).expanduser()
    try:
        if local.is_dir() and (local / "dataset_info.json").is_file():
            return datasets.load_from_disk(str(local))
        if local.is_dir() and (local / "dataset_dict.json").is_file():
            return datasets.load_from_disk(str(local))["train"]
        return datasets.load_dataset(name, config.dataset_config_name, cache_dir=config.cache_dir, split="train")
    except (OSError, ValueError, KeyError, ConnectionError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise DarkroomError(f"The data set “{name}” cannot be loaded: {first}", field="dataset_name") from error


def _find_columns(config: Any, known: list[str]) -> dict[str, str]:
    """Part -> column. Where a column of pairs is not there under the settings' name, the other usual names are tried."""
    if not wants_pairs(config):
        fields = {"image": "image_column", "words": "caption_column"}
        return {part: _find_column(config, field, (), known) for part, field in fields.items()}
    fields = {"input": "original_image_column", "words": "edit_prompt_column", "output": "edited_image_column"}
    others = {"input": _PAIR_NAMES["input"], "words": _PAIR_NAMES["instruction"], "output": _PAIR_NAMES["output"]}
    return {part: _find_column(config, field, others[part], known) for part, field in fields.items()}


def _find_column(config: Any, field: str, others: tuple[str, ...], known: list[str]) -> str:
    for column in (getattr(config, field), *others):
        if column in known:
            return str(column)
    raise DarkroomError(
        f"The data set “{config.dataset_name}” has no column “{getattr(config, field)}”. It has: {', '.join(known)}.", field=field
    )


def _write_picture(folder: Path, stem: str, picture: dict[str, Any]) -> Path:
    data = picture["bytes"] if picture["bytes"] is not None else Path(picture["path"]).read_bytes()
    suffix = os.path.splitext(picture["path"] or "")[1].lower()
    path = folder / f"{stem}{suffix if suffix in SUFFIXES else '.png'}"
    path.write_bytes(data)
    return path


def _first_text(value: Any) -> str:
    return str(value[0] if isinstance(value, list) and value else value or "")

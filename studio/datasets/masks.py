"""Masks of single pictures: what of them a training with `masked_loss` learns. Each lies beside its picture and is cut as it is."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageChops

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets.edits import MASKS, edit_of, mask_copy, whole_of
from studio.datasets.pictures import FORMATS, MAX_BYTES, MAX_PIXELS, PictureRefused, decode_alpha
from studio.datasets.rows import ImageFile, Picture, whole_id
from studio.datasets.store import DatasetStore, explain_disk, found_picture

AUTO = "-auto"  # end of the name of a mask that nobody has looked at
_DIGITS = 12
_SHAPE_SLACK = 0.02  # of width over height: sides are whole px
_GREY = 24  # of 255 between two colours of a place


def set_masks(store: DatasetStore, dataset_id: str, masks: Mapping[str, Image.Image | None], *, undoable: bool = True) -> str:
    """Gives pictures masks, or takes them away. The token undoes it; it is empty where it is no step of a person's.

    Args:
        store: Where the data set lies.
        dataset_id: Which one.
        masks: Row id -> grey picture of the size of the whole one, white where it is learnt; None for no mask.
        undoable: Whether it can be undone by itself; not where the masks come in with their pictures.

    Raises:
        DarkroomError: When a row is gone or a pair, a mask has another size, or covers nothing at all.
    """
    folder, index = store.workspace.dataset(dataset_id), store.index(dataset_id)
    rows = {row_id: found_picture(index.get(row_id), row_id) for row_id in masks}
    written = {row_id: _write_checked(folder, rows[row_id], mask) if mask is not None else "" for row_id, mask in masks.items()}
    return name_masks(store, dataset_id, written, undoable=undoable)[0]


def name_masks(
    store: DatasetStore, dataset_id: str, masks: Mapping[str, str], before: Mapping[str, str] | None = None, *, undoable: bool = True
) -> tuple[str, int]:
    """Gives rows masks whose files are written already (see `write_mask`); an empty name takes one away. A token undoes it.

    Args:
        store: Where the data set lies.
        dataset_id: Which one.
        masks: Row id -> the mask's file.
        before: Row id -> the mask that it had when it was looked at. Rows that are gone, or have another one by now, stay as they are.
        undoable: As in `set_masks`.

    Returns:
        The token, and how many rows it is about.
    """
    with store.index(dataset_id).change() as changes:
        if before is None:
            found = [found_picture(changes.get(row_id), row_id) for row_id in masks]
        else:
            there = (changes.get(row_id) for row_id in masks)
            found = [row for row in there if row is not None and row.mask == before[row.id]]
        token = store.remember(dataset_id, "mask", changes, found) if undoable else ""
        for row in found:
            changes.put(replace(row, mask=masks[row.id]))
    return token, len(found)


def is_auto(mask: str) -> bool:
    """Whether a mask was made without a hand and nobody has looked at it since."""
    return Path(mask).stem.endswith(AUTO)


def masks_of_alpha(
    store: DatasetStore, dataset_id: str, rows: Iterable[Picture], progress: Callable[[int], None] | None = None
) -> dict[str, Image.Image | None]:
    """Masks of the transparency that files came with, by row id; of those without any nothing."""
    folder = store.workspace.dataset(dataset_id) / ".originals"
    found: dict[str, Image.Image | None] = {}
    for number, row in enumerate(rows, 1):
        original = next(folder.glob(f"{whole_id(row.images[0].id)}.*"), None)
        alpha = decode_alpha(original.read_bytes()) if original and row.before is None else None
        if alpha is not None and alpha.getextrema()[1]:
            found[row.id] = alpha
        if progress:
            progress(number)
    return found


def fit_mask(mask: Image.Image, size: tuple[int, int]) -> Image.Image | None:
    """The mask in the size of its picture; of a large picture a smaller copy may have been painted on. None where the shape is another."""
    width, height = size
    if abs(mask.width * height / (mask.height * width) - 1) > _SHAPE_SLACK:
        return None
    return mask if mask.size == size else mask.resize(size, Image.Resampling.BILINEAR)


def is_grey(data: bytes) -> bool:
    """Whether a picture file is without colour, but for what JPEG makes of grey; also where it cannot be read, which is told elsewhere."""
    try:
        with Image.open(io.BytesIO(data), formats=list(FORMATS)) as image:
            if image.width * image.height > MAX_PIXELS:
                return True
            small = image.convert("RGB").resize((32, 32), Image.Resampling.BOX)
    except Exception:  # noqa: BLE001 - a decoder that is fed a stranger's bytes may raise anything
        return True
    red, green, blue = small.split()
    return all(max(ImageChops.difference(red, other).tobytes()) <= _GREY for other in (green, blue))


def read_mask_file(data: bytes) -> Image.Image:
    """A mask that a person painted, here or elsewhere; what is bright and opaque is learnt.

    Raises:
        PictureRefused: When it cannot be read.
    """
    if len(data) > MAX_BYTES:
        raise PictureRefused(f"The mask has {len(data) / 2**20:,.0f} MiB; at most {MAX_BYTES // 2**20} MiB are taken.")
    try:
        image = Image.open(io.BytesIO(data), formats=list(FORMATS))
        if image.width * image.height > MAX_PIXELS:
            raise PictureRefused(f"The mask has {image.width:,} x {image.height:,} px; at most {MAX_PIXELS // 10**6} megapixels are taken.")
        image.load()
        return Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA")).convert("L")
    except PictureRefused:
        raise
    except Exception:  # noqa: BLE001 - a decoder that is fed a stranger's bytes may raise anything; each is a refusal
        raise PictureRefused("The mask is not a PNG, JPEG or WebP that can be read. Save it again as PNG.") from None


def find_mask(folder: Path, row: Picture) -> Path | None:
    """The mask of a picture as it is shown, cut, turned and mirrored as the picture is; made where it is not there yet.

    Raises:
        DarkroomError: When the mask's file is gone or damaged, or the disk is full.
    """
    (image,) = row.images if row.before is None else (None,)
    if image is None or not image.mask:
        return None
    path = folder / mask_copy(image)
    try:
        if not image.edit or path.is_file():
            with Image.open(path, formats=["PNG"]) as known:
                known.verify()
            return path
        with Image.open(folder / image.mask, formats=["PNG"]) as whole:
            files.write_bytes(path, _encode(edit_of(image).apply(whole.convert("L"))))
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, OSError) and error.errno and not isinstance(error, FileNotFoundError):
            raise explain_disk(error) from None
        raise DarkroomError(f"The mask of “{row.name}” is gone or damaged. Make it anew on the Dataset page, or take it away.") from None
    return path


def _write_checked(folder: Path, row: Picture, mask: Image.Image) -> str:
    if row.before is not None:
        raise DarkroomError(f"“{row.name}” is an edit pair. Masks belong to single pictures.")
    whole = whole_of(row.images[0])
    if mask.size != (whole.width, whole.height):
        raise DarkroomError(
            f"The mask has {mask.width:,} x {mask.height:,} px and “{row.name}” {whole.width:,} x {whole.height:,} px. "
            "It must have the size of the whole picture."
        )
    grey = mask.convert("L")
    if not grey.getextrema()[1]:
        raise DarkroomError(f"The mask of “{row.name}” covers nothing, so that nothing would be learnt. Paint something, or exclude it.")
    return write_mask(folder, whole, grey)


def write_mask(folder: Path, of: Picture | ImageFile, mask: Image.Image | bytes, *, auto: bool = False) -> str:
    """Writes the mask of a whole picture, of its size, or the PNG of one; its file, relative to the data set's folder.

    Raises:
        DarkroomError: When the disk is full.
    """
    data = mask if isinstance(mask, bytes) else _encode(mask)
    name = f"{MASKS}/{whole_id(of.id)}-{hashlib.sha256(data).hexdigest()[:_DIGITS]}{AUTO if auto else ''}.png"
    try:
        (folder / MASKS).mkdir(exist_ok=True)
        files.write_bytes(folder / name, data)
    except OSError as error:
        raise explain_disk(error) from None
    return name


def _encode(mask: Image.Image) -> bytes:
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    return buffer.getvalue()

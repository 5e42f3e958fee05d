"""Masks that come as files beside their pictures: known by their names, laid on their pictures, never taken as pictures of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from backends.contract.errors import DarkroomError
from studio.datasets.edits import whole_of
from studio.datasets.formats.mask_names import MaskSpot, find_masks, read_mask_spot
from studio.datasets.incoming import Found, Outcome, image_id
from studio.datasets.masks import fit_mask, is_grey, read_mask_file, set_masks
from studio.datasets.rows import Picture
from studio.datasets.store import DatasetStore
from studio.datasets.table import words_key
from studio.datasets.watch import Watch

_AT_ONCE = 64  # masks in memory


@dataclass(frozen=True)
class MaskFile:
    """A mask on its way in, and the name of its picture where that came along."""

    file: Found
    spot: MaskSpot
    owner: str


def part_masks(store: DatasetStore, dataset_id: str, found: Sequence[Found]) -> tuple[list[MaskFile], list[Found]]:
    """The masks among these files, and all others.

    A folder `masks` that comes alone holds masks where pictures of those names are here, and pictures where none are.
    """
    known = find_masks(file.name for file in found)
    masks, rest = [], []
    for file in found:
        spot = read_mask_spot(file.name)
        if spot and (file.name in known or _is_late(store, dataset_id, file, spot)):
            masks.append(MaskFile(file, spot, known.get(file.name, "")))
        else:
            rest.append(file)
    return masks, rest


def take_masks(
    store: DatasetStore,
    dataset_id: str,
    masks: Sequence[MaskFile],
    came: Mapping[str, str],
    watch: Watch | None = None,
    *,
    tell: bool = False,
) -> list[Outcome]:
    """Lays masks on their pictures; what became of each.

    Args:
        store: Where the data set lies.
        dataset_id: Which one.
        masks: What `part_masks` found.
        came: Name of a file -> id of the row that it became.
        watch: May end it: what came in stays.
        tell: Whether the watch counts them; not where they are a part of what it counts already.
    """
    if masks and watch and tell:
        watch.begin("Taking the masks in", len(masks), "mask")
    outcomes: list[Outcome] = []
    for part in (masks[at : at + _AT_ONCE] for at in range(0, len(masks), _AT_ONCE)):
        if watch and watch.stopped:
            break
        outcomes += _take_part(store, dataset_id, part, came)
        if watch and tell:
            watch.step(len(part))
    return outcomes


def refuse_masks(masks: Iterable[MaskFile]) -> list[Outcome]:
    """What is said of masks that come to edit pairs."""
    reason = "It is a mask by its name, and edit pairs know no masks. Leave it out; a picture of this kind needs another name."
    return [Outcome(mask.file.name, False, None, reason) for mask in masks]


def _take_part(store: DatasetStore, dataset_id: str, part: Sequence[MaskFile], came: Mapping[str, str]) -> list[Outcome]:
    outcomes, ready = [], dict[str, Image.Image | None]()
    for mask in part:
        try:
            row = _find_row(store, dataset_id, mask, came)
            if row.mask or row.id in ready:
                raise DarkroomError(f"“{row.name}” has a mask already; it stays. Take it away on the Dataset page, then add this one.")
            ready[row.id] = _read(row, mask)
            outcomes.append(Outcome(mask.file.name, True, row.id, f"It is the mask of “{row.name}”."))
        except DarkroomError as refusal:
            outcomes.append(Outcome(mask.file.name, False, None, refusal.text))
    if ready:
        set_masks(store, dataset_id, ready, undoable=False)
    return outcomes


def _read(row: Picture, mask: MaskFile) -> Image.Image:
    """The mask in the size of the whole picture.

    Raises:
        DarkroomError: When it cannot be read, has another shape, is in colour, or covers nothing.
    """
    data = mask.file.path.read_bytes()
    if not mask.spot.sure and not is_grey(data):
        raise DarkroomError(
            "It lies in a folder of masks and is in colour; a mask is black, white and grey. If it is a picture, move it to another folder."
        )
    whole = whole_of(row.images[0])
    fitted = fit_mask(read_mask_file(data), (whole.width, whole.height))
    if fitted is None:
        raise DarkroomError(f"It is the mask of “{row.name}” by its name and has another shape. It must show the whole picture.")
    if not fitted.getextrema()[1]:
        raise DarkroomError(f"It is the mask of “{row.name}” and covers nothing, so that nothing would be learnt. Paint one instead.")
    return fitted


def _find_row(store: DatasetStore, dataset_id: str, mask: MaskFile, came: Mapping[str, str]) -> Picture:
    row_id = came.get(mask.owner, "")
    row = store.index(dataset_id).get(row_id) if row_id else _find_here(store, dataset_id, mask.spot)
    if row is None:
        raise DarkroomError(
            f"It is a mask by its name, and its picture “{mask.spot.stem}” is not here. Add the picture first, or both together."
        )
    return row


def _find_here(store: DatasetStore, dataset_id: str, spot: MaskSpot) -> Picture | None:
    """The row in the data set; a folder around everything is not part of its name there."""
    sql = "SELECT rows.id FROM images JOIN rows USING (place) WHERE words_key = ? AND side = ''"
    with store.index(dataset_id).read() as table:
        for owner in spot.owners:
            parts = owner.split("/")
            for start in range(len(parts)):
                key = words_key("/".join(parts[start:]) + ".png")
                found = table.execute(sql, (key,)).fetchone()
                if found:
                    return store.index(dataset_id).get(found[0])
    return None


def _is_late(store: DatasetStore, dataset_id: str, file: Found, spot: MaskSpot) -> bool:
    """Whether it belongs to a picture that is here, and is not that picture once more."""
    if _find_here(store, dataset_id, spot) is None:
        return False
    return store.index(dataset_id).image(image_id(file.path.read_bytes())) is None

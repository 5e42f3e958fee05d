"""What leaves with a data set, how large it is, and whether the disk has room for it: told before anything is written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from backends.contract.errors import DarkroomError
from studio.datasets.masks import find_mask
from studio.datasets.rows import Picture
from studio.datasets.store import DatasetStore

SPARE_BYTES = 500 * 2**20
_ROW_BYTES = 600  # words, names and the heads of files around one row


def whole_rows(store: DatasetStore, dataset_id: str) -> Iterator[Picture]:
    """The rows that leave: without halves of pairs, and without what is excluded from training; some in memory at a time."""
    return (row for row in store.index(dataset_id).rows() if not row.missing and not row.excluded)


def has_masks(store: DatasetStore, dataset_id: str) -> bool:
    """Whether one of the rows that leave has a mask."""
    with store.index(dataset_id).read() as table:
        sql = "SELECT 1 FROM images JOIN rows USING (place) WHERE mask <> '' AND side = '' AND NOT excluded LIMIT 1"
        return table.execute(sql).fetchone() is not None


def require_rows(store: DatasetStore, dataset_id: str) -> int:
    """How many rows leave.

    Raises:
        DarkroomError: When there are none; says why.
    """
    info = store.info(dataset_id)
    if info.num_training < 1 and info.num_excluded:
        raise DarkroomError("There is nothing to export: all that is whole is excluded from training. Include some on the Dataset page.")
    if info.num_training < 1:
        what = "complete pairs" if info.kind == "pairs" else "pictures"
        raise DarkroomError(f"There is nothing to export: the data set has no {what} yet.")
    return info.num_training


def measure_export(store: DatasetStore, dataset_id: str) -> int:
    """So many bytes the export takes: those of the training copies and masks, with a little for each row. They are not packed smaller.

    Raises:
        DarkroomError: When a picture's file is gone; names it.
    """
    folder, total = store.workspace.dataset(dataset_id), 0
    for row in whole_rows(store, dataset_id):
        try:
            total += sum((folder / image.file).stat().st_size for image in row.images) + _ROW_BYTES
            total += (folder / row.mask).stat().st_size if row.mask else 0
        except OSError:
            raise DarkroomError(
                f"A file of “{row.name}” is gone from the workspace, so that the export would not be whole. Remove or exclude it on the "
                "Dataset page, then export again."
            ) from None
    return total


def require_room(place: Path, needed: int) -> None:
    """Refuses where the disk of `place` has less than `needed` bytes, and some in reserve.

    Raises:
        DarkroomError: With what is needed, what is free, and what to do.
    """
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed + SPARE_BYTES > free:
        raise DarkroomError(
            f"The export needs {needed / 1e6:,.0f} MB and the disk of {place} has {free / 1e6:,.0f} MB free; {SPARE_BYTES / 1e6:,.0f} MB "
            "stay in reserve. Make room or choose another place, then export again. Nothing was written."
        )


def mask_of(folder: Path, row: Picture) -> Path | None:
    """The mask of a row as it is shown, in the size of its training copy."""
    return find_mask(folder, row) if row.mask else None

"""What a page's export does beside the page: one file in the job's own folder, which can be downloaded until the job is put away."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal, get_args

from backends.contract.errors import DarkroomError
from studio.datasets.data_jobs import Job
from studio.datasets.export import Layout, export_dataset
from studio.datasets.export_plan import measure_export, require_room
from studio.datasets.formats.write_out import export_table
from studio.datasets.store import DatasetStore

Offered = Literal["zip", "parquet", "saved", "shards", "kohya"]
OFFERED: tuple[Offered, ...] = get_args(Offered)
NAMES: dict[Offered, str] = {
    "zip": "a ZIP of pictures",
    "parquet": "a Parquet file",
    "saved": "a saved data set",
    "shards": "shards",
    "kohya": "folders with repeats",
}
_PACKED_BYTES = 2**30  # the largest file that lies twice on the disk while a folder is packed


def export_file(store: DatasetStore, job: Job, form: Offered, repeats: int = 1) -> str:
    """Writes the job's data set as one file; what came of it, in words. A folder is packed into a ZIP, each file gone when it is in.

    Args:
        store: Where the data set lies.
        job: Has a folder of its own; is offered the file.
        form: What is written.
        repeats: Of `kohya`: how often a picture is shown that came in no folder which says so.

    Raises:
        DarkroomError: When there is nothing to write, or no room for it: before anything is written.
        Stopped: When somebody wants it to end.
    """
    if job.folder is None:
        raise DarkroomError("The export has no folder to write to. Start Darkroom anew, then export again.")
    folder, name = job.folder, job.dataset
    try:
        if form == "zip" or form == "kohya":
            layout = Layout(repeats=repeats if form == "kohya" else 0)
            made = export_dataset(store, name, folder / f"{name}.zip", layout=layout, watch=job.watch)
        elif form == "parquet":
            made = folder / f"{name}.parquet"
            export_table(store, name, made, form, job.watch)
        else:
            size = measure_export(store, name)
            require_room(folder, size + min(size, _PACKED_BYTES))
            export_table(store, name, folder / name, form, job.watch)
            made = _pack(folder / name, folder / f"{name}-{form}.zip", job)
    except OSError as error:
        reason = error.strerror or error
        raise DarkroomError(f"The export could not be written: {reason}. Make room on the disk, then export again.") from None
    job.made = made
    return f"{made.stat().st_size / 1e6:,.1f} MB are ready. They stay on the disk of the workspace until you close this or Darkroom ends."


def _pack(folder: Path, out: Path, job: Job) -> Path:
    found = sorted(folder.iterdir())
    job.watch.begin("Packing", len(found), "file")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path in job.watch.counted(found):
            archive.write(path, f"{folder.name}/{path.name}")
            path.unlink()
    return out

"""A data set, or a folder of seed pairs, as a table or shards with the pictures in it: what edit trainers and other programs read."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from backends.contract.errors import DarkroomError
from backends.contract.judging import HELD_OUT
from studio.datasets.export_plan import has_masks, measure_export, require_room, require_rows, whole_rows
from studio.datasets.formats import shards, tables
from studio.datasets.formats.columns import EDIT_COLUMNS, MASK, PICTURE_COLUMNS, Kind
from studio.datasets.masks import find_mask
from studio.datasets.pair_names import COLUMNS as PAIR_COLUMNS
from studio.datasets.pair_names import find_columns
from studio.datasets.rows import METADATA
from studio.datasets.store import DatasetStore
from studio.datasets.watch import Watch

Form = Literal["saved", "parquet", "shards"]
FORMS: tuple[Form, ...] = get_args(Form)
Record = tables.Record
_NAMED = 5


def export_table(store: DatasetStore, dataset_id: str, out: Path, form: Form, watch: Watch | None = None) -> int:
    """Writes the data set with the columns that trainers read by themselves: image and text, or original_image, edit_prompt, edited_image.

    The pictures are the training copies. Where one of them has a mask there is a column of masks too, empty in the other rows; where a
    person chose who judges, a column `held_out`. A pair that waits for a side is left out, and so is what is excluded from training.

    Raises:
        DarkroomError: When there is nothing to write, no room for it, or `out` is taken or cannot be written.
        Stopped: When `watch` says so; nothing is left behind then.
    """
    info, watch = store.info(dataset_id), watch or Watch()
    total = require_rows(store, dataset_id)
    watch.begin("Counting what it takes")
    require_room(out.parent, measure_export(store, dataset_id))
    watch.begin("Writing", total, "row")
    kinds = kinds_of(pairs=info.kind == "pairs", masks=has_masks(store, dataset_id), judges=info.num_judges > 0)
    rows = read_rows(store, dataset_id, masks=MASK in kinds, judges=HELD_OUT in kinds)
    return write_records(watch.counted(rows), kinds, out, form)


def convert_folder(source: Path, out: Path, form: Form, watch: Watch | None = None) -> int:
    """Writes seed pairs, a folder with `metadata.jsonl` of {input_image, instruction, output_image}, with the edit trainers' columns.

    Raises:
        DarkroomError: When a line is no pair, has no instruction, or names a file that is not there: all before anything is written.
    """
    watch = watch or Watch()
    watch.begin("Looking at every line", unit="row")
    count = sum(1 for _ in watch.counted(_read_seeds(source, check=True)))
    if not count:
        raise DarkroomError(f"{source / METADATA} lists no pairs.")
    watch.begin("Converting", count, "row")
    return write_records(watch.counted(_read_seeds(source)), kinds_of(pairs=True), out, form)


def kinds_of(*, pairs: bool, masks: bool = False, judges: bool = False) -> dict[str, Kind]:
    """What our columns hold."""
    words = EDIT_COLUMNS[1] if pairs else PICTURE_COLUMNS[1]
    names = (*(EDIT_COLUMNS if pairs else PICTURE_COLUMNS), *((MASK,) if masks else ()))
    kinds: dict[str, Kind] = {name: "words" if name == words else "picture" for name in names}
    return {**kinds, HELD_OUT: "mark"} if judges else kinds


def write_records(records: Iterable[Record], kinds: dict[str, Kind], out: Path, form: Form) -> int:
    """Writes rows to `out`, which becomes visible when all of them are in it; says how many."""
    if form == "parquet" and out.suffix != ".parquet":
        raise DarkroomError(f"A Parquet file’s name ends in .parquet; this one is {out.name}. Give such a name.")
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise DarkroomError(f"{out} is there already. Give a new name, or an empty folder, so that nothing of yours is overwritten.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        try:
            if form == "parquet":
                count = tables.write_parquet(records, kinds, place / out.name)
                (place / out.name).rename(out)
            else:
                (place / "new").mkdir()
                count = (
                    tables.write_saved(records, kinds, place / "new") if form == "saved" else shards.write_shards(records, place / "new")
                )
                (place / "new").rename(out)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    except OSError as error:
        raise DarkroomError(f"{out} cannot be written: {error.strerror or error}. Choose another place, or free some space.") from None
    return count


def read_rows(store: DatasetStore, dataset_id: str, *, masks: bool = False, judges: bool = False) -> Iterator[Record]:
    """The rows as trainers read them, with the bytes of their training copies; only whole ones.

    With `masks` also with the bytes of their masks, with `judges` with whether a person chose each to judge.
    """
    folder = store.workspace.dataset(dataset_id)
    for row in whole_rows(store, dataset_id):
        files = [{"bytes": (folder / image.file).read_bytes(), "path": f"{Path(image.name).stem}.png"} for image in row.images]
        values = (files[0], row.text) if row.before is None else (files[0], row.text, files[1])
        record: dict[str, Any] = dict(zip(PICTURE_COLUMNS if row.before is None else EDIT_COLUMNS, values, strict=True))
        if masks:
            mask = find_mask(folder, row)
            record[MASK] = {"bytes": mask.read_bytes(), "path": f"{Path(row.name).stem}.png"} if mask else None
        if judges:
            record[HELD_OUT] = row.judges
        yield record


def _read_seeds(source: Path, *, check: bool = False) -> Iterator[Record]:
    """The pairs of a folder; with `check` every line and file is looked at, and no picture is read."""
    listed, faults = source / METADATA, list[str]()
    if not listed.is_file():
        raise DarkroomError(f"There is no {METADATA} in {source}. It lists one pair a line: {', '.join(PAIR_COLUMNS[0])}.")
    with listed.open(encoding="utf-8-sig") as text:
        for number, line in enumerate(text, 1):
            if not line.strip():
                continue
            files, words, fault = _read_seed(source, line)
            if fault:
                faults.append(f"line {number}: {fault}")
            elif check:
                yield {}
            else:
                before, after = ({"bytes": file.read_bytes(), "path": file.name} for file in files)
                yield dict(zip(EDIT_COLUMNS, (before, words, after), strict=True))
    if faults:
        more = f" and {len(faults) - _NAMED:,} more" if len(faults) > _NAMED else ""
        lines_of = "1 line" if len(faults) == 1 else f"{len(faults):,} lines"
        raise DarkroomError(f"{lines_of} of {listed} cannot be used: {'; '.join(faults[:_NAMED])}{more}. Mend that, then convert again.")


def _read_seed(source: Path, line: str) -> tuple[list[Path], str, str]:
    """Both files and the instruction of one line, or what is wrong with it."""
    try:
        values: Any = json.loads(line)
    except ValueError:
        return [], "", "it is not JSON"
    columns = find_columns(values) if isinstance(values, dict) else None
    if columns is None:
        return [], "", "it does not name both pictures"
    words = str(values.get(columns[1]) or "").strip()
    files = [source / str(values[columns[n]]) for n in (0, 2)]
    outside = next((f for f in files if not f.resolve().is_relative_to(source.resolve())), None)
    lost = next((f for f in files if not f.is_file()), None)
    if outside or lost:
        name = str(outside or lost).removeprefix(f"{source}/")
        return [], "", f"{name} lies outside the folder" if outside else f"{name} is not there"
    return files, words, "" if words else f"it has no {columns[1]}"

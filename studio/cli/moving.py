"""Commands that bring data sets in and out: import, export, convert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, TaskID

from backends.contract.errors import DarkroomError
from studio.cli.context import JsonOption, Studio, WorkspaceOption, open_studio
from studio.cli.dataset import DatasetArgument, app
from studio.cli.output import bar, emit, escape, people, plain_errors
from studio.datasets.export import MASK_STYLES, Layout, export_dataset
from studio.datasets.formats.lists import is_list
from studio.datasets.formats.take_in import ingest_table, is_table
from studio.datasets.formats.write_out import FORMS, Form, convert_folder, export_table
from studio.datasets.hub.fetching import fetch_dataset, plan_fetch
from studio.datasets.hub.sources import PREFIX, name_of, parse_source
from studio.datasets.ingest import Outcome, ingest_folder, ingest_list, ingest_upload
from studio.datasets.listed import choosing
from studio.datasets.rows import SIDES
from studio.datasets.store import DatasetInfo
from studio.datasets.watch import Watch

__all__ = ["app"]
IMAGE_COLUMN_HELP = "Of a table or list: the column of pictures; twice for before and after. Of a table, mask=NAME is that of masks."
WORDS_COLUMN_HELP = "Of a table or list: the column of captions or instructions; empty for none."
_FORM_HELP = "saved (a folder for datasets.load_from_disk), parquet, or shards (WebDataset)."


@app.command("import")
def import_(
    sources: Annotated[
        list[Path], typer.Argument(help="Pictures, folders, ZIP or tar files, lists, tables, saved data sets, shards, or hub:owner/name.")
    ],
    name: Annotated[str, typer.Option(help="Name of a new data set. Default: the first source's.")] = "",
    into: Annotated[str, typer.Option(help="Id of a data set to add to, instead of a new one.")] = "",
    kind: Annotated[str, typer.Option(help="pictures or pairs. Default: what the files plainly are.")] = "",
    image_column: Annotated[list[str] | None, typer.Option(help=IMAGE_COLUMN_HELP)] = None,
    words_column: Annotated[str | None, typer.Option(help=WORDS_COLUMN_HELP)] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Brings pictures in, or edit pairs: two folders by name, a list (.jsonl, .json, .csv), names ending in _before and _after, or a table.

    What cannot be used is named with its reason; a half without its partner stays and waits. Of the hub: hub:owner/name, with
    revision and split behind it where they are wanted, such as hub:owner/name@v1.0#test (or see: dataset fetch).
    """
    with plain_errors(as_json=as_json):
        studio = open_studio(workspace)
        columns = read_columns_said(image_column, words_column)
        choose = choosing(columns["pictures"], words_column)
        missing = [str(s) for s in sources if not s.exists() and not str(s).startswith(PREFIX)]
        if missing:
            raise DarkroomError(f"There is no file or folder {', '.join(missing)}.")
        plans = {s: plan_fetch(parse_source(str(s))) for s in sources if not s.exists()}
        own = name_of(plans[sources[0]].source) if sources[0] in plans else sources[0].stem
        dataset_id = into or studio.datasets.create(name or own, kind).id
        outcomes: list[Outcome] = []
        try:
            with bar(quiet=as_json) as progress:
                for source in sources:
                    watch = watching(progress, progress.add_task(f"Importing {source.name}", total=None))
                    if source in plans:
                        outcomes += fetch_dataset(studio.datasets, dataset_id, plans[source], watch=watch, **columns)
                    elif is_table(source):
                        outcomes += ingest_table(studio.datasets, dataset_id, source, watch=watch, **columns)
                    elif source.is_dir():
                        outcomes += ingest_folder(studio.datasets, dataset_id, source, watch, choose=choose)
                    elif is_list(source.name, source):
                        outcomes += ingest_list(studio.datasets, dataset_id, source, watch, choose=choose)
                    else:
                        outcomes += ingest_upload(studio.datasets, dataset_id, source.name, source, watch, choose=choose)
        finally:
            info = studio.datasets.info(dataset_id)
            if not into and not info.num_pictures:
                studio.datasets.delete(dataset_id)
        tell_import(studio, info, outcomes, as_json=as_json)


def read_columns_said(image_columns: list[str] | None, words: str | None) -> dict[str, Any]:
    """The columns of a command, as `ingest_table` takes them: `mask=NAME` among those of pictures names that of masks."""
    said = image_columns or []
    masks = [one.removeprefix("mask=") for one in said if one.startswith("mask=")]
    return {"pictures": [one for one in said if not one.startswith("mask=")], "words": words, "mask": masks[0] if masks else None}


def tell_import(studio: Studio, info: DatasetInfo, outcomes: list[Outcome], *, as_json: bool) -> None:
    """What came in and what was left out, with its reason.

    Raises:
        DarkroomError: When the data set has no picture.
    """
    refused = [{"name": o.name, "reason": o.reason} for o in outcomes if not o.accepted]
    if not as_json:
        for one_refused in refused:
            people.print(f"  left out: {escape(one_refused['name'])}: {escape(one_refused['reason'])}", soft_wrap=True)
    if not info.num_pictures:
        reasons = "; ".join(f"{r['name']}: {r['reason']}" for r in refused[:5]) or "there is no picture in it"
        raise DarkroomError(f"No picture could be used: {reasons}. PNG, JPEG, WebP, BMP, TIFF and GIF are read.")
    value = {
        "dataset": info.id,
        "name": info.name,
        "kind": info.kind,
        "pictures": info.num_pictures,
        "incomplete": info.num_incomplete,
        "accepted": sum(o.accepted for o in outcomes),
        "refused": refused,
    }
    emit(value, f"{info.num_pictures} {info.kind} are in the data set {info.id}." + _waiting(studio, info), as_json=as_json)


def watching(progress: Progress, task: TaskID) -> Watch:
    """A watch whose count stands on the bar."""

    def tell(watch: Watch) -> None:
        total = watch.total or (watch.done / watch.part if watch.part else None)
        progress.update(task, description=watch.what or "Working", completed=watch.done, total=total)

    return Watch(tell)


def _waiting(studio: Studio, info: DatasetInfo) -> str:
    """Which halves wait, in a sentence: `3 wait for the picture after: 001, 002, 003.`"""
    rows = studio.datasets.pictures(info.id) if info.num_incomplete else []
    said = []
    for side in SIDES:
        names = [escape(row.name) for row in rows if row.missing == side]
        if names:
            more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
            said.append(f" {len(names):,} wait{'s' if len(names) == 1 else ''} for the picture {side}: {', '.join(names[:5])}{more}.")
    return "".join(said)


@app.command("export")
def export(
    dataset: DatasetArgument,
    out: Annotated[Path, typer.Argument(help="A .zip or .parquet file, or a folder.")],
    form: Annotated[str, typer.Option("--as", help=f"Of a folder: images (with metadata.jsonl), or {_FORM_HELP}")] = "",
    masks: Annotated[str, typer.Option(help="Of images: in a folder masks (folder), or name-masklabel.png (beside).")] = "folder",
    repeats: Annotated[int, typer.Option(min=0, help="Of images: folders 10_name, as kohya's scripts want them, with this number.")] = 0,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Writes pictures, words and masks out: a ZIP of images with .txt, a folder with metadata.jsonl, or a table with the pictures in it.

    Edit pairs lie in input_images/ and output_images/; in a table their columns are original_image, edit_prompt, edited_image.
    Ctrl+C leaves nothing behind.
    """
    with plain_errors(as_json=as_json):
        style = next((one for one in MASK_STYLES if one == masks), None)
        if style is None:
            raise DarkroomError(f"There is no place “{masks}” for masks. There is: {', '.join(MASK_STYLES)}.", field="masks")
        store = open_studio(workspace).datasets
        plain = form in ("", "images") and out.suffix != ".parquet"
        if repeats and not plain:
            raise DarkroomError("Repeats are for folders and ZIP files of images; a table has none. Leave --repeats out.", field="repeats")
        with bar(quiet=as_json) as progress:
            watch = watching(progress, progress.add_task("Writing", total=None))
            if plain:
                export_dataset(store, dataset, out, layout=Layout(style, repeats), watch=watch)
                count = watch.done
            else:
                count = export_table(store, dataset, out, _form(form or "parquet"), watch)
        emit({"path": str(out), "rows": count}, f"Written to {out}: {count:,} rows.", as_json=as_json)


@app.command("convert")
def convert(
    source: Annotated[Path, typer.Argument(help="A folder with metadata.jsonl of {input_image, instruction, output_image}.")],
    out: Annotated[Path, typer.Argument(help="A new folder, or a .parquet file.")],
    form: Annotated[str, typer.Option("--as", help=_FORM_HELP + " Default: parquet for such a name, else saved.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Turns seed pairs into a table with the columns that edit trainers read: original_image, edit_prompt, edited_image.

    Every line and file is looked at before anything is written. No workspace is needed.
    """
    with plain_errors(as_json=as_json), bar(quiet=as_json) as progress:
        watch = watching(progress, progress.add_task("Converting", total=None))
        wanted = _form(form or ("parquet" if out.suffix == ".parquet" else "saved"))
        count = convert_folder(source, out, wanted, watch)
    emit({"path": str(out), "rows": count}, f"Written to {out}: {count:,} pairs.", as_json=as_json)


def _form(name: str) -> Form:
    found = next((form for form in FORMS if form == name), None)
    if found is None:
        raise DarkroomError(f"There is no form “{name}”. There is: {', '.join(FORMS)}.", field="form")
    return found

"""A data set pushed to the hub as Parquet files: one of them on the disk at a time; visible there when all have come."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants
from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

from backends.contract.errors import DarkroomError
from backends.contract.judging import HELD_OUT
from studio.datasets.export_plan import has_masks
from studio.datasets.formats import tables
from studio.datasets.formats.columns import EDIT_COLUMNS, MASK, PICTURE_COLUMNS
from studio.datasets.formats.write_out import kinds_of, read_rows
from studio.datasets.hub.refusals import explaining, read_token, require_token
from studio.datasets.hub.sources import parse_source
from studio.datasets.store import DatasetInfo, DatasetStore
from studio.datasets.watch import Watch

PART_BYTES = 400 * 2**20
_TABLES = (".parquet", ".arrow", ".tar", ".jsonl", ".csv")


@dataclass(frozen=True)
class Pushed:
    """Where it is now, and how many rows and files went there."""

    address: str
    rows: int
    files: int


def push_dataset(
    store: DatasetStore, dataset_id: str, repo: str, *, private: bool = True, replace: bool = False, watch: Watch | None = None
) -> Pushed:
    """Makes the repository where it is missing and puts the data set there, with the columns that trainers read by themselves.

    Args:
        store: Where the data set lies.
        dataset_id: Which one. Pairs that wait for a side are left out.
        repo: owner/name on the hub.
        private: Whether only its owner may see it; of a repository that is there nothing is changed.
        replace: Whether tables that are there give way.
        watch: Is told how many rows are on their way, and may end it: then nothing is visible there.

    Raises:
        DarkroomError: When there is nothing to push, no token, no right, no connection, or data is there already.
        Stopped: When `watch` says so.
    """
    info, repo, watch = store.info(dataset_id), parse_source(repo).repo, watch or Watch()
    count = info.num_training
    if count < 1:
        raise DarkroomError(
            f"There is nothing to push: “{info.name}” has no {'complete pairs' if info.kind == 'pairs' else 'pictures'} yet."
        )
    require_token(repo)
    disable_progress_bars()  # how far it is stands on our own
    api, folder = HfApi(token=read_token()), store.workspace.temporary / f"pushed-{secrets.token_hex(8)}"
    with explaining(repo, write=True):
        watch.begin("Asking the hub")
        api.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
        there = [file for file in api.list_repo_files(repo, repo_type="dataset") if file.lower().endswith(_TABLES)]
    if there and not replace:
        raise DarkroomError(f"“{repo}” has data already ({there[0]}{_more(there)}). Give another name, or say that it may be replaced.")
    try:
        folder.mkdir(parents=True)
        additions = list(_send_parts(api, store, info, repo, folder, watch, count))
        watch.what = "Making it visible"
        watch.require_going()
        sent = {addition.path_in_repo for addition in additions}
        gone = [CommitOperationDelete(path) for path in there if path not in sent]
        card = CommitOperationAdd("README.md", _describe(info, count, masks=has_masks(store, info.id)).encode())
        with explaining(repo, write=True):
            keeps_card = api.file_exists(repo, "README.md", repo_type="dataset")
            api.create_commit(
                repo, [*additions, *gone, *([] if keeps_card else [card])], repo_type="dataset", commit_message=f"Push {count} rows"
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Pushed(f"{constants.ENDPOINT}/datasets/{repo}", count, len(additions))


def _more(there: list[str]) -> str:
    return f" and {len(there) - 1:,} more" if len(there) > 1 else ""


def _send_parts(
    api: HfApi, store: DatasetStore, info: DatasetInfo, repo: str, folder: Path, watch: Watch, count: int
) -> Iterator[CommitOperationAdd]:
    """Writes and sends one file after the other; they are not visible before the commit."""
    watch.begin("Sending", count, "row")
    masks, judges = has_masks(store, info.id), info.num_judges > 0
    kinds = kinds_of(pairs=info.kind == "pairs", masks=masks, judges=judges)
    for number, part in enumerate(_in_parts(read_rows(store, info.id, masks=masks, judges=judges))):
        path = folder / f"{number:05d}.parquet"
        tables.write_parquet(watch.counted(part), kinds, path)
        addition = CommitOperationAdd(f"data/train-{number:05d}.parquet", str(path))
        with explaining(repo, write=True):
            api.preupload_lfs_files(repo, [addition], repo_type="dataset")
        if getattr(addition, "_is_uploaded", False):  # else it is so small that it goes with the commit
            path.unlink()
        yield addition


def _in_parts(records: Iterable[tables.Record]) -> Iterator[Iterator[tables.Record]]:
    """The records in portions of about `PART_BYTES`; each is to be read to its end before the next one."""
    left = iter(records)
    first = next(left, None)
    waiting = [first] if first is not None else []

    def portion() -> Iterator[tables.Record]:
        size = 0
        for record in chain([waiting.pop()], left):
            if size >= PART_BYTES:
                waiting.append(record)
                return
            size += sum(len(value["bytes"]) for value in record.values() if isinstance(value, dict))
            yield record

    while waiting:
        yield portion()


def _describe(info: DatasetInfo, count: int, *, masks: bool) -> str:
    """The repository's first page: where its files are, for programs, and what they hold, for people."""
    more = (*((MASK,) if masks else ()), *((HELD_OUT,) if info.num_judges else ()))
    columns = (*(EDIT_COLUMNS if info.kind == "pairs" else PICTURE_COLUMNS), *more)
    what = (
        "edit pairs: a picture, an instruction, and the picture that it makes of it" if info.kind == "pairs" else "pictures with captions"
    )
    head = ["---", "configs:", "- config_name: default", "  data_files:", "  - split: train", "    path: data/train-*", "---"]
    trigger = [f"Trigger word: {json.dumps(info.trigger_word, ensure_ascii=False)}."] if info.trigger_word else []
    body = [f"# {info.name}", "", f"{count:,} {what}. Columns: {', '.join(columns)}.", *trigger, ""]
    return "\n".join([*head, "", *body])

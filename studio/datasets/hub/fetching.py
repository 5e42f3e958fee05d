"""A data set of the hub, brought in one file after the other: at any time one of its files is on the disk, and some rows in memory."""

from __future__ import annotations

import io
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile
from tqdm import tqdm

from backends.contract.errors import DarkroomError
from studio.datasets.formats.columns import Columns
from studio.datasets.formats.take_in import ingest_table, is_table
from studio.datasets.hub.refusals import explaining, read_token
from studio.datasets.hub.sources import Source, split_of
from studio.datasets.incoming import Outcome
from studio.datasets.ingest import ingest_upload
from studio.datasets.store import DatasetStore
from studio.datasets.watch import Stopped, Watch

CONVERTED = "refs/convert/parquet"  # where the hub keeps what it made of others' layouts
_FETCHED = 0.5  # the share of a file's work that its way here is
Choose = Callable[[str, Path], Columns | None]


@dataclass(frozen=True)
class RemoteFile:
    """A file of the repository at one commit."""

    path: str
    bytes: int
    commit: str


@dataclass(frozen=True)
class Plan:
    """The files that will come, in their order, and which splits there are; `taken` are the paths of those that came in whole."""

    source: Source
    files: list[RemoteFile]
    splits: list[str]
    taken: list[str] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """So much comes over the line."""
        return sum(file.bytes for file in self.files)


def plan_fetch(source: Source) -> Plan:
    """Looks at what the repository holds; nothing is downloaded.

    Tables (Parquet, Arrow) come first, then shards and archives; of a repository with neither the tables that the hub made of it.

    Raises:
        DarkroomError: With the reason and the way out: not found, gated, no token, no connection, nothing that can be read, no such split.
    """
    with explaining(source.repo, source.revision):
        found = _list_files(source.repo, source.revision or None)
        chosen = _choose_form(found)
        if not chosen:
            try:
                chosen = _choose_form(_list_files(source.repo, CONVERTED))
            except (RevisionNotFoundError, EntryNotFoundError):
                chosen = []
    if not chosen:
        raise DarkroomError(
            f"“{source.repo}” holds no table and no archive that can be read ({len(found):,} files). Download it as it says itself, "
            "then import the folder."
        )
    splits = list(dict.fromkeys(filter(None, (split_of(file.path) for file in chosen))))
    wanted = source.split or ("train" if "train" in splits else "")
    files = [file for file in chosen if split_of(file.path) == wanted] if wanted else chosen
    if not files:
        there = ", ".join(splits) or "none with a name"
        raise DarkroomError(f"“{source.repo}” has no split “{wanted}”. There is: {there}.", field="split")
    return Plan(source, files, splits)


def without(plan: Plan, taken: Sequence[str], commit: str) -> Plan:
    """The plan without files that came in before, as long as the repository stands at the same commit: else all of it comes again."""
    same = bool(plan.files) and plan.files[0].commit == commit
    return replace(plan, files=[file for file in plan.files if file.path not in taken] or plan.files, taken=[]) if same else plan


def fetch_dataset(
    store: DatasetStore,
    dataset_id: str,
    plan: Plan,
    *,
    pictures: Sequence[str] = (),
    words: str | None = None,
    mask: str | None = None,
    choose: Choose | None = None,
    watch: Watch | None = None,
) -> Iterator[Outcome]:
    """Brings every file of the plan in; what came of each row or picture.

    Args:
        store: Where the data set lies.
        dataset_id: Which one.
        plan: What is fetched (see `plan_fetch`).
        pictures: The column of pictures, or those before and after; found where not given.
        words: The column of captions or instructions; None to find it.
        mask: The column of masks; None to find it.
        choose: Asked for the columns where they are not given: by the name of the table, with its file.
        watch: Is told how far it is. When it is stopped, what came in stays.

    Raises:
        DarkroomError: When the hub does not give a file, or the columns are not there. What came in before stays.
    """
    watch = watch or Watch()
    watch.begin(f"Fetching “{plan.source.repo}”")
    folder = store.workspace.temporary / f"fetched-{secrets.token_hex(8)}"
    before = 0
    try:
        for number, file in enumerate(plan.files, 1):
            if watch.stopped:
                return
            watch.what = f"File {number} of {len(plan.files)}"
            start, end = before / (plan.bytes or 1), (before + file.bytes) / (plan.bytes or 1)
            middle = start + (end - start) * _FETCHED
            path = _download(plan.source.repo, file, folder / f"{number:05d}", watch, (start, middle))
            chosen = choose(file.path, path) if choose and not pictures and is_table(path) else None
            columns = chosen.as_said() if chosen else {"pictures": pictures, "words": words, "mask": mask}
            yield from _take(store, dataset_id, path, columns, watch.within(middle, end))
            if watch.stopped:
                return
            plan.taken.append(file.path)
            before += file.bytes
            shutil.rmtree(folder / f"{number:05d}", ignore_errors=True)
    except Stopped:
        return
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _take(store: DatasetStore, dataset_id: str, path: Path, columns: dict[str, Any], watch: Watch) -> Iterator[Outcome]:
    if is_table(path):
        yield from ingest_table(store, dataset_id, path, watch=watch, **columns)
    else:
        yield from ingest_upload(store, dataset_id, path.name, path, watch)


def _list_files(repo: str, revision: str | None) -> list[RemoteFile]:
    api = HfApi(token=read_token())
    commit = (
        api.dataset_info(repo, revision=revision).sha or revision or "main"
    )  # what is listed is what will come, whoever pushes meanwhile
    tree = api.list_repo_tree(repo, repo_type="dataset", revision=commit, recursive=True)
    return sorted((RemoteFile(f.path, f.size, commit) for f in tree if isinstance(f, RepoFile)), key=lambda f: f.path)


def _choose_form(found: Sequence[RemoteFile]) -> list[RemoteFile]:
    for endings in ((".parquet",), (".arrow",), (".tar",), (".zip", ".tar.gz", ".tgz")):
        chosen = [file for file in found if file.path.lower().endswith(endings)]
        if chosen:
            return chosen
    return []


def _download(repo: str, file: RemoteFile, folder: Path, watch: Watch, share: tuple[float, float]) -> Path:
    """The file in a fresh folder; how far it is stands on the watch between both shares."""

    class Bar(tqdm):  # type: ignore[type-arg]  # what the hub's library tells how far a download is
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{k: v for k, v in kwargs.items() if k != "name"} | {"disable": False, "file": io.StringIO()})

        def update(self, n: float | None = 1) -> bool | None:
            watch.require_going()
            told = super().update(n)
            watch.at(share[0] + (share[1] - share[0]) * min(1.0, self.n / (file.bytes or 1)))
            return told

    with explaining(repo, file.commit):
        path = hf_hub_download(
            repo, file.path, repo_type="dataset", revision=file.commit, local_dir=folder, tqdm_class=Bar, token=read_token()
        )
    return Path(path)

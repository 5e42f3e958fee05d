"""Who judges, as lists say it that come with single pictures: laid on the rows that are here, kept for those that will come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets.incoming import Outcome
from studio.datasets.index import hold_lock
from studio.datasets.judges import mark_judges
from studio.datasets.listed import Listed
from studio.datasets.names import fold_name
from studio.datasets.store import DatasetStore

_MAX_WAITING = 100_000


def take_judges(store: DatasetStore, dataset_id: str, lists: Iterable[Listed], came: Mapping[str, str]) -> list[Outcome]:
    """Lets those rows judge that lists name so, here or in an earlier part of the drop; what is worth knowing of each list.

    Args:
        store: Where the data set lies.
        dataset_id: Which one.
        lists: All of this part of a drop.
        came: Name of a file of this part -> id of the row that shows it.
    """
    named: list[str] = []
    outcomes = []
    for listed in lists:
        own = _read_names(listed)
        named += own
        if own:
            judge = "picture of it judges" if len(own) == 1 else "pictures of it judge"
            outcomes.append(Outcome(listed.file.name, True, None, f"{len(own):,} {judge}, as it says under {listed.columns.held_out}."))
    path = _waiting_path(store, dataset_id)
    if not named and not path.is_file():
        return outcomes
    found = _find_came([*_read_waiting(path), *named], came) | _find_here(store, dataset_id, named)
    if found:
        mark_judges(store, dataset_id, list(found.values()), judges=True, undoable=False)
    _write_waiting(path, named, found)
    return outcomes


def carry_waiting(store: DatasetStore, source: str, dataset_id: str) -> None:
    """Who will judge when it comes does so in the other data set too, which got all that the first one waits for."""
    names = _read_waiting(_waiting_path(store, source))
    if names:
        _write_waiting(_waiting_path(store, dataset_id), names, ())


def _read_names(listed: Listed) -> list[str]:
    """Folded names of the pictures that a list lets judge."""
    if listed.refusal or listed.are_pairs or not listed.columns.held_out:
        return []
    try:
        return [fold_name(line.names[0]) for line in listed.rows() if line.judges]
    except DarkroomError:
        return []  # it was refused as a whole, and told with its line


def _waiting_path(store: DatasetStore, dataset_id: str) -> Path:
    return store.workspace.dataset(dataset_id) / "waiting_judges.json"


def _write_waiting(path: Path, names: Iterable[str], found: Container[str]) -> None:
    with hold_lock(path.with_name(".lock")):
        left = [name for name in dict.fromkeys([*_read_waiting(path), *names]) if name not in found]
        if left:
            files.write_json(path, left[-_MAX_WAITING:])
        else:
            path.unlink(missing_ok=True)


def _read_waiting(path: Path) -> list[str]:
    value = files.read_json(path, [])
    return [str(name) for name in value] if isinstance(value, list) else []


def _find_came(wanted: Iterable[str], came: Mapping[str, str]) -> dict[str, str]:
    """Wanted name -> row of a file that came now; one that came alone has lost the folder under which a list names it."""
    full, by_end = set(wanted), dict[str, str]()
    for name in full:
        end = name.rpartition("/")[2]
        by_end[end] = "" if end in by_end else name
    found = {}
    for name, row_id in came.items():
        folded = fold_name(name)
        asked = folded if folded in full else by_end.get(folded, "") if "/" not in folded else ""
        if asked:
            found[asked] = row_id
    return found


def _find_here(store: DatasetStore, dataset_id: str, names: list[str]) -> dict[str, str]:
    """Wanted name -> row that was here before."""
    index, found = store.index(dataset_id), dict[str, str]()
    times = Counter(name.rpartition("/")[2] for name in names)
    for name in names:
        end = name.rpartition("/")[2]
        row = index.named(name) or (index.named(end) if times[end] == 1 else None)
        if row is not None:
            found[name] = row.id
    return found

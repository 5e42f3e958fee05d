"""What one does with edit pairs as they lie: turn them round, match halves that were named differently, forget what never came."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from backends.contract.errors import DarkroomError
from studio.datasets.captions import change_captions
from studio.datasets.changes import Changes
from studio.datasets.history import Cause
from studio.datasets.pair_desk import Desk
from studio.datasets.pair_names import read_spot
from studio.datasets.rows import ImageFile, Picture, with_sides
from studio.datasets.store import DatasetStore

_LOOSE = re.compile(r"[\W_]+")
NO_PAIR = "There is no such pair in this data set. It may have been removed."


def swap_sides(store: DatasetStore, dataset_id: str, pair_ids: Collection[str] | None = None) -> str:
    """Makes before of after and after of before, of these pairs or of all; the words stay. The token undoes it."""
    store.workspace.dataset(dataset_id)
    with store.index(dataset_id).change() as rows:
        chosen = list(rows.rows()) if pair_ids is None else [row for row in map(rows.get, dict.fromkeys(pair_ids)) if row is not None]
        if not chosen or (pair_ids is not None and len(chosen) < len(set(pair_ids))):
            raise DarkroomError(NO_PAIR)
        token = store.remember(dataset_id, "swap", rows, chosen)
        for row in chosen:
            if row.before is not None and row.after is not None:
                rows.put(with_sides(row, row.after, row.before))
    return token


def say_alike(store: DatasetStore, dataset_id: str, text: str, pair_ids: Collection[str] | None = None) -> str:
    """Gives these pairs, or all, the same instruction, in the name of a person, as one step; the token undoes it.

    Those that are gone are left out. There is no token where all of them say so already.
    """
    store.workspace.dataset(dataset_id)
    found = [row.id for row in store.index(dataset_id).rows()] if pair_ids is None else list(dict.fromkeys(pair_ids))
    if not found:
        raise DarkroomError(NO_PAIR)
    whom = "all" if pair_ids is None else f"{len(found):,} {'pair' if len(found) == 1 else 'pairs'}"
    cause = Cause("say", many=True, detail=f"“{text}” for {whom}")
    return change_captions(store, dataset_id, dict.fromkeys(found, text), by="person", cause=cause)


def match_halves(store: DatasetStore, dataset_id: str) -> tuple[int, str]:
    """Makes pairs of waiting halves whose names differ only in folders, capitals, signs or side words.

    Only where exactly one picture before and one after have such a name, of one size: nothing is guessed between several.

    Returns:
        How many pairs were made, and the token that undoes it.
    """
    store.workspace.dataset(dataset_id)
    with store.index(dataset_id).change() as rows:
        joins = [(left, right) for left, right in _find_matches(rows) if _same_size(left, right)]
        if not joins:
            raise DarkroomError("No two of the waiting pictures have one name. Drop a missing picture on its place, or remove the rest.")
        token = store.remember(dataset_id, "match", rows, [half for join in joins for half in join])
        desk = Desk(rows)
        for left, right in joins:
            desk.join(left, right)
    return len(joins), token


def forget_awaited(store: DatasetStore, dataset_id: str) -> int:
    """Takes out the pairs that a list names and of which neither picture has come; says how many."""
    store.workspace.dataset(dataset_id)
    with store.index(dataset_id).change() as rows:
        awaited = rows.missing("both")
        rows.remove([row.id for row in awaited])
    return len(awaited)


def find_pair_faults(rows: Sequence[Picture]) -> list[str]:
    """What a training of edits would stop at, as sentences with the way out: halves, two sizes, an empty instruction."""
    faults = []
    halves = [row for row in rows if row.missing]
    if halves:
        lacks = Counter(row.missing for row in halves)
        words = " and ".join(f"{n:,} {'lacks' if n == 1 else 'lack'} the picture {side}" for side, n in sorted(lacks.items(), reverse=True))
        faults.append(
            f"{_share(halves, rows, 'is', 'are')} not complete: {_some(halves)} ({words}). Add what is missing, or remove "
            f"{'this pair' if len(halves) == 1 else 'these pairs'}, on the Dataset page."
        )
    silent = [row for row in rows if row.before is not None and not row.missing and not row.text.strip()]
    if silent:
        faults.append(
            f"{_share(silent, rows)} no instruction: {_some(silent)}. Write what changes, or let drafts be made, on the Captions page."
        )
    uneven = [row for row in rows if _sizes(row)]
    if uneven:
        faults.append(
            f"{_share(uneven, rows)} pictures of two sizes: {_some(uneven)}; {_sizes(uneven[0])}. Remove them on the "
            "Dataset page, scale or cut one picture of each, and add them again."
        )
    return faults


def _share(some: Sequence[Picture], rows: Sequence[Picture], one: str = "has", many: str = "have") -> str:
    """`3 of 20 pairs have`."""
    return f"{len(some):,} of {len(rows):,} pairs {one if len(some) == 1 else many}"


def describe_size(image: ImageFile) -> str:
    """`512 x 384 px`."""
    return f"{image.width:,} x {image.height:,} px"


def _sizes(row: Picture) -> str:
    """Both sizes where they differ, else nothing."""
    if row.missing or row.before is None or row.after is None:
        return ""
    one, other = describe_size(row.before), describe_size(row.after)
    return "" if one == other else f"the first is {one} before and {other} after"


def _find_matches(rows: Changes) -> list[tuple[Picture, Picture]]:
    lefts, rights = _by_loose_key(rows.missing("after")), _by_loose_key(rows.missing("before"))
    return [(left, right) for key, left in lefts.items() if left and (right := rights.get(key))]


def _by_loose_key(halves: Sequence[Picture]) -> dict[str, Picture | None]:
    """Halves by the bare letters and digits of their name; None where several have the same."""
    keys: dict[str, Picture | None] = {}
    for row in halves:
        spot = read_spot(row.images[0].name)
        key = _LOOSE.sub("", spot.key.rsplit("/", 1)[-1])
        keys[key] = None if key in keys else row
    return keys


def _same_size(one: Picture, other: Picture) -> bool:
    return (one.width, one.height) == (other.width, other.height)


def _some(rows: Sequence[Picture]) -> str:
    names = ", ".join(row.name for row in rows[:5])
    return names + (f" and {len(rows) - 5:,} more" if len(rows) > 5 else "")

"""What was done to the rows of a data set and can be taken back: removed, swapped, matched; and changes of many captions."""

from __future__ import annotations

from dataclasses import dataclass

from studio.datasets.captions import list_changes
from studio.datasets.store import DatasetStore
from studio.workspace import safe_id


@dataclass(frozen=True)
class Step:
    """A step that can be undone by its token. `what` is one word, such as remove; `time` in seconds since 1970."""

    token: str
    what: str
    time: float


def list_steps(store: DatasetStore, dataset_id: str, limit: int = 20) -> list[Step]:
    """The last steps, the newest first."""
    folder = store.workspace.dataset(safe_id(dataset_id, "data set")) / ".undo"
    found = [Step(act.token, act.what, act.time) for act in list_changes(store, dataset_id) if not act.undone]
    for path in folder.glob("*-*-*.json"):
        what, when, _ = path.stem.rsplit("-", 2)
        try:
            found.append(Step(path.stem, what, int(when, 16) / 1e9))
        except ValueError:
            continue  # not one of ours
    return sorted(found, key=lambda step: -step.time)[:limit]

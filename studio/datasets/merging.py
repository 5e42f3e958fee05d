"""Data sets out of data sets: several become one, one is copied. Their files are linked, not moved: what was there stays as it is."""

from __future__ import annotations

import dataclasses
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets.caption_files import add_waiting, read_waiting
from studio.datasets.caption_notes import carry_notes
from studio.datasets.changes import Changes
from studio.datasets.edits import MASKS, whole_of
from studio.datasets.index import PictureIndex
from studio.datasets.ingest_judges import carry_waiting
from studio.datasets.names import free_name
from studio.datasets.pictures import FORMATS
from studio.datasets.report import carry_ignored
from studio.datasets.rows import ImageFile, Picture, whole_id
from studio.datasets.store import MAX_PICTURES, DatasetInfo, DatasetStore, explain_disk
from studio.datasets.watch import Watch

PARTS = ("images", ".originals", ".undo")
NAMED = 5
_SUFFIXES = tuple(dict.fromkeys(FORMATS.values()))
_OWN = ("person", "file")
Wanted = Callable[[Picture], bool]


@dataclass
class Tally:
    """What became of the rows: how many came, were here already, got words from their double, have other words there, or another name.

    `judging` judge now as their double does: what somebody kept out of every training is not learnt from because of a merge.
    """

    added: int = 0
    same: list[str] = field(default_factory=list)
    worded: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    judging: list[str] = field(default_factory=list)
    renamed: int = 0
    lost: int = 0
    ids: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Merged:
    """The data set that came of it, and what became of the rows."""

    info: DatasetInfo
    tally: Tally
    notes: list[str]

    def sentence(self) -> str:
        """What happened, in words."""
        return " ".join([f"“{self.info.name}” has {_count(self.info.num_pictures, self.info.kind)} now.", *self.notes])


def merge_datasets(store: DatasetStore, sources: Sequence[str], *, name: str = "", into: str = "", watch: Watch | None = None) -> Merged:
    """Brings the rows of `sources`, one after the other, into a new data set called `name`, or into the one whose id `into` is.

    A row whose picture (of a pair: both pictures) is there already comes once; it takes the words of its double where it has none, or
    only a captioner's where the double has a person's. Names that are taken get a number. All of it happens, or nothing.

    Raises:
        DarkroomError: When there is nothing to bring, kinds differ, it would be too many, or the disk does not take it.
        Stopped: When `watch` says so; nothing has happened then.
    """
    wanted = list(dict.fromkeys(sources))
    infos = [store.info(one) for one in wanted]
    target = store.info(into) if into else None
    if target and target.id in wanted:
        raise DarkroomError(f"“{target.name}” cannot be merged into itself. Leave it out of the data sets that are brought in.")
    if len(wanted) < 1 + (target is None):
        raise DarkroomError("One data set alone cannot be merged. Name at least two, or copy it instead.")
    kind = _common_kind([*infos, target] if target else infos)
    watch = watch or Watch()
    if target is None:
        made, tally = build_dataset(store, name or " and ".join(i.name for i in infos)[:80], [(one, None) for one in wanted], watch)
    else:
        store.decide_kind(into, lambda: kind)
        tally = _bring_all(store, [(one, None) for one in wanted], store.workspace.dataset(into), store.index(into), watch)
        for one in wanted:
            add_waiting(store, into, read_waiting(store, one))
            carry_waiting(store, one, into)
        made = store.info(into)
    return Merged(made, tally, describe(tally, kind) + _tell_words(infos if target is None else [target, *infos]))


def copy_dataset(store: DatasetStore, dataset_id: str, *, name: str = "", watch: Watch | None = None) -> Merged:
    """A data set with the same rows, words and trigger word, which can be changed without the first one.

    Raises:
        DarkroomError: When the disk does not take it.
        Stopped: When `watch` says so; nothing has happened then.
    """
    info = store.info(dataset_id)
    made, tally = build_dataset(store, name or f"{info.name[:73]} (copy)", [(dataset_id, None)], watch or Watch())
    return Merged(made, tally, describe(tally, info.kind))


def build_dataset(store: DatasetStore, name: str, parts: Sequence[tuple[str, Wanted | None]], watch: Watch) -> tuple[DatasetInfo, Tally]:
    """A new data set of those rows of each source that are wanted (None: all). It becomes visible when it is whole."""
    infos = [store.info(source) for source, _ in parts]
    speaking = next((i for i in infos if i.trigger_word), infos[0])
    head = {"kind": _common_kind(infos), "trigger_word": speaking.trigger_word, "trigger_place": speaking.trigger_place}
    with _staged(store) as folder:
        tally = _bring_all(store, parts, folder, PictureIndex(folder), watch)
        made = store.adopt(folder, name, head)
    for source, chosen in parts:
        if chosen is None:
            add_waiting(store, made.id, read_waiting(store, source))
            carry_waiting(store, source, made.id)
        carry_ignored(store, source, made.id)
    return store.info(made.id), tally


def describe(tally: Tally, kind: str) -> list[str]:
    """What is worth knowing about how the rows came, in sentences."""
    one, many = ("pair", "pairs") if kind == "pairs" else ("picture", "pictures")
    said = []
    if tally.same:
        was = f"1 {one} was" if len(tally.same) == 1 else f"{len(tally.same):,} {many} were"
        said.append(f"{was} there already and came once: {_some(tally.same)}.")
    if tally.worded:
        said.append(f"{_count(len(tally.worded), kind)} took the words of a double: {_some(tally.worded)}.")
    if tally.differing:
        said.append(
            f"{_count(len(tally.differing), kind)} had other words in the other data set; the first ones stay: {_some(tally.differing)}."
        )
    if tally.judging:
        said.append(f"{_count(len(tally.judging), kind)} judge now, as in the other data set: {_some(tally.judging)}.")
    if tally.renamed:
        said.append(f"{_count(tally.renamed, kind)} got a number behind the name, because another has it.")
    if tally.lost:
        said.append(f"{_count(tally.lost, 'pictures')} had no file any more; the check names what lacks it.")
    return said


def _count(number: int, kind: str) -> str:
    noun = "pair" if kind == "pairs" else "picture"
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _tell_words(infos: Sequence[DatasetInfo]) -> list[str]:
    words = list(dict.fromkeys(i.trigger_word for i in infos if i.trigger_word))
    if len(words) < 2:
        return []
    listed = ", ".join(f"“{w}”" for w in words)
    return [
        f"They have different trigger words ({listed}); “{words[0]}” is noted for all. Captions keep their own: look at the Captions page."
    ]


def _common_kind(infos: Sequence[DatasetInfo]) -> str:
    kinds = {i.kind: i.name for i in infos if i.kind and i.num_pictures + i.num_awaited}
    if len(kinds) > 1:
        raise DarkroomError(f"“{kinds['pairs']}” holds edit pairs and “{kinds['pictures']}” single pictures. Merge data sets of one kind.")
    return next(iter(kinds), next((i.kind for i in infos if i.kind), "pictures"))


@contextmanager
def _staged(store: DatasetStore) -> Iterator[Path]:
    """A folder in which a data set is made; gone afterwards where it was not adopted."""
    folder = store.workspace.temporary / f"made-{secrets.token_hex(8)}"
    for part in PARTS:
        (folder / part).mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _bring_all(store: DatasetStore, parts: Sequence[tuple[str, Wanted | None]], folder: Path, index: PictureIndex, watch: Watch) -> Tally:
    """First the files, then all rows in one transaction: whoever reads the data set sees the old rows or all of the new ones."""
    tally = Tally()

    def rows() -> Iterator[tuple[Path, Picture]]:
        for source, wanted in parts:
            own = store.workspace.dataset(source)
            yield from ((own, row) for row in store.index(source).rows(awaited=True) if wanted is None or wanted(row))

    count = sum(store.info(source).num_pictures + store.info(source).num_awaited for source, _ in parts)
    try:
        watch.begin("Linking the files", count, "row")
        for own, row in watch.counted(rows()):
            tally.lost += sum(not bring_file(own, folder, image) for image in row.images)
        for part in PARTS[:2]:
            files.sync_folder(folder / part)
        watch.begin("Writing the list", count, "row")
        with index.change() as changes:
            room = MAX_PICTURES - len(changes)
            for own, row in watch.counted(rows()):
                if (added := _lay(changes, row, tally, room)) is not None:
                    for image in added.images:  # a row that was changed meanwhile has other files
                        bring_file(own, folder, image)
            for source, _ in parts:
                carry_notes(store.index(source), changes, tally.ids)
    except OSError as error:
        raise explain_disk(error) from None
    return tally


def _lay(changes: Changes, row: Picture, tally: Tally, room: int) -> Picture | None:
    """Adds the row, or gives its words to the one that shows the same."""
    there = _find_same(changes, row)
    if there is not None:
        tally.same.append(row.name)
        if row.text and row.text != there.text:
            takes = not there.text or (there.text_by not in _OWN and row.text_by in _OWN)
            (tally.worded if takes else tally.differing).append(there.name)
            if takes:
                there = dataclasses.replace(there, text=row.text, text_by=row.text_by, version=there.version + 1)
                changes.put(there)
        if row.judges and not there.judges:
            tally.judging.append(there.name)
            changes.put(dataclasses.replace(there, judges=True))
        return None
    if tally.added >= room:
        raise DarkroomError(
            f"Together they have more than {MAX_PICTURES:,} rows, which are the most. Merge fewer of them, or split one first."
        )
    name = free_name(row.name, changes)
    tally.renamed += name != row.name
    own_id = row.id if changes.get(row.id) is None else secrets.token_hex(12)
    if own_id != row.id:
        tally.ids[row.id] = own_id
    changes.add(new := dataclasses.replace(row, id=own_id, name=name))
    tally.added += 1
    return new


def _find_same(changes: Changes, row: Picture) -> Picture | None:
    """The row with the same picture; of a pair with both, of a half with the same one on the same side."""
    if row.before is None or row.after is None:
        return changes.get(row.id)
    if not row.missing:
        return changes.with_content(row.content)
    if row.missing == "both":
        names = (row.before.name, row.after.name)
        near = changes.with_file(row.before.name, "before", awaited=True)
        return next((r for r in near if r.before and r.after and (r.before.name, r.after.name) == names), None)
    return next((r for r in changes.with_image(row.images[0].id) if r.missing == row.missing), None)


def bring_file(source: Path, target: Path, image: ImageFile) -> bool:
    """The training copy, the file as it came, the whole picture and the mask, in another data set's folder; whether the copy is there.

    A link costs no space, and neither data set can spoil the other's file: files are written anew and put in place, never changed.
    """
    for suffix in _SUFFIXES:
        name = f"{whole_id(image.id)}.{suffix}"
        if _link(source / ".originals" / name, target / ".originals" / name):
            break
    if image.edit:
        _link(source / whole_of(image).file, target / whole_of(image).file)
    if image.mask:
        (target / MASKS).mkdir(exist_ok=True)
        _link(source / image.mask, target / image.mask)
    return _link(source / image.file, target / image.file)


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except FileExistsError:
        return True
    except FileNotFoundError:
        return False
    except OSError:  # a file system without links, or too many of them on one file
        if not source.is_file():
            return False
        own = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            shutil.copyfile(source, own)
            os.replace(own, target)
        finally:
            own.unlink(missing_ok=True)
    return True

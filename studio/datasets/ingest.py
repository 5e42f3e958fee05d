"""From what a person drops (a picture, a caption file, a ZIP, a folder) to the rows of a data set, of either kind."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from backends.contract.errors import DarkroomError
from studio.datasets import caption_files, ingest_masks, ingest_pairs
from studio.datasets.archive import unpack
from studio.datasets.formats.kohya import find_repeated, read_repeated
from studio.datasets.formats.mask_names import lies_in_masks
from studio.datasets.incoming import Found, Outcome, Taken, clean_name, is_silent, keep_images, kind_of, refuse_kind
from studio.datasets.index import PictureIndex
from studio.datasets.ingest_judges import take_judges
from studio.datasets.listed import Choose, Listed, files_named, find_lists, name_missing, read_listed
from studio.datasets.pair_names import looks_like_pairs
from studio.datasets.rows import Picture, TextBy
from studio.datasets.store import DatasetStore
from studio.datasets.watch import Watch

_DRAWN = "Its caption is the prompt that it was drawn with."
_REPEATS = "The number in front of this folder's name is not needed: the recipe says how often each picture is shown."
__all__ = ["Outcome", "clean_name", "ingest_folder", "ingest_upload"]


def ingest_upload(
    store: DatasetStore, dataset_id: str, name: str, file_path: Path, watch: Watch | None = None, *, choose: Choose | None = None
) -> list[Outcome]:
    """Takes one dropped file: a picture, a caption (.txt), a list (.jsonl, .json, .csv), or a ZIP of such.

    `choose` is asked for the columns of lists; without it they are found by their names.

    Raises:
        DarkroomError: When it is a ZIP that cannot be opened, or does harm.
    """
    store.workspace.dataset(dataset_id)
    shown = clean_name(name)
    file_path = Path(file_path)
    if kind_of(Found(shown, file_path)) == "archive":
        if watch:
            watch.begin("Unpacking")
        with unpack(file_path, store.workspace.temporary) as unpacked:
            refused = [Outcome(clean_name(n), False, None, reason) for n, reason in unpacked.refused]
            files = [Found(clean_name(n), p) for n, p in unpacked.files]
            return ingest_found(store, dataset_id, files, watch, choose=choose) + refused
    return ingest_found(store, dataset_id, [Found(shown, file_path)], watch, choose=choose)


def ingest_files(store: DatasetStore, dataset_id: str, named: list[tuple[str, Path]]) -> list[Outcome]:
    """Takes files that were dropped together. One that cannot be opened is refused; the others have nothing to do with it."""
    store.workspace.dataset(dataset_id)
    files = [Found(clean_name(name), Path(path)) for name, path in named]
    pairs = store.info(dataset_id).kind == "pairs"
    together = [f for f in files if kind_of(f) != "archive"] if pairs else []
    outcomes = ingest_found(store, dataset_id, together)
    masks, alone = ([], files) if pairs else ingest_masks.part_masks(store, dataset_id, files)
    came: dict[str, str] = {}
    for file in (f for f in alone if f not in together):  # a drop comes in parts: of pictures each one is called as if it came alone
        try:
            own = ingest_upload(store, dataset_id, file.name, file.path)
        except DarkroomError as refusal:
            own = [Outcome(file.name, False, None, refusal.text)]
        came[file.name] = next((o.picture_id for o in own if o.accepted and o.picture_id), "")
        outcomes += own
    return outcomes + ingest_masks.take_masks(store, dataset_id, masks, came)


def ingest_list(
    store: DatasetStore, dataset_id: str, path: Path, watch: Watch | None = None, *, choose: Choose | None = None
) -> list[Outcome]:
    """Takes what a list on the disk names: its files lie beside it or below."""
    return ingest_found(store, dataset_id, files_named(Path(path), choose), watch, choose=choose)


def ingest_folder(
    store: DatasetStore, dataset_id: str, path: Path, watch: Watch | None = None, *, choose: Choose | None = None
) -> list[Outcome]:
    """Takes every picture and caption in a folder and its subfolders, in the order of their names."""
    root = Path(path)
    if not root.is_dir():
        raise DarkroomError(f"There is no folder {root}.")
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            full = Path(folder) / name
            if full.is_file():
                found.append(Found(clean_name(full.relative_to(root).as_posix()), full))
    return ingest_found(store, dataset_id, found, watch, choose=choose)


def ingest_found(
    store: DatasetStore, dataset_id: str, found: list[Found], watch: Watch | None = None, *, choose: Choose | None = None
) -> list[Outcome]:
    """Takes these files, under the names that they came with; one outcome for each.

    Where `watch` says so it ends early: what has come in stays. It counts pictures, from 0 unless the caller has begun to.
    """
    found = [f for f in found if not is_silent(f.name)]
    if not found:
        return []
    counts = watch is not None and not watch.total
    if watch and counts:
        watch.begin("Taking the pictures in", sum(kind_of(f) == "picture" for f in found))
    lists = find_lists(found, choose)
    if store.decide_kind(dataset_id, lambda: _guess_kind(found, lists)) == "pairs":
        masks, found = ingest_masks.part_masks(store, dataset_id, found)
        outcomes = ingest_pairs.ingest_pairs(store, dataset_id, found, watch, lists=lists) + ingest_masks.refuse_masks(masks)
        return outcomes + name_missing(store, dataset_id, lists, found)
    masks, found = ingest_masks.part_masks(store, dataset_id, _without_common_folder(found))
    lists = [replace(one, file=file) for one in lists for file in found if file.path == one.file.path]
    outcomes = _ingest_pictures(store, dataset_id, found, lists, watch) + name_missing(store, dataset_id, lists, found)
    outcomes += take_judges(store, dataset_id, lists, {o.name: o.picture_id for o in outcomes if o.picture_id})
    came = {o.name: o.picture_id for o in outcomes if o.accepted and o.picture_id}
    return outcomes + ingest_masks.take_masks(store, dataset_id, masks, came, watch, tell=counts)


def _guess_kind(found: list[Found], lists: list[Listed]) -> str:
    """Nothing where there are only words: the pictures that come after them tell."""
    if looks_like_pairs(f.name for f in found) or any(one.are_pairs for one in lists):
        return "pairs"
    return "pictures" if any(kind_of(f) == "picture" for f in found) else ""


def _ingest_pictures(store: DatasetStore, dataset_id: str, found: list[Found], lists: list[Listed], watch: Watch | None) -> list[Outcome]:
    kinds = {f.name: kind_of(f) for f in found}
    captions, caption_outcomes = _read_captions([f for f in found if kinds[f.name] == "caption"], lists)
    repeated = find_repeated(f.name for f in found if kinds[f.name] == "picture")
    for name, said in repeated.items():
        captions |= {} if caption_files.choose_caption(captions, name) else {f"{name}.txt": said.words}
    index = store.index(dataset_id)
    pictures = [f for f in found if kinds[f.name] == "picture"]
    taken: list[Outcome] = []
    for batch in keep_images(store, dataset_id, pictures, watch):
        new: dict[str, Picture] = {}
        outcomes = [_lay(one, index, new, captions) for one in batch]
        drawn = {one.image.id: _shorten(one.words) for one in batch if one.image and one.words}
        taken += _commit(store, dataset_id, list(new.values()), outcomes, drawn)
    accepted = {o.name for o in taken if o.accepted}
    spoken_for = {n for name in accepted for n in caption_files.caption_names(name)}
    loose = {name: text for name, text in captions.items() if name not in spoken_for}
    strangers = [refuse_kind(f) for f in found if kinds[f.name] in ("archive", "other")]
    for folder in sorted({name.rpartition("/")[0] for name in repeated}):
        strangers.append(Outcome(folder, True, None, _REPEATS))
    return taken + strangers + _attach(store, dataset_id, loose, caption_outcomes)


def _commit(store: DatasetStore, dataset_id: str, batch: list[Picture], outcomes: list[Outcome], drawn: dict[str, str]) -> list[Outcome]:
    """Adds the pictures: with words that waited for them, else with the prompts that they were drawn with."""
    if not batch:
        return outcomes
    notes: dict[str, list[str]] = {}
    waiting = caption_files.take_waiting(store, dataset_id, [p.name for p in batch if not p.text])
    for at, picture in enumerate(batch):
        words = "" if picture.text else waiting.get(picture.name) or drawn.get(picture.id, "")
        if words:
            batch[at] = replace(picture, text=words, text_by="file")
            notes[picture.id] = [] if picture.name in waiting else [_DRAWN]
    for picture_id, name in store.add(dataset_id, batch).items():
        notes.setdefault(picture_id, []).append(f"Another picture has this name, so it is called “{name}” here.")
    return [replace(o, reason=" ".join(filter(None, (o.reason, *notes.pop(o.picture_id or "", ()))))) for o in outcomes]


def _lay(one: Taken, index: PictureIndex, batch: dict[str, Picture], captions: dict[str, str]) -> Outcome:
    """Puts a picture that is new into the batch, with the caption that came along."""
    name, image = one.file.name, one.image
    if image is None:
        return Outcome(name, False, None, one.refusal)
    twin = batch.get(image.id) or index.get(image.id)
    if twin:
        return Outcome(name, False, twin.id, f"It is already here as “{twin.name}”. The same picture twice would count double.")
    text = caption_files.choose_caption(captions, name)
    by: TextBy = "file" if text else ""
    batch[image.id] = Picture(image.id, name, image.file, image.width, image.height, image.bytes, text, by, 1, image.sha256)
    return Outcome(name, True, image.id, one.note)


def _shorten(words: str) -> str:
    return caption_files.clean_caption(words[: caption_files.MAX_CHARACTERS])


def _read_captions(found: list[Found], lists: list[Listed]) -> tuple[dict[str, str], list[Outcome]]:
    """Texts by name of the caption file (or `name of the picture + .txt` where a list names it), and what could not be read."""
    texts: dict[str, str] = {}
    outcomes = []
    for listed in lists:
        name = listed.file.name
        try:
            own = read_listed(listed)
            texts |= {n: t for n, t in own.items() if n not in texts}
            outcomes.append(Outcome(name, True, None, f"It holds {len(own):,} captions."))
        except DarkroomError as refusal:
            outcomes.append(Outcome(name, False, None, refusal.text))
    for file in found:
        try:
            texts[file.name] = caption_files.read_caption(file.path)
        except DarkroomError as refusal:
            outcomes.append(Outcome(file.name, False, None, refusal.text))
    return texts, outcomes


def _attach(store: DatasetStore, dataset_id: str, texts: dict[str, str], outcomes: list[Outcome]) -> list[Outcome]:
    for name, (picture, kept) in caption_files.give_captions(store, dataset_id, texts).items():
        if picture is None:
            outcomes.append(Outcome(name, True, None, "No picture has this name yet. The caption waits for it."))
        elif kept:
            outcomes.append(Outcome(name, False, picture.id, f"“{picture.name}” has words of your own; they stay."))
        else:
            outcomes.append(Outcome(name, True, picture.id, ""))
    return outcomes


def _without_common_folder(found: list[Found]) -> list[Found]:
    """`zog/a.png`, `zog/b.png` -> `a.png`, `b.png`: one folder around everything says nothing, unless it says how often or what of."""
    while found and all("/" in f.name for f in found) and len({f.name.split("/")[0] for f in found}) == 1:
        if all(f.name.count("/") == 1 for f in found) and (read_repeated(found[0].name) or lies_in_masks(found[0].name)):
            break
        found = [Found(f.name.split("/", 1)[1], f.path) for f in found]
    return found

"""What is dropped on a data set of edit pairs: pictures find their partners, lists and text files their pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from backends.contract.errors import DarkroomError
from studio.datasets import caption_files, pair_lists
from studio.datasets.incoming import Found, Outcome, Taken, keep_images, kind_of, refuse_kind
from studio.datasets.listed import Listed, read_listed
from studio.datasets.pair_desk import Desk
from studio.datasets.pair_names import Spot, read_spot
from studio.datasets.rows import Picture, Side
from studio.datasets.store import DatasetStore
from studio.datasets.watch import Watch

Texts = dict[str, str]


def ingest_pairs(
    store: DatasetStore, dataset_id: str, found: list[Found], watch: Watch | None = None, *, lists: Sequence[Listed] = ()
) -> list[Outcome]:
    """Takes files under the names that they came with, folders and all: those say which side they are, and of which pair.

    Lists come first, so that pictures find the pairs that they name; what does not say its side comes last, so that it finds
    the half that lacks it. A half without its partner stays in the data set and waits.
    """
    kinds = {file.name: kind_of(file) for file in found}
    outcomes, texts = _take_lists(store, dataset_id, lists)
    for file in (f for f in found if kinds[f.name] == "caption"):
        try:
            texts[file.name] = caption_files.read_caption(file.path)
        except DarkroomError as refusal:
            outcomes.append(Outcome(file.name, False, None, refusal.text))
    words = _Words(texts | caption_files.read_waiting(store, dataset_id))
    pictures = sorted((f for f in found if kinds[f.name] == "picture"), key=lambda f: read_spot(f.name).side is None)
    taken: list[Outcome] = []
    for batch in keep_images(store, dataset_id, pictures, watch):
        taken += _take_batch(store, dataset_id, batch, words)
    strangers = [refuse_kind(f) for f in found if kinds[f.name] in ("archive", "other")]
    loose = {name: text for name, text in texts.items() if name not in words.used}
    told = [Outcome(name, True, None, "") for name in texts if name in words.used]
    return taken + strangers + outcomes + told + _give_loose(store, dataset_id, loose)


def ingest_side(store: DatasetStore, dataset_id: str, pair_id: str, side: Side, file: Found) -> Outcome:
    """Lays one picture on the free side of a pair."""
    ((taken,),) = keep_images(store, dataset_id, [file])
    if taken.image is None:
        return Outcome(file.name, False, None, taken.refusal)
    try:
        with store.index(dataset_id).change() as rows:
            desk = Desk(rows)
            row = desk.put_at(pair_id, side, taken.image)
            desk.close()
    except DarkroomError as refusal:
        return Outcome(file.name, False, None, refusal.text)
    return Outcome(file.name, True, row.id, taken.note)


def _take_lists(store: DatasetStore, dataset_id: str, lists: Sequence[Listed]) -> tuple[list[Outcome], Texts]:
    """What became of each list, and the words of those that name single pictures."""
    outcomes: list[Outcome] = []
    texts: Texts = {}
    for listed in lists:
        name = listed.file.name
        try:
            if not listed.are_pairs:
                texts |= read_listed(listed)
                continue
            with store.index(dataset_id).change() as rows:
                desk = Desk(rows)
                count, kept, refused = pair_lists.settle(
                    desk, (pair_lists.Entry(line.names[0], line.names[1], line.words, line.judges) for line in listed.rows())
                )
                desk.close()
        except DarkroomError as refusal:
            outcomes.append(Outcome(name, False, None, refusal.text))
            continue
        note = f" {kept:,} of them keep words of your own." if kept else ""
        outcomes.append(Outcome(name, True, None, f"It names {count:,} pairs.{note}"))
        outcomes += [Outcome(one, False, None, reason) for one, reason in refused.items()]
    return outcomes, texts


def _take_batch(store: DatasetStore, dataset_id: str, ready: list[Taken], words: _Words) -> list[Outcome]:
    """Lays some pictures in one change of the list."""
    with store.index(dataset_id).change() as rows:
        desk = Desk(rows)
        outcomes = [_lay(desk, one) for one in ready]
        for row in desk.close():
            text = "" if row.text else words.find(row)
            if text:
                rows.put(caption_files.with_words_of_file(row, text)[0])
    return outcomes


def _lay(desk: Desk, taken: Taken) -> Outcome:
    name = taken.file.name
    if taken.image is None:
        return Outcome(name, False, None, taken.refusal)
    try:
        return Outcome(name, True, desk.put(taken.image).id, taken.note)
    except DarkroomError as refusal:
        return Outcome(name, False, None, refusal.text)


class _Words:
    """Texts by the pair that they belong to: beside either picture, or of the pair's own name."""

    def __init__(self, texts: Texts) -> None:
        self._by_key: dict[str, list[tuple[int, Spot, str, str]]] = defaultdict(list)
        self.used: set[str] = set()
        for name, text in texts.items():
            spot = read_spot(name)
            rank = {None: 0, "after": 1, "before": 2}[spot.side]  # beside both: what stands beside the result says the change
            self._by_key[spot.key].append((rank, spot, name, text))

    def find(self, row: Picture) -> str:
        """The instruction of this pair, or nothing."""
        found = [
            (rank, text, name)
            for spot in {read_spot(image.name) for image in row.images}
            for rank, own, name, text in self._by_key.get(spot.key, [])
            if own.belongs_with(spot)
        ]
        self.used |= {name for _, _, name in found}
        return min(found)[1] if found else ""


def _give_loose(store: DatasetStore, dataset_id: str, texts: Texts) -> list[Outcome]:
    """Texts whose pair came before them; those whose pair has not come wait for it."""
    if not texts:
        return []
    words, kept = _Words(texts), []
    with store.index(dataset_id).change() as rows:
        keys = dict.fromkeys(read_spot(name).key for name in texts)
        for row in {row.id: row for key in keys for row in rows.with_words_key(key)}.values():
            text = words.find(row)
            if text:
                changed, is_kept = caption_files.with_words_of_file(row, text)
                if changed is not row:
                    rows.put(changed)
                kept += [row] if is_kept else []
    caption_files.add_waiting(store, dataset_id, {n: t for n, t in texts.items() if n not in words.used})
    waits = "No pair has this name yet. The instruction waits for it."
    outcomes = [Outcome(name, True, None, "" if name in words.used else waits) for name in texts]
    return outcomes + [Outcome(row.name, False, row.id, f"“{row.name}” has words of your own; they stay.") for row in kept]

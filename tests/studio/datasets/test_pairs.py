"""Edit pairs as they lie: turned round, matched, removed and put back; what a training would stop at."""

from __future__ import annotations

import dataclasses
import json

import pytest

from backends.contract.errors import DarkroomError
from studio.datasets import captions
from studio.datasets.edit_pictures import exclude_pictures
from studio.datasets.export import export_dataset
from studio.datasets.ingest import ingest_files, ingest_folder
from studio.datasets.pairs import find_pair_faults, forget_awaited, match_halves, say_alike, swap_sides
from studio.datasets.rows import with_sides
from studio.datasets.samples import create_sample_dataset, find_sample_pairs
from studio.datasets.store import DatasetStore
from tests.studio.datasets.drawing import draw_figure, encode
from tests.studio.datasets.pairs import make_pair, write_folders


@pytest.fixture
def pairs(store, tmp_path):
    """Four pairs with instructions."""
    made = store.create("Pairs", "pairs").id
    ingest_folder(store, made, write_folders(tmp_path / "set", 4, listed=True))
    return made


def sides(store, dataset):
    return [(p.before.id, p.after.id) for p in store.pictures(dataset)]


def drop(store, dataset, tmp_path, **files):
    named = []
    for name, data in files.items():
        path = tmp_path / name
        path.write_bytes(data)
        named.append((name.replace("__", "/") + ".png", path))
    return ingest_files(store, dataset, named)


def test_one_pair_is_turned_round_and_back_with_its_words(store, pairs):
    before, words = sides(store, pairs), [p.text for p in store.pictures(pairs)]
    chosen = store.pictures(pairs)[1]
    token = swap_sides(store, pairs, [chosen.id])
    assert sides(store, pairs) == [before[0], before[1][::-1], *before[2:]]
    assert [p.text for p in store.pictures(pairs)] == words
    captions.set_caption(store, pairs, chosen.id, "written since", None)
    assert captions.undo(store, pairs, token) == 1
    assert sides(store, pairs) == before and store.picture(pairs, chosen.id).text == "written since"


def test_all_pairs_are_turned_round_and_the_check_has_to_be_made_again(store, pairs):
    before, fingerprint = sides(store, pairs), store.fingerprint(pairs)
    token = swap_sides(store, pairs)
    assert sides(store, pairs) == [side[::-1] for side in before] and store.fingerprint(pairs) != fingerprint
    store.undo(pairs, token)
    assert sides(store, pairs) == before and store.fingerprint(pairs) == fingerprint
    with pytest.raises(DarkroomError, match="undone already"):
        store.undo(pairs, token)


def test_what_is_no_pair_cannot_be_turned_round(store, pairs):
    with pytest.raises(DarkroomError, match="no such pair"):
        swap_sides(store, pairs, ["0" * 24])
    with pytest.raises(DarkroomError, match="no such pair"):
        swap_sides(store, store.create("Empty", "pairs").id)


def test_some_pairs_are_given_one_instruction_as_one_step_and_those_that_are_gone_are_left_out(store, pairs):
    before = store.pictures(pairs)
    store.remove(pairs, [before[3].id])
    token = say_alike(store, pairs, "make it night", [before[n].id for n in (1, 2, 3)])
    assert [p.text for p in store.pictures(pairs)] == [before[0].text, "make it night", "make it night"]
    assert captions.list_changes(store, pairs)[0].detail == "“make it night” for 3 pairs"
    assert say_alike(store, pairs, "make it night", [before[1].id]) == ""  # it says so already
    captions.set_caption(store, pairs, before[2].id, "written since", None)
    assert captions.undo(store, pairs, token) == 1
    assert [p.text for p in store.pictures(pairs)] == [before[0].text, before[1].text, "written since"]


def test_one_instruction_is_refused_for_no_pair_and_when_it_is_too_long(store, pairs):
    texts = [p.text for p in store.pictures(pairs)]
    with pytest.raises(DarkroomError, match="no such pair"):
        say_alike(store, pairs, "make it night", [])
    with pytest.raises(DarkroomError, match="2,000"):
        say_alike(store, pairs, "n" * 2001)
    assert [p.text for p in store.pictures(pairs)] == texts


def test_excluding_touches_nothing_else_of_a_pair_and_its_undo_keeps_what_was_swapped_since(store, pairs):
    before = store.pictures(pairs)
    token = exclude_pictures(store, pairs, [before[0].id, before[2].id], excluded=True)
    assert store.pictures(pairs) == [dataclasses.replace(p, excluded=n in (0, 2)) for n, p in enumerate(before)]
    swap_sides(store, pairs, [before[0].id])
    assert captions.undo(store, pairs, token) == 2
    after = store.pictures(pairs)
    assert after[1:] == before[1:] and not after[0].excluded
    assert (after[0].before, after[0].after) == (before[0].after, before[0].before)


def test_a_removed_pair_comes_back_with_both_pictures_and_its_words(store, pairs):
    before = store.pictures(pairs)
    token = store.remove(pairs, [before[2].id])
    assert [p.name for p in store.pictures(pairs)] == ["000", "001", "003"]
    assert store.undo(pairs, token) == 1 and store.pictures(pairs) == before


def test_a_removed_pair_that_was_dropped_again_comes_back_only_once(store, pairs, tmp_path):
    token = store.remove(pairs, [p.id for p in store.pictures(pairs)])
    ingest_folder(store, pairs, tmp_path / "set")
    assert store.undo(pairs, token) == 0 and len(store.pictures(pairs)) == 4


def test_the_trash_keeps_what_a_pair_or_an_undo_still_needs(store, pairs):
    first, *rest = store.pictures(pairs)
    store.remove(pairs, [first.id])
    images = store.workspace.dataset(pairs) / "images"
    assert store.empty_trash(pairs, older_than_s=3600) == 0 and len(list(images.iterdir())) == 8
    assert store.empty_trash(pairs, older_than_s=0) == 2
    assert {p.stem for p in images.iterdir()} == {image.id for row in rest for image in row.images}


def test_halves_that_differ_only_in_signs_are_matched_on_demand_and_taken_apart_by_undo(store, tmp_path):
    made = store.create("Halves", "pairs").id
    one, other = make_pair(1), make_pair(2)
    drop(store, made, tmp_path, before__IMG_001=one[0], after__img001=one[1], before__cat=other[0], **{"after__a dog": other[1]})
    halves = store.pictures(made)
    assert [p.missing for p in halves] == ["after", "before", "after", "before"]
    count, token = match_halves(store, made)
    assert count == 1 and sorted(p.missing for p in store.pictures(made)) == ["", "after", "before"]
    store.undo(made, token)
    assert store.pictures(made) == halves


def test_nothing_is_guessed_between_several_and_no_match_says_the_way_out(store, tmp_path):
    made = store.create("Halves", "pairs").id
    one, other, third = make_pair(1), make_pair(2), make_pair(3)
    drop(store, made, tmp_path, before__IMG_001=one[0], before__img001=other[0], after__img__001=third[1])
    with pytest.raises(DarkroomError, match="Drop a missing picture on its place"):
        match_halves(store, made)


def test_what_a_list_names_and_never_comes_can_be_forgotten(store, pairs, tmp_path):
    (tmp_path / "metadata.jsonl").write_text(json.dumps({"input_image": "x.png", "instruction": "y", "output_image": "z.png"}))
    ingest_files(store, pairs, [("metadata.jsonl", tmp_path / "metadata.jsonl")])
    assert (store.info(pairs).num_awaited, len(store.pictures(pairs))) == (1, 4)
    assert DatasetStore(store.workspace).info(pairs).num_awaited == 1
    assert forget_awaited(store, pairs) == 1 and store.info(pairs).num_awaited == 0


def test_halves_and_sizes_are_told_in_sentences_with_the_way_out(store, pairs, tmp_path):
    assert find_pair_faults(store.pictures(pairs)) == []
    drop(store, pairs, tmp_path, before__new=encode(draw_figure(5, 64)))
    rows = store.pictures(pairs)
    (fault,) = find_pair_faults(rows)
    assert "1 of 5 pairs is not complete: new (1 lacks the picture after)" in fault and "Dataset page" in fault
    captions.set_caption(store, pairs, rows[1].id, "", None)
    silent = store.pictures(pairs)[:4]
    assert "1 of 4 pairs has no instruction: 001. Write what changes" in find_pair_faults(silent)[0]
    uneven = with_sides(rows[0], rows[0].before, dataclasses.replace(rows[0].after, width=80))
    (fault,) = find_pair_faults([uneven, *rows[1:4]])
    assert "64 x 64 px before and 80 x 64 px after" in fault


def test_an_export_taken_in_again_gives_the_same_pairs(store, pairs, tmp_path):
    drop(store, pairs, tmp_path, before__half=encode(draw_figure(5, 64)))
    out = export_dataset(store, pairs, tmp_path / "out")
    rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text("utf-8").splitlines()]
    assert [set(r) for r in rows] == [{"input_image", "instruction", "output_image"}] * 4
    assert all((out / r[key]).is_file() for r in rows for key in ("input_image", "output_image"))
    again = store.create("Again", "").id
    assert all(o.accepted for o in ingest_folder(store, again, out))
    key = [(p.before.sha256, p.text, p.after.sha256) for p in store.pictures(pairs) if not p.missing]
    assert store.info(again).kind == "pairs" and [(p.before.sha256, p.text, p.after.sha256) for p in store.pictures(again)] == key
    with pytest.raises(DarkroomError, match="no complete pairs"):
        export_dataset(store, store.create("Empty", "pairs").id, tmp_path / "x.zip")


def test_the_kind_is_changed_only_while_nothing_is_in(store, pairs):
    empty = store.create("Empty").id
    store.set_kind(empty, "pairs")
    assert store.info(empty).kind == "pairs"
    with pytest.raises(DarkroomError, match="only while nothing is in it"):
        store.set_kind(pairs, "pictures")


def test_the_sample_pairs_become_a_data_set_with_their_instructions(store):
    (sample,) = [s for s in find_sample_pairs() if s.key == "edits"]
    made = create_sample_dataset(store, "edits")
    assert (made.kind, made.num_pictures, made.num_captions, made.num_incomplete) == ("pairs", sample.count, sample.count, 0)
    assert not any(s.key.endswith("held_out") for s in find_sample_pairs())

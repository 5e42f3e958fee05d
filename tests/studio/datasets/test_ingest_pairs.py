"""Edit pairs come in: in every layout, in any order, file by file; halves wait; what cannot be is told by name."""

from __future__ import annotations

import csv
import io
import itertools
import json

import pytest

from backends.contract.errors import DarkroomError
from studio.datasets.captions import set_caption
from studio.datasets.incoming import Found
from studio.datasets.ingest import ingest_files, ingest_folder, ingest_upload
from studio.datasets.ingest_pairs import ingest_side
from studio.datasets.store import DatasetStore
from tests.studio.datasets.drawing import encode, encode_with_orientation, write_zip
from tests.studio.datasets.pairs import draw_scene, make_pair, write_folders


@pytest.fixture
def pairs(store):
    return store.create("Pairs", "pairs").id


@pytest.fixture
def put(store, pairs, tmp_path):
    """Drops files together, as one part of a page's upload."""
    counter = itertools.count()

    def put_files(files):
        named = []
        for name, data in files.items():
            path = tmp_path / f"part-{next(counter)}"
            path.write_bytes(data)
            named.append((name, path))
        return {o.name: o for o in ingest_files(store, pairs, named)}

    return put_files


def shown(store, dataset):
    """(name of before, instruction, name of after) of each pair."""
    return [(p.before.name if p.before.file else None, p.text, p.after.name if p.after.file else None) for p in store.pictures(dataset)]


def test_two_folders_give_pairs_in_the_order_of_names(store, pairs, tmp_path):
    outcomes = ingest_folder(store, pairs, write_folders(tmp_path / "set", 3))
    assert all(o.accepted for o in outcomes) and len(outcomes) == 6
    assert shown(store, pairs) == [(f"input_images/{n:03d}.png", "", f"output_images/{n:03d}.png") for n in range(3)]
    info = store.info(pairs)
    assert (info.kind, info.num_pictures, info.num_captions, info.num_incomplete) == ("pairs", 3, 0, 0)
    assert [p.name for p in store.pictures(pairs)] == ["000", "001", "002"]


def test_both_pictures_are_kept_upright_as_png_with_their_hash_and_original(store, pairs, put):
    photo = encode_with_orientation(draw_scene(1, size=(80, 60)), 6)
    put({"before/a.jpg": photo, "after/a.png": encode(draw_scene(1, "blue", size=(60, 80)))})
    (row,) = store.pictures(pairs)
    assert (row.width, row.height) == (60, 80) and not row.missing
    folder = store.workspace.dataset(pairs)
    for image, suffix in ((row.before, "jpg"), (row.after, "png")):
        assert (folder / image.file).is_file() and (folder / ".originals" / f"{image.id}.{suffix}").is_file()
        assert image.sha256 and (image.width, image.height) == (60, 80)
    assert (folder / ".originals" / f"{row.before.id}.jpg").read_bytes() == photo
    assert store.thumbnail(pairs, row.before.id, 192).is_file() and store.path(pairs, row.after.id).is_file()


COLUMNS = [("input_image", "instruction", "output_image"), ("original_image", "edit_prompt", "edited_image"), ("input", "edit", "output")]


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("first", ["list", "pictures"])
def test_a_list_pairs_files_of_any_name_whenever_it_comes(store, pairs, put, columns, kind, first):
    files = {f"pics/{name}.png": data for n in range(2) for name, data in zip((f"x{n}", f"y{n}"), make_pair(n), strict=True)}
    rows = [dict(zip(columns, (f"pics/x{n}.png", f"make {n} blue", f"pics/y{n}.png"), strict=True)) for n in range(2)]
    if kind == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, columns)
        writer.writeheader()
        writer.writerows(rows)
        text = out.getvalue()
    else:
        text = "".join(json.dumps(row) + "\n" for row in rows)
    listed = {f"metadata.{kind}": text.encode()}
    if first == "list":
        assert "names 2 pairs" in put(listed)[f"metadata.{kind}"].reason
        assert (store.pictures(pairs), store.info(pairs).num_awaited) == ([], 2)
        outcomes = put(files)
    else:
        outcomes = put(listed | files)  # what has no side of its own needs the list beside it
    assert all(o.accepted for o in outcomes.values())
    assert shown(store, pairs) == [(f"pics/x{n}.png", f"make {n} blue", f"pics/y{n}.png") for n in range(2)]
    assert {p.text_by for p in store.pictures(pairs)} == {"file"} and store.info(pairs).num_awaited == 0


def test_a_list_that_comes_after_its_pairs_gives_them_their_words(store, pairs, tmp_path, put):
    root = write_folders(tmp_path / "set", 3, listed=True)
    listed = (root / "metadata.jsonl").read_bytes()
    (root / "metadata.jsonl").unlink()
    ingest_folder(store, pairs, root)
    set_caption(store, pairs, store.pictures(pairs)[1].id, "my own words", None)
    outcome = put({"metadata.jsonl": listed})["metadata.jsonl"]
    assert outcome.accepted and "1 of them keep words of your own" in outcome.reason
    assert [p.text for p in store.pictures(pairs)] == ["make it blue 0", "my own words", "make it blue 2"]


def test_one_picture_before_may_have_several_edits(store, pairs, put):
    source = encode(draw_scene(1))
    files = {"in/apple.png": source} | {f"out/apple_{c}.png": encode(draw_scene(1, c)) for c in ("red", "blue", "green")}
    lines = [
        {"input_image": "in/apple.png", "instruction": f"make it {c}", "output_image": f"out/apple_{c}.png"}
        for c in ("red", "blue", "green")
    ]
    listed = {"metadata.jsonl": "".join(json.dumps(line) + "\n" for line in lines).encode()}
    put(listed)
    for name, data in files.items():
        assert put({name: data})[name].accepted
    assert shown(store, pairs) == [("in/apple.png", f"make it {c}", f"out/apple_{c}.png") for c in ("red", "blue", "green")]
    assert len(list((store.workspace.dataset(pairs) / "images").iterdir())) == 4
    fourth = [{"input_image": "in/apple.png", "instruction": "make it yellow", "output_image": "out/apple_yellow.png"}]
    put({"metadata.jsonl": json.dumps(fourth[0]).encode(), "out/apple_yellow.png": encode(draw_scene(1, "yellow"))})
    assert shown(store, pairs)[3] == ("in/apple.png", "make it yellow", "out/apple_yellow.png")


def test_halves_that_came_by_other_names_become_a_pair_by_the_list(store, pairs, put):
    before, after = make_pair(1)
    put({"before/cat.png": before, "after/dog.png": after})
    assert store.info(pairs).num_incomplete == 2
    put({"metadata.jsonl": json.dumps({"input": "before/cat.png", "edit": "a dog", "output": "after/dog.png"}).encode()})
    assert shown(store, pairs) == [("before/cat.png", "a dog", "after/dog.png")]


@pytest.mark.parametrize("line", ['{"input_image": "a.png"}', '{"input_image": "a.png", "output_image": ""}', "[1]", "12"])
def test_a_line_that_does_not_name_both_pictures_is_told_with_its_number(store, pairs, put, line):
    good = json.dumps({"input_image": "a.png", "instruction": "x", "output_image": "b.png"})
    outcome = put({"metadata.jsonl": f"{good}\n{line}\n".encode()})["metadata.jsonl"]
    assert (
        not outcome.accepted and "Line 2 of metadata.jsonl" in outcome.reason and "input_image, instruction, output_image" in outcome.reason
    )
    assert store.info(pairs).num_awaited == 0


def test_a_list_that_is_none_is_refused_in_words(store, pairs, put):
    assert "file_name and text" in put({"metadata.jsonl": b"not json"})["metadata.jsonl"].reason


TEXTS = [
    "001.txt",
    "001_before.txt",
    "001_after.txt",
    "input_images/001.txt",
    "output_images/001.txt",
    "instructions/001.txt",
    "001.png.txt",
]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("order", ["before the pictures", "with them", "after them"])
def test_a_text_beside_either_picture_is_the_instruction(store, pairs, put, name, order):
    before, after = make_pair(1)
    pictures = {"input_images/001.png": before, "output_images/001.png": after}
    text = {name: b"make it blue"}
    if order == "before the pictures":
        assert "waits" in put(text)[name].reason
        put(pictures)
    elif order == "with them":
        put(pictures | text)
    else:
        put(pictures)
        assert put(text)[name].accepted
    (row,) = store.pictures(pairs)
    assert (row.text, row.text_by) == ("make it blue", "file")


def test_beside_both_the_text_of_the_picture_after_says_the_change(store, pairs, put):
    before, after = make_pair(1)
    put({"a_before.png": before, "a_after.png": after, "a_before.txt": b"a house", "a_after.txt": b"make it night"})
    assert store.pictures(pairs)[0].text == "make it night"


def test_a_text_never_replaces_what_the_person_wrote(store, pairs, put):
    before, after = make_pair(1)
    put({"a_before.png": before, "a_after.png": after})
    set_caption(store, pairs, store.pictures(pairs)[0].id, "mine", None)
    outcomes = put({"a_before.txt": b"from the file"})
    assert not outcomes["a"].accepted and "they stay" in outcomes["a"].reason and store.pictures(pairs)[0].text == "mine"


def test_an_empty_instruction_is_taken_and_counts_as_missing(store, pairs, put):
    before, after = make_pair(1)
    put({"a_before.png": before, "a_after.png": after, "a_after.txt": b" \r\n"})
    info = store.info(pairs)
    assert (info.num_pictures, info.num_captions, info.num_incomplete) == (1, 0, 0)


ORDERS = list(itertools.permutations(["b/1.png", "a/1.png", "b/2.png", "a/2.png"]))


@pytest.mark.parametrize("order", ORDERS[::5])
def test_files_that_come_one_by_one_in_any_order_find_their_partners(store, pairs, put, order):
    data = {f"{side}/{n}.png": picture for n in (1, 2) for side, picture in zip(("a", "b"), make_pair(n), strict=True)}
    for name in order:
        assert put({name: data[name]})[name].accepted
    assert sorted(shown(store, pairs)) == [("a/1.png", "", "b/1.png"), ("a/2.png", "", "b/2.png")]


def test_a_half_waits_in_the_data_set_and_is_paired_when_the_other_comes(store, pairs, put):
    before, after = make_pair(1)
    put({"before/a.png": before})
    (half,) = store.pictures(pairs)
    assert (half.missing, store.info(pairs).num_incomplete, store.info(pairs).cover) == ("after", 1, half.before.id)
    fresh = DatasetStore(store.workspace)
    assert fresh.pictures(pairs) == [half]
    put({"after/a.png": after})
    (whole,) = fresh.pictures(pairs)
    assert (whole.id, whole.missing, whole.name) == (half.id, "", "a") and fresh.info(pairs).num_incomplete == 0


def test_a_plain_name_is_the_other_half_of_one_that_says_its_side(store, pairs, put):
    before, after = make_pair(1)
    outcomes = put({"a.png": before, "a_edited.png": after, "b.png": encode(draw_scene(9))})
    assert shown(store, pairs) == [("a.png", "", "a_edited.png")]
    assert not outcomes["b.png"].accepted and "before or after" in outcomes["b.png"].reason


def test_sizes_that_differ_are_refused_with_both_and_the_way_out_and_the_half_waits(store, pairs, put):
    before = encode(draw_scene(1, size=(64, 64)))
    after = encode(draw_scene(1, "blue", size=(80, 64)))
    outcomes = put({"before/a.png": before, "after/a.png": after})
    reason = outcomes["after/a.png"].reason
    assert outcomes["before/a.png"].accepted and not outcomes["after/a.png"].accepted
    assert "80 x 64 px" in reason and "64 x 64 px" in reason and "before/a.png" in reason and "Scale or cut" in reason
    assert [p.missing for p in store.pictures(pairs)] == ["after"]
    put({"after/a.png": encode(draw_scene(1, "blue"))})
    assert [p.missing for p in store.pictures(pairs)] == [""]


def test_the_same_pair_again_is_refused_whole(store, pairs, tmp_path, put):
    root = write_folders(tmp_path / "set", 2, listed=True)
    ingest_folder(store, pairs, root)
    before = store.pictures(pairs)
    outcomes = ingest_folder(store, pairs, root)
    assert [o.accepted for o in outcomes if o.name.endswith(".png")] == [False] * 4
    assert all("already here" in o.reason for o in outcomes if o.name.endswith(".png"))
    assert store.pictures(pairs) == before


def test_two_pairs_of_the_same_pictures_under_other_names_are_one(store, pairs, put):
    before, after = make_pair(1)
    put({"before/a.png": before, "after/a.png": after})
    outcomes = put({"before/b.png": before, "after/b.png": after})
    assert not outcomes["after/b.png"].accepted and "already here as “a”" in outcomes["after/b.png"].reason


def test_a_second_set_with_the_same_names_makes_pairs_of_its_own(store, pairs, put):
    for seed, folder in ((1, "one"), (2, "two")):
        before, after = make_pair(seed)
        put({f"{folder}/before/a.png": before, f"{folder}/after/a.png": after})
    assert [p.name for p in store.pictures(pairs)] == ["a", "a (2)"]
    assert all(not p.missing for p in store.pictures(pairs))


def test_a_zip_of_two_folders_with_a_list_is_detected_as_pairs(store, tmp_path):
    entries = {}
    for n in range(2):
        before, after = make_pair(n)
        entries |= {f"set/input_images/{n}.png": before, f"set/output_images/{n}.png": after}
    line = {"input_image": "input_images/0.png", "instruction": "make it blue", "output_image": "output_images/0.png"}
    entries["set/metadata.jsonl"] = json.dumps(line).encode()
    undecided = store.create("New", "").id
    assert all(o.accepted for o in ingest_upload(store, undecided, "set.zip", write_zip(tmp_path / "set.zip", entries)))
    assert store.info(undecided).kind == "pairs" and [p.text for p in store.pictures(undecided)] == ["make it blue", ""]


def test_an_undecided_data_set_becomes_one_of_pictures_by_its_first_picture(store, tmp_path):
    undecided = store.create("New", "").id
    (tmp_path / "a.png").write_bytes(make_pair(1)[0])
    ingest_upload(store, undecided, "a.png", tmp_path / "a.png")
    assert store.info(undecided).kind == "pictures" and store.pictures(undecided)[0].before is None
    (tmp_path / "pairs.zip").write_bytes(write_zip(tmp_path / "z.zip", {"before/a.png": b"x", "after/a.png": b"y"}).read_bytes())
    ingest_upload(store, undecided, "pairs.zip", tmp_path / "pairs.zip")
    assert store.info(undecided).kind == "pictures"


def test_a_list_of_pairs_among_single_pictures_is_refused_with_the_way_out(store, dataset, drop):
    line = {"input_image": "a.png", "instruction": "x", "output_image": "b.png"}
    (outcome,) = drop("metadata.jsonl", json.dumps(line).encode())
    assert not outcome.accepted and "Begin a data set of edit pairs" in outcome.reason


def test_what_is_no_picture_is_refused_by_name_and_the_others_come_in(store, pairs, put):
    before, after = make_pair(1)
    outcomes = put({"before/a.png": before, "after/a.png": after, "before/b.png": b"words", "after/b.png": after[:60], "x.pdf": b"%PDF"})
    assert {name for name, o in outcomes.items() if not o.accepted} == {"before/b.png", "after/b.png", "x.pdf"}
    assert all(o.reason.endswith(".") for o in outcomes.values() if not o.accepted)
    assert len(store.pictures(pairs)) == 1


def test_a_picture_dropped_on_the_empty_side_needs_no_name(store, pairs, put, tmp_path):
    before, after = make_pair(1)
    put({"before/a.png": before})
    (half,) = store.pictures(pairs)
    (tmp_path / "IMG_7.png").write_bytes(after)
    outcome = ingest_side(store, pairs, half.id, "after", Found("IMG_7.png", tmp_path / "IMG_7.png"))
    assert outcome.accepted and not store.pictures(pairs)[0].missing
    again = ingest_side(store, pairs, half.id, "after", Found("IMG_7.png", tmp_path / "IMG_7.png"))
    assert not again.accepted and "already" in again.reason
    assert "no such pair" in ingest_side(store, pairs, "0" * 24, "after", Found("x.png", tmp_path / "IMG_7.png")).reason


def test_pairs_that_come_from_two_writers_at_once_are_not_lost(store, pairs, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    root = write_folders(tmp_path / "set", 12)
    files = sorted(root.rglob("*.png"), key=lambda p: (p.parent.name, p.name))
    parts = [files[at::4] for at in range(4)]

    def send(part):
        return ingest_files(DatasetStore(store.workspace), pairs, [(p.relative_to(root).as_posix(), p) for p in part])

    with ThreadPoolExecutor(4) as pool:
        outcomes = [o for found in pool.map(send, parts) for o in found]
    assert all(o.accepted for o in outcomes)
    assert len(store.pictures(pairs)) == 12 and store.info(pairs).num_incomplete == 0


def test_no_more_pairs_than_the_most(store, pairs, put, monkeypatch):
    monkeypatch.setattr("studio.datasets.pair_desk.MAX_PAIRS", 1)
    before, after = make_pair(1)
    put({"before/a.png": before, "after/a.png": after})
    assert "which are the most" in put({"before/b.png": encode(draw_scene(2))})["before/b.png"].reason


def test_a_kind_that_is_none_is_refused(store):
    with pytest.raises(DarkroomError, match="pictures, pairs"):
        store.create("x", "videos")

"""Faults that were put in are found: how many of each kind, and how many alarms without a fault (docs/data.md has the figures)."""

from __future__ import annotations

import json

import pytest
from PIL import Image, ImageOps

from backends.contract.methods.text_to_image import TextToImageConfig
from backends.contract.rundir import RunDir
from backends.engine.manifest import read_manifest
from studio.datasets.checks import check_dataset, gather_known_facts
from studio.datasets.ingest import ingest_folder
from studio.datasets.split import choose_held_out, find_leaks
from studio.datasets.store import DatasetStore
from studio.runs.store import RunStore
from studio.workspace import open_workspace
from tests.studio.datasets.drawing import draw_figure, draw_photo, encode
from tests.studio.datasets.faults import copy, soften

SIDE, CLEAN = 256, 60


@pytest.fixture(scope="module", params=["drawings", "photos"])
def checked(request, tmp_path_factory):
    """What the check says of a data set with faults of four kinds: by code, the names of the pictures, and the faults themselves."""
    draw = draw_figure if request.param == "drawings" else draw_photo
    folder = tmp_path_factory.mktemp(request.param)
    source = folder / "in"
    source.mkdir()
    pictures = [draw(n, SIDE) for n in range(CLEAN)]
    faults: dict[str, set[str]] = {"twin": set(), "blurred": set(), "no_trigger_word": set(), "caption_identical": set()}
    for n, image in enumerate(pictures):
        data = encode(image)
        words = f"zog number {n}, seen from side {n * 7 % 61} on ground {n * 11 % 59}"
        if n < 20:
            (source / f"copy{n:02d}.png").write_bytes(copy(image, n))
            (source / f"copy{n:02d}.txt").write_text(f"zog copied {n}")
            faults["twin"] |= {f"copy{n:02d}.png", f"clean{n:02d}.png"}
        elif n < 40:
            faults["no_trigger_word"].add(f"clean{n:02d}.png")
            words = words.removeprefix("zog ")
        else:
            faults["caption_identical"].add(f"clean{n:02d}.png")
            words = "zog on a table"
        (source / f"clean{n:02d}.png").write_bytes(data)
        (source / f"clean{n:02d}.txt").write_text(words)
    for n in range(20):
        (source / f"soft{n:02d}.png").write_bytes(encode(soften(draw(1000 + n, SIDE), n)))
        (source / f"soft{n:02d}.txt").write_text(f"zog softly {n}")
        faults["blurred"].add(f"soft{n:02d}.png")
    store = DatasetStore(open_workspace(folder / "workspace"))
    made = store.create("Faults", "pictures").id
    store.update(made, trigger_word="zog")
    ingest_folder(store, made, source)
    report = check_dataset(store, made)
    names = {row.id: row.name for row in store.pictures(made)}
    found: dict[str, set[str]] = {}
    for finding in report.findings:
        code = "twin" if finding.code == "alike" else finding.code
        found.setdefault(code, set()).update(names[i] for i in finding.picture_ids)
    return faults, found


@pytest.mark.parametrize("code", ["twin", "blurred", "no_trigger_word", "caption_identical"])
def test_every_fault_is_found_and_nothing_else_is_called_so(checked, code):
    faults, found = checked
    missed, alarms = faults[code] - found.get(code, set()), found.get(code, set()) - faults[code]
    assert (sorted(missed), sorted(alarms)) == ([], [])


def test_ten_broken_pairs_are_all_found(store, tmp_path):
    root = tmp_path / "pairs"
    for part in ("input_images", "output_images"):
        (root / part).mkdir(parents=True)
    lines = []
    for n in range(30):
        for part, image in (("input_images", draw_figure(n, 128)), ("output_images", ImageOps.invert(draw_figure(n, 128)))):
            image.save(root / part / f"{n:03d}.png")
        files = (f"input_images/{n:03d}.png", "" if n in (6, 7) else f"invert it {n}", f"output_images/{n:03d}.png")
        lines.append(json.dumps(dict(zip(("input_image", "instruction", "output_image"), files, strict=True))))
    (root / "metadata.jsonl").write_text("\n".join(lines))
    for n in range(3):  # halves: one side never came
        (root / "output_images" / f"{n:03d}.png").unlink()
    same = [f"{n:03d}.png" for n in range(3, 6)]
    for name in same:  # nothing changes
        (root / "output_images" / name).write_bytes((root / "input_images" / name).read_bytes())
    made = store.create("Pairs", "pairs").id
    ingest_folder(store, made, root)
    rows = store.pictures(made)
    torn = [row for row in rows if row.after.name.endswith(("008.png", "009.png"))]
    for row in torn:  # torn after they had come
        path = store.workspace.dataset(made) / row.after.file
        path.write_bytes(path.read_bytes()[:300])
    found = {finding.code: len(finding.picture_ids) for finding in check_dataset(store, made).findings}
    assert {code: found.get(code) for code in ("incomplete", "unchanged", "no_instruction", "broken")} == {
        "incomplete": 3,
        "unchanged": 3,
        "no_instruction": 2,
        "broken": 2,
    }
    assert set(found) <= {"incomplete", "unchanged", "no_instruction", "broken", "few"}


@pytest.fixture(scope="module", params=["drawings", "photos"])
def leaky(request, tmp_path_factory):
    """A hundred pictures of which a split holds ten out, and then a copy of each of those ten beside them: ten leaks.

    The store, the data set, and original -> copy by id.
    """
    draw = draw_figure if request.param == "drawings" else draw_photo
    folder = tmp_path_factory.mktemp(f"leaks-{request.param}")
    store = DatasetStore(open_workspace(folder / "workspace"))
    made, first, second = store.create("Leaks", "pictures").id, folder / "first", folder / "second"
    for part, numbers in ((first, range(100)), (second, ())):
        part.mkdir()
        for n in numbers:
            (part / f"{n:02d}.png").write_bytes(encode(draw(n, SIDE)))
            (part / f"{n:02d}.txt").write_text(f"number {n}")
    ingest_folder(store, made, first)
    judges = sorted(choose_held_out([row.id for row in store.pictures(made)], 0.1))
    for n, judge in enumerate(judges):
        with Image.open(store.path(made, judge)) as image:
            (second / f"copy{n}.png").write_bytes(copy(image.convert("RGB"), n))
        (second / f"copy{n}.txt").write_text(f"copy {n}")
    ingest_folder(store, made, second)
    by_name = {row.name: row.id for row in store.pictures(made)}
    return store, made, {judge: by_name[f"copy{n}.png"] for n, judge in enumerate(judges)}


def test_ten_leaks_of_a_split_that_knows_no_copies_are_all_found_and_nothing_else(leaky):
    store, made, copy_of = leaky
    facts = gather_known_facts(store, made, None, "pocket-sdxl", 0.1)
    found = {leak.judge: leak.teachers for leak in find_leaks(set(copy_of), facts.kin)}
    assert found == {judge: [copy] for judge, copy in copy_of.items()} and len(found) == 10


def test_the_split_that_trains_has_no_leak_and_its_report_names_what_was_kept_together(leaky):
    store, made, copy_of = leaky
    config = TextToImageConfig(held_out_share=0.1)
    run = RunStore(store.workspace).create(dataset_id=made, preset_key="", name="run", backend="sdxl/text_to_image", config=config)
    folder = RunDir(store.workspace.run(run.id))
    rows = read_manifest(folder.manifest)  # as the trainer reads it
    held_out = {row.id for row in rows if row.held_out}
    assert len(rows) == 110 and len(held_out) == 11
    assert [judge for judge, copy in copy_of.items() if (judge in held_out) != (copy in held_out)] == []
    split = json.loads(folder.report.read_text("utf-8"))["split"]
    assert (split["training"], split["held_out"], split["leaks"]) == (99, 11, [])
    assert sorted(map(sorted, split["together"])) == sorted(sorted(pair) for pair in copy_of.items())


def test_where_all_pictures_are_copies_of_one_the_leak_is_a_finding_with_its_way_out(store, dataset, drop):
    image = draw_photo(1, SIDE)
    for quality in range(30, 90, 5):
        drop(f"{quality}.jpg", encode(image, "JPEG", quality=quality))
    report = check_dataset(store, dataset)
    found = next(f for f in report.findings if f.code == "leak")
    assert len(found.picture_ids) == 12 and len(found.action.picture_ids) == 11 and found.action.kind == "remove"
    assert len(report.split.leaks) == 1 and report.split.held_out == 1 and "held out to judge" in found.rule
    store.remove(dataset, found.action.picture_ids)
    assert [f.code for f in check_dataset(store, dataset).findings if f.code in ("leak", "twin")] == []

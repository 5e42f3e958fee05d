"""Who was chosen to judge judges, with near copies, and is never learnt from: in a run of the studio's and in one begun by hand."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors
import torch

from backends.contract.methods.text_to_image import TextToImageConfig
from backends.contract.rundir import RunDir
from backends.engine.assembly import build_held_out
from backends.engine.data import build_data, list_run_buckets
from backends.engine.manifest import read_manifest
from backends.engine.pictures import place_item
from backends.engine.reporter import Reporter
from studio.datasets import captions
from studio.datasets.export import export_dataset
from studio.datasets.formats.write_out import export_table
from studio.datasets.ingest import ingest_folder
from studio.datasets.judges import mark_judges
from studio.datasets.store import DatasetStore
from studio.runs.store import RunStore
from studio.workspace import open_workspace
from tests.backends.engine import toy
from tests.backends.loaded import CPU, load
from tests.studio.datasets.drawing import draw_photo, encode
from tests.studio.datasets.faults import copy
from tests.studio.datasets.pairs import write_folders

CHOSEN = ("2.png", "5.png")


@pytest.fixture
def store(tmp_path):
    return DatasetStore(open_workspace(tmp_path / "workspace"))


@pytest.fixture
def portraits(store, tmp_path):
    """Ten pictures and two near copies, of which one has a chosen original; two of them judge."""
    (tmp_path / "in").mkdir()
    for seed in range(10):
        (tmp_path / "in" / f"{seed}.png").write_bytes(encode(draw_photo(seed, 128)))
    for seed in (2, 3):
        (tmp_path / "in" / f"copy {seed}.jpg").write_bytes(copy(draw_photo(seed, 128), 0))
    made = store.create("Portraits", "pictures").id
    ingest_folder(store, made, tmp_path / "in")
    captions.change_captions(store, made, {row.id: f"zog {row.name.partition('.')[0]}" for row in store.pictures(made)})
    mark_judges(store, made, [row.id for row in store.pictures(made) if row.name in CHOSEN], judges=True)
    return made


class Asked:
    """A source of samples that remembers whom it was asked for."""

    def __init__(self, source):
        self._source, self.indices = source, set()

    def fetch(self, pick):
        self.indices |= set(pick.indices)
        return self._source.fetch(pick)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_a_run_learns_from_no_chosen_picture_or_copy_of_it_and_is_judged_by_them(store, portraits, toy_base, share):
    config = TextToImageConfig(trigger_word="zog", held_out_share=share)
    made = RunStore(store.workspace).create(dataset_id=portraits, preset_key="", name="run", backend="sdxl/text_to_image", config=config)
    run, names = RunDir(store.workspace.run(made.id)), {row.content: row.name for row in store.pictures(portraits)}
    loaded = load("sdxl/text_to_image", toy_base("sdxl"), train_batch_size=2)
    items = loaded.method.build_items(read_manifest(run.manifest))
    alone = SimpleNamespace(device=CPU, num_processes=1, process_index=0, is_main_process=True, wait_for_everyone=lambda: None)
    ground = SimpleNamespace(run=run, config=loaded.config, accelerator=alone, seed=1, reporter=Reporter(None), check_stop=lambda: None)
    placements = [place_item(item, list_run_buckets(loaded.config)) for item in items]
    data = build_data(ground, loaded.family, loaded.method, items, placements)
    data.judge_source = asked = Asked(data.judge_source)
    learnt = {index for position in range(10 * len(items)) for index in data.order.pick(position).indices}
    judge = build_held_out(ground, loaded.family, loaded.method, items, data=data)
    judge.judge(0, lambda batch, draws, weighted: torch.zeros(len(next(iter(batch.moments.values()))[0])), add_up=lambda losses: losses)
    assert {names[items[index].id] for index in asked.indices} == {*CHOSEN, "copy 2.jpg"}
    assert {names[items[index].id] for index in learnt} == set(names.values()) - {*CHOSEN, "copy 2.jpg"}
    assert data.training == 9


def train_by_hand(run: RunDir) -> list[dict]:
    run.manifest.unlink()
    assert toy.train(run) == 0, run.log.read_text()
    return [json.loads(line) for line in run.manifest.read_text().splitlines()]


@pytest.mark.parametrize("form", ["folder", "saved"])
def test_a_trainer_by_hand_obeys_the_column_of_an_export(store, portraits, toy_base, tmp_path, form):
    if form == "folder":
        export_dataset(store, portraits, tmp_path / "out")
        settings = {"train_data_dir": str(tmp_path / "out")}
    else:
        export_table(store, portraits, tmp_path / "out", "saved")
        settings = {"dataset_name": str(tmp_path / "out")}
    run = toy.make_run(tmp_path / "run", toy_base("sdxl"), rows=[], max_train_steps=2, held_out_share=0.5, **settings)
    rows = train_by_hand(run)
    assert sorted(row["caption"] for row in rows if row["held_out"]) == ["zog 2", "zog 5"] and len(rows) == 12
    with safetensors.safe_open(run.result, "pt") as file:
        told = json.loads(file.metadata()["darkroom.recipe"])["dataset"]
    assert (told["pictures"], told["held_out"]) == (10, 2)


def test_a_trainer_of_edits_by_hand_obeys_it_too(toy_base, tmp_path):
    root = write_folders(tmp_path / "pairs", 4, listed=True)
    lines = [json.loads(line) | {"held_out": n == 3} for n, line in enumerate((root / "metadata.jsonl").read_text().splitlines())]
    (root / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    settings = {"train_data_dir": str(root), "max_train_steps": 1}
    rows = train_by_hand(toy.make_run(tmp_path / "run", toy_base("sd15"), "sd15/instruct_pix2pix", rows=[], **settings))
    assert [(Path(row["file"]).name, row["held_out"]) for row in rows] == [(f"{n:03d}.png", n == 3) for n in range(4)]


@pytest.mark.parametrize(
    ("marks", "said"), [([True, True], "All 2 pictures say held_out"), ([True, "perhaps"], "held_out is “perhaps”; it must be true")]
)
def test_what_cannot_be_is_refused_before_the_first_step(toy_base, tmp_path, marks, said):
    (tmp_path / "mine").mkdir()
    lines = []
    for number, mark in enumerate(marks):
        (tmp_path / "mine" / f"{number}.png").write_bytes(encode(draw_photo(number, 64)))
        lines.append(json.dumps({"file_name": f"{number}.png", "text": "zog", "held_out": mark}))
    (tmp_path / "mine" / "metadata.jsonl").write_text("\n".join(lines))
    run = toy.make_run(tmp_path / "run", toy_base("sdxl"), rows=[], train_data_dir=str(tmp_path / "mine"))
    run.manifest.unlink()
    assert toy.train(run) != 0
    assert said in run.log.read_text() and not toy.events_of(run, "step")

"""Splitting: the share, what is described, near copies on one side, what is said where nobody knows."""

from __future__ import annotations

import io
import shutil

import pytest
from PIL import Image, ImageOps

from backends.contract.errors import DarkroomError
from studio.datasets.dividing import Cut, split_dataset
from studio.datasets.ingest import ingest_folder
from tests.studio.datasets.drawing import draw_figure, encode

COUNT = 20


@pytest.fixture
def figures(store, tmp_path):
    """20 drawings, the even ones a fox; of the first five a smaller copy saved as JPEG."""
    folder = tmp_path / "figures"
    folder.mkdir()
    for seed in range(COUNT):
        drawn = draw_figure(seed, 128)
        (folder / f"{seed:02d}.png").write_bytes(encode(drawn))
        (folder / f"{seed:02d}.txt").write_text("a Red fox" if seed % 2 == 0 else "an owl", "utf-8")
        if seed < 5:
            data = io.BytesIO()
            drawn.resize((100, 100), Image.Resampling.LANCZOS).save(data, "JPEG", quality=70)
            (folder / f"{seed:02d}_copy.jpg").write_bytes(data.getvalue())
    info = store.create("Figures")
    ingest_folder(store, info.id, folder)
    return info.id


def names(store, dataset_id):
    return {row.name for row in store.pictures(dataset_id)}


@pytest.mark.parametrize("seed", range(6))
def test_a_share_goes_and_near_copies_are_never_on_both_sides(store, figures, seed):
    divided = split_dataset(store, figures, Cut(share=0.2, seed=seed))
    rest, taken = names(store, divided.rest.id), names(store, divided.taken.id)
    assert (len(taken), len(rest), rest | taken) == (5, 20, names(store, figures))
    for number in range(5):
        assert ({f"{number:02d}.png", f"{number:02d}_copy.jpg"} <= rest) or ({f"{number:02d}.png", f"{number:02d}_copy.jpg"} <= taken)
    assert (divided.rest.name, divided.taken.name, divided.unknown) == ("Figures (rest)", "Figures (20%)", 0)


def test_the_same_seed_divides_in_the_same_way_and_another_does_not(store, figures):
    one, same, other = (names(store, split_dataset(store, figures, Cut(share=0.4, seed=s)).taken.id) for s in (7, 7, 8))
    assert one == same
    assert one != other


def test_those_that_are_described_go_with_their_near_copies(store, figures):
    divided = split_dataset(store, figures, Cut(text="red fox"), names=("Owls", "Foxes"))
    foxes = {f"{seed:02d}.png" for seed in range(0, COUNT, 2)}
    assert names(store, divided.taken.id) == foxes | {"00_copy.jpg", "02_copy.jpg", "04_copy.jpg"}
    assert divided.together == 3
    assert "3 pictures went with a near copy" in divided.sentence()
    assert (divided.rest.id, divided.taken.id) == ("owls", "foxes")
    assert {row.text for row in store.pictures("foxes")} == {"a Red fox", ""}


def test_what_is_not_measured_is_said(store, figures):
    shutil.rmtree(store.workspace.cache)
    divided = split_dataset(store, figures, Cut(share=0.5))
    assert divided.unknown == 25
    assert "25 pictures have not been looked at: check the data set first" in divided.sentence()


def test_pairs_that_begin_with_one_picture_stay_together(store, tmp_path):
    for seed in range(6):
        for colour in ("blue", "yellow"):
            before = draw_figure(seed, 128)
            after = ImageOps.colorize(before.convert("L"), "black", colour)
            for side, image in (("input_images", before), ("output_images", after)):
                (tmp_path / "p" / side).mkdir(parents=True, exist_ok=True)
                (tmp_path / "p" / side / f"{seed}_{colour}.png").write_bytes(encode(image))
    info = store.create("p", "pairs")
    ingest_folder(store, info.id, tmp_path / "p")
    divided = split_dataset(store, info.id, Cut(share=0.5, seed=3))
    befores = [{row.before.sha256 for row in store.pictures(one.id)} for one in (divided.rest, divided.taken)]
    assert befores[0]
    assert befores[1]
    assert not befores[0] & befores[1]


@pytest.mark.parametrize(
    ("cut", "told"),
    [
        (Cut(), "Give either a share"),
        (Cut(share=0.2, text="fox"), "Give either a share"),
        (Cut(share=1.0), "share is 1; it must lie between 0 and 1"),
        (Cut(share=float("nan")), "share is nan"),
        (Cut(text="giraffe"), "None of the 25 pictures is meant"),
        (Cut(smaller_px=1000), "All 25 pictures are meant"),
    ],
)
def test_a_cut_that_says_nothing_is_told(store, figures, cut, told):
    with pytest.raises(DarkroomError, match=told):
        split_dataset(store, figures, cut)
    assert len(store.list()) == 1

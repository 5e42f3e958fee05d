"""Of a picture with a mask only what the mask covers is learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from backends.contract.buckets import Bucket, compute_placement
from backends.contract.errors import DarkroomError
from backends.engine.masks import add_masks, read_mask
from backends.engine.order import Pick
from backends.engine.pictures import read_pixels
from backends.engine.sources import LivePictures, LivePrompts
from backends.methods.denoising import compute_losses
from backends.methods.dreambooth import CLASS, SUBJECT, _join_places
from backends.methods.protocol import Row
from tests.backends.engine import toy
from tests.backends.loaded import load
from tests.backends.methods.test_text_to_image import make_case, predict
from tests.backends.toys import draw_pictures

LEFT = 24  # px of 64 that the mask covers: three of eight latents


def draw_mask(path, size=(64, 64), covered=LEFT):
    values = np.zeros((size[1], size[0]), np.uint8)
    values[:, :covered] = 255
    Image.fromarray(values).save(path)
    return path


def masked_rows(folder, count=4, size=(64, 64)):
    rows = draw_pictures(folder, [size] * count)
    return [row | {"mask_file": str(draw_mask(folder / f"{n}_mask.png", size))} for n, row in enumerate(rows)]


def test_the_loss_is_the_mean_over_what_counts():
    _, schedule, latents, noise, timesteps = make_case("epsilon", zero_snr=False)
    given = {"latents": latents, "noise": noise, "timesteps": timesteps, "conditions": {"bias": torch.tensor(0.3)}}
    places = torch.zeros(4, 1, 5, 5)
    places[:, :, :, :2] = 1
    error = (predict(schedule.add_noise(latents, noise, timesteps), timesteps, given["conditions"]) - noise).square()
    found = compute_losses(schedule, predict, **given, places=places)
    torch.testing.assert_close(found, error[..., :2].mean((1, 2, 3)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        compute_losses(schedule, predict, **given, places=torch.ones_like(places)), compute_losses(schedule, predict, **given)
    )
    assert compute_losses(schedule, predict, **given, places=torch.zeros_like(places)).abs().max() == 0


@pytest.mark.parametrize("outside", [0.0, 0.25])
@pytest.mark.parametrize("name", ["sdxl/text_to_image", "flux/text_to_image", "sd15/dreambooth"])
def test_nothing_outside_the_mask_is_learnt(toy_base, tmp_path, name, outside):
    """What the model predicts outside of the mask has no influence on the loss, at each place of the latents; inside it has."""
    settings = {"instance_prompt": "zog"} if name.endswith("dreambooth") else {}
    loaded = load(name, toy_base(name.partition("/")[0]), masked_loss=True, unmasked_weight=outside, **settings)
    lines = masked_rows(tmp_path / "own", 2)
    masks = [{}, {"mask_file": lines[1]["mask_file"]}]
    rows = [Row(r["id"], Path(r["file"]), r["caption"], 64, 64, False, mask) for r, mask in zip(lines, masks, strict=True)]
    items = loaded.method.build_items(rows)
    placements = [{role: compute_placement(64, 64, Bucket(64, 64)) for role in item.pictures} for item in items]
    source = add_masks(LivePictures(loaded.family, items, placements, prompts=LivePrompts(loaded.family)), loaded.config, items, placements)
    batch = source.fetch(Pick(0, [0, 1], [False, False], [frozenset()] * 2))
    seen = []

    def watched(*given):
        seen.append(original(*given).detach().requires_grad_())
        return seen[-1]

    original, loaded.family.predict = loaded.family.predict, watched
    draws = loaded.method.draw(batch, torch.Generator().manual_seed(0))
    loaded.method.compute_losses(batch, draws).sum().backward()
    (gradient,) = (found.grad.abs().amax(1) for found in seen)
    whole, masked = gradient
    covered = LEFT * whole.shape[-1] // 64
    assert (whole > 0).float().mean() > 0.9, "a picture without a mask is learnt whole"
    assert (masked[:, :covered] > 0).float().mean() > 0.9
    if outside:
        assert (masked[:, covered:] > 0).float().mean() > 0.9 and masked[:, covered:].mean() < 0.5 * masked[:, :covered].mean()
    else:
        assert masked[:, covered:].max() == 0


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("size", [(64, 64), (200, 100), (90, 160)])
def test_a_mask_is_cut_and_mirrored_as_its_picture_is(tmp_path, size, flipped):
    path = draw_mask(tmp_path / "mask.png", size, covered=size[0] // 3)
    placement = compute_placement(*size, Bucket(64, 64))
    pixels = (read_pixels(path, placement, flipped=flipped)[:1] + 1) / 2
    expected = torch.nn.functional.avg_pool2d(pixels[None], 8)[0]
    torch.testing.assert_close(read_mask(path, placement, (8, 8), flipped=flipped), expected, rtol=0, atol=0.01)


def test_pictures_without_masks_and_runs_that_ask_for_none_cost_nothing(toy_base, tmp_path):
    loaded = load("sdxl/text_to_image", toy_base("sdxl"), masked_loss=True)
    plain = loaded.method.build_items([Row(r["id"], r["file"], "", 64, 64, False, {}) for r in draw_pictures(tmp_path, [(64, 64)])])
    source = object()
    assert add_masks(source, loaded.config, plain, []) is source
    masked = [replace(i, pictures={k: replace(s, mask=tmp_path / "m.png") for k, s in i.pictures.items()}) for i in plain]
    assert add_masks(source, loaded.config, masked, []) is not source
    assert add_masks(source, loaded.config.model_copy(update={"masked_loss": False}), masked, []) is source


def test_a_mask_that_is_gone_is_told_by_name(tmp_path):
    with pytest.raises(DarkroomError, match="gone_mask.png cannot be read"):
        read_mask(tmp_path / "gone_mask.png", compute_placement(64, 64, Bucket(64, 64)), (8, 8))


def test_masks_change_what_is_learnt_and_so_does_the_weight_outside(base, tmp_path):
    rows = masked_rows(tmp_path / "own")
    learnt = []
    for number, settings in enumerate(({}, {"masked_loss": True}, {"masked_loss": True, "unmasked_weight": 0.5}, {"unmasked_weight": 0.5})):
        run = toy.make_run(tmp_path / str(number), base, rows=rows, max_train_steps=2, held_out_every=100, **settings)
        assert toy.train(run) == 0, run.log.read_text()
        learnt.append(safetensors.torch.load_file(run.result))
    plain, masked, weighted, unasked = learnt
    differ = [any((a[k] != b[k]).any() for k in a) for a, b in ((plain, masked), (masked, weighted), (plain, unasked))]
    assert differ == [True, True, False]


@pytest.mark.parametrize("settings", [{"cache_latents": False}, {"random_flip": True}])
def test_masks_are_used_however_the_pictures_come(base, tmp_path, settings):
    rows = masked_rows(tmp_path / "own")
    found = []
    for masked in (False, True):
        run = toy.make_run(tmp_path / str(masked), base, rows=rows, max_train_steps=1, held_out_every=100, masked_loss=masked, **settings)
        assert toy.train(run) == 0, run.log.read_text()
        found.append(toy.events_of(run, "step")[0]["loss"])
    assert found[0] != found[1]


def test_class_pictures_beside_a_masked_subject_are_learnt_whole():
    places = torch.zeros(2, 1, 4, 4)
    batch = SimpleNamespace(weights={SUBJECT: places})
    assert torch.equal(_join_places(batch, [SUBJECT, CLASS]), torch.cat([places, torch.ones_like(places)]))
    assert _join_places(SimpleNamespace(weights={}), [SUBJECT, CLASS]) is None

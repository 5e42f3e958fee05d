"""InstructPix2Pix as its paper has it (arXiv 2211.09800): what is left out how often, and a UNet that begins as the base."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from backends.contract.errors import DarkroomError
from backends.engine.cache import EncodedCache
from backends.engine.data import list_run_buckets
from backends.engine.manifest import read_manifest
from backends.engine.order import Pick, SampleOrder
from backends.engine.pictures import place_item
from backends.engine.sources import LivePictures, LivePrompts, encode_pictures
from backends.families.protocol import EXTRA_CHANNELS
from tests.backends import toys
from tests.backends.engine import toy
from tests.backends.loaded import CPU, load, make_question

NAMES = ["sd15/instruct_pix2pix", "sdxl/instruct_pix2pix"]
ALONE = {"rank": 0, "ranks": 1, "wait": lambda: None, "on_done": lambda done, total: None}


@pytest.fixture(params=NAMES)
def loaded(request, toy_base):
    return load(request.param, toy_base(request.param.partition("/")[0]), conditioning_dropout_prob=0.05)


def test_the_instruction_the_picture_and_both_are_left_out_as_often_as_the_paper_says(loaded):
    """Section 3.2.1: each alone, and both together, in 5 % of the examples."""
    order = SampleOrder(["square"] * 8, seed=0, batch_size=8, dropped=loaded.method.plan_drops())
    found = Counter(drops for position in range(5000) for drops in order.pick(position).drops)
    shares = {frozenset({"caption"}): 0.05, frozenset({"before"}): 0.05, frozenset({"caption", "before"}): 0.05, frozenset(): 0.85}
    assert found.keys() == shares.keys()
    for drops, share in shares.items():  # four deviations of a share among 40,000
        assert abs(found[drops] / 40_000 - share) < 4 * (share * (1 - share) / 40_000) ** 0.5


def test_nothing_is_left_out_where_nothing_is_asked(toy_base):
    drop = load(NAMES[0], toy_base("sd15")).method.plan_drops()
    assert {drop(i / 100) for i in range(100)} == {frozenset()}


@pytest.mark.parametrize("cached", [True, False])
def test_what_is_left_out_is_a_zero_picture_and_the_empty_instruction(loaded, tmp_path, toy_base, cached):
    run = toy.make_run(tmp_path / "run", toy_base("sd15"), loaded.name, sizes=[(64, 64)] * 4)
    items = loaded.method.build_items(read_manifest(run.manifest))
    placements = [place_item(item, list_run_buckets(loaded.config)) for item in items]
    prompts = LivePrompts(loaded.family)
    if cached:
        more = {"cache": EncodedCache(tmp_path / "cache"), "mirrored": False, "device": CPU, "share": ALONE}
        source = encode_pictures(loaded.family, items, placements, prompts=prompts, **more)
    else:
        source = LivePictures(loaded.family, items, placements, prompts=prompts)
    drops = [frozenset(), frozenset({"caption"}), frozenset({"before"}), frozenset({"caption", "before"})]
    batch = source.fetch(Pick(0, [0, 1, 2, 3], [False] * 4, drops))
    words, empty = batch.conditions["after"]["prompt_embeds"], loaded.family.encode_prompts([""])["prompt_embeds"][0]
    assert [bool(torch.equal(row, empty)) for row in words] == [False, True, False, True]
    assert [bool(row.any()) for row in batch.moments["before"][0]] == [True, True, False, False]
    assert all(bool(row.any()) for row in batch.moments["after"][0])


def test_the_widened_unet_begins_by_predicting_what_the_base_predicts(loaded, toy_base):
    family = loaded.name.partition("/")[0]
    plain = load(f"{family}/text_to_image", toy_base(family))
    batch, draws = make_question(loaded)
    told = batch.conditions["after"]
    with torch.no_grad():
        wanted = plain.family.predict(draws.noise["after"], draws.timesteps["after"], told)
        found = loaded.family.predict(draws.noise["after"], draws.timesteps["after"], {**told, EXTRA_CHANNELS: batch.moments["before"][0]})
    assert loaded.family.unet.config.in_channels == 2 * plain.family.unet.config.in_channels
    assert not loaded.family.unet.conv_in.weight[:, 4:].any()
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)


def test_the_picture_before_is_given_unscaled_and_without_noise(loaded):
    """As the pipelines give it that draw with the result (`sample_mode="argmax"`)."""
    seen = []
    loaded.family.unet.conv_in.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    batch, draws = make_question(loaded)
    loaded.method.compute_losses(batch, draws)
    assert torch.equal(seen[0][:, 4:], batch.moments["before"][0])


def test_the_new_channels_learn_from_the_first_step(loaded):
    loaded.family.unet.requires_grad_(True)
    loaded.method.compute_losses(*make_question(loaded)).mean().backward()
    assert loaded.family.unet.conv_in.weight.grad[:, 4:].any()


@pytest.mark.parametrize("change", [{"input_file": None}, {"caption": "  "}])
def test_half_a_pair_is_refused_by_name(loaded, tmp_path, toy_base, change):
    rows = toys.draw_pairs(tmp_path / "own", [(64, 64)] * 2)
    run = toy.make_run(tmp_path / "run", toy_base("sd15"), loaded.name, rows=[rows[0], {**rows[1], **change}])
    with pytest.raises(DarkroomError, match="01.png"):
        loaded.method.build_items(read_manifest(run.manifest))

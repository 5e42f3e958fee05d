"""Every training's loss against the formulas of the papers in `reference.py`, with the plain diffusers network as its model."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import EDMEulerScheduler, EulerDiscreteScheduler, FluxTransformer2DModel, UNet2DConditionModel

from tests.backends import toys
from tests.backends.loaded import NAMES, Loaded, load, make_question
from tests.backends.methods import reference

LIMIT = 1e-5
EPSILON = reference.tabulate_scaled_linear()
VELOCITY = reference.end_in_noise(EPSILON)


@pytest.fixture(scope="module")
def bases(tmp_path_factory, toy_base):
    """Family and what its base predicts -> folder."""
    folder = tmp_path_factory.mktemp("predict")
    made = {(family, "v_prediction"): toy_base(family) for family in ("sd15", "sdxl", "flux")}
    for family in ("sd15", "sdxl"):
        made[family, "epsilon"] = toys.build_base(folder / f"{family}-epsilon", family, prediction_type="epsilon")
    for predicts in ("epsilon", "v_prediction"):
        latents = {"latents_mean": [0.1, -0.2, 0.3, 0.4], "latents_std": [0.9, 1.1, 1.2, 0.7], "scaling_factor": 0.5}
        base = toys.build_base(folder / f"edm-{predicts}", vae=latents)
        EDMEulerScheduler(sigma_data=0.5, prediction_type=predicts).save_pretrained(base / "scheduler")
        index = base / "model_index.json"
        index.write_text(index.read_text().replace("DDIMScheduler", "EDMEulerScheduler"))
        made["edm", predicts] = base
    return made


def latents_of(loaded: Loaded, batch: Any, draws: Any, role: str) -> np.ndarray:
    """The VAE's sample at the model's scale, from the settings that stand in the VAE's own file."""
    mean, deviation = (t.double().numpy() for t in batch.moments[role])
    raw = mean + deviation * draws.posterior[role].double().numpy()
    settings = {"toy-flux": (0.36, 0.2)}.get(Path(loaded.config.pretrained_model_name_or_path).name, (0.18215, 0.0))
    if "edm" in loaded.config.pretrained_model_name_or_path:
        m, s = (np.array(v).reshape(1, 4, 1, 1) for v in ([0.1, -0.2, 0.3, 0.4], [0.9, 1.1, 1.2, 0.7]))
        return (raw - m) * 0.5 / s
    return (raw - settings[1]) * settings[0]


def plain_model(loaded: Loaded, batch: Any, role: str) -> reference.Model:
    """The network that diffusers loads from the base's folder, told what the papers say."""
    told = batch.conditions[role]
    if loaded.name.startswith("flux"):
        return partial(_ask_flux, FluxTransformer2DModel.from_pretrained(folder_of(loaded) / "transformer"), told, loaded.config)
    unet = UNet2DConditionModel.from_pretrained(folder_of(loaded) / "unet")
    beside = None
    if loaded.name.endswith("instruct_pix2pix"):  # section 3.2 of arXiv 2211.09800
        beside = batch.moments["before"][0]
        conv = torch.nn.Conv2d(8, unet.conv_in.out_channels, 3, padding=1)
        learnt = torch.randn(unet.conv_in.weight.shape, generator=torch.Generator().manual_seed(3))  # at 0 it would not see the picture
        with torch.no_grad():
            conv.weight.copy_(torch.cat([unet.conv_in.weight, learnt], 1))
            conv.bias.copy_(unet.conv_in.bias)
            assert not loaded.family.unet.conv_in.weight[:, 4:].any()
            loaded.family.unet.conv_in.weight[:, 4:] = learnt
        unet.conv_in = conv
    return partial(_ask_unet, unet, told, beside)


def folder_of(loaded: Loaded) -> Path:
    return Path(loaded.config.pretrained_model_name_or_path)


@torch.no_grad()
def _ask_unet(unet: Any, told: dict[str, torch.Tensor], beside: torch.Tensor | None, noisy: np.ndarray, level: np.ndarray) -> np.ndarray:
    inputs = torch.from_numpy(noisy).float()
    if beside is not None:
        inputs = torch.cat([inputs, beside], 1)
    added = {"text_embeds": told["pooled_prompt_embeds"], "time_ids": told["time_ids"]} if "time_ids" in told else None
    levels = torch.from_numpy(np.asarray(level))
    levels = levels.float() if levels.is_floating_point() else levels
    return unet(inputs, levels, told["prompt_embeds"], added_cond_kwargs=added).sample.double().numpy()


@torch.no_grad()
def _ask_flux(transformer: Any, told: dict[str, torch.Tensor], config: Any, noisy: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    count, channels, height, width = noisy.shape
    tokens = transformer(
        hidden_states=torch.from_numpy(reference.pack_patches(noisy)).float(),
        timestep=torch.from_numpy(sigma).float(),
        guidance=torch.full((count,), float(config.guidance_scale)),
        pooled_projections=told["pooled_prompt_embeds"],
        encoder_hidden_states=told["prompt_embeds"],
        txt_ids=torch.zeros(told["prompt_embeds"].shape[1], 3),
        img_ids=torch.from_numpy(reference.place_patches(height, width)).float(),
    ).sample
    return reference.unpack_patches(tokens.double().numpy(), channels, height, width)


def expected_losses(loaded: Loaded, batch: Any, draws: Any, role: str, *, weigh: bool = True) -> np.ndarray:
    """What the papers say, for one role of a batch."""
    x, noise, t = latents_of(loaded, batch, draws, role), draws.noise[role].double().numpy(), draws.timesteps[role].numpy()
    model, c = plain_model(loaded, batch, role), loaded.config
    if loaded.name.startswith("flux"):
        return reference.flow_losses(model, x, noise, t.astype(np.float64) / 1000, c.weighting_scheme)
    predicts = loaded.family.schedule.prediction_type
    if "edm" in str(folder_of(loaded)):
        sign = -1.0 if predicts == "v_prediction" else 1.0
        return reference.edm_losses(model, x, noise, np.exp(4 * t.astype(np.float64)), data=0.5, sign=sign)
    alphas = VELOCITY if "epsilon" not in str(folder_of(loaded)) else EPSILON
    if getattr(c, "do_edm_style_training", False):
        return reference.edm_style_losses(model, alphas, x, noise, t, predicts=predicts)
    gamma = getattr(c, "snr_gamma", None) if weigh else None
    return reference.ddpm_losses(model, alphas, x, noise, t, predicts=predicts, gamma=gamma)


def agree(loaded: Loaded, *, size: tuple[int, int] = (8, 8)) -> float:
    """The largest difference between our loss and the papers', relative to the loss."""
    batch, draws = make_question(loaded, size=size)
    return differ(loaded, batch, draws)


def differ(loaded: Loaded, batch: Any, draws: Any) -> float:
    if len(draws.noise) == 2:
        # equation 2 of arXiv 2208.12242; min-SNR is for the subject alone, as in the script
        own, kept = expected_losses(loaded, batch, draws, "image"), expected_losses(loaded, batch, draws, "class", weigh=False)
        expected = own + loaded.config.prior_loss_weight * kept
    else:
        expected = expected_losses(loaded, batch, draws, next(iter(draws.noise)))
    found = loaded.method.compute_losses(batch, draws).detach().double().numpy()
    return float(np.max(np.abs(found - expected) / np.maximum(1.0, expected)))


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_of_every_training_is_that_of_its_paper(bases, name):
    assert agree(load(name, bases[name.partition("/")[0], "v_prediction"]), size=(8, 12)) <= LIMIT


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("flux")])
def test_the_same_of_a_base_that_predicts_epsilon_as_the_published_ones_do(bases, name):
    assert agree(load(name, bases[name.partition("/")[0], "epsilon"])) <= LIMIT


@pytest.mark.parametrize("gamma", [None, 0.5, 5.0])
@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", ["sd15/text_to_image", "sdxl/text_to_image"])
def test_epsilon_and_velocity_with_and_without_min_snr(bases, name, predicts, gamma):
    assert agree(load(name, bases[name.partition("/")[0], predicts], snr_gamma=gamma)) <= LIMIT


@pytest.mark.parametrize("asked", ["epsilon", "v_prediction"])
def test_what_the_model_predicts_may_be_set_against_the_base(bases, asked):
    other = "epsilon" if asked == "v_prediction" else "v_prediction"
    loaded = load("sd15/text_to_image", bases["sd15", other], prediction_type=asked)
    assert loaded.family.schedule.prediction_type == asked and agree(loaded) <= LIMIT


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    ("name", "settings"), [("sd15", {}), ("sdxl", {}), ("sdxl", {"snr_gamma": 5.0}), ("flux", {"weighting_scheme": "cosmap"})]
)
def test_the_class_is_kept_by_its_own_weight(bases, name, settings, weight):
    prior = {"with_prior_preservation": True, "class_prompt": "a dog", "instance_prompt": "zog dog", "prior_loss_weight": weight}
    assert agree(load(f"{name}/dreambooth", bases[name, "v_prediction"], **prior, **settings)) <= LIMIT


@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction"])
def test_edm_style_training_of_a_model_of_discrete_levels(bases, predicts):
    loaded = load("sdxl/dreambooth", bases["sdxl", predicts], do_edm_style_training=True)
    batch, draws = make_question(loaded)
    draws.timesteps["image"] = torch.tensor([20, 400, 900])  # the last level of all has no sigma
    found = loaded.method.compute_losses(batch, draws).detach().double().numpy()
    np.testing.assert_allclose(found, expected_losses(loaded, batch, draws, "image"), rtol=LIMIT)


@pytest.mark.parametrize(("base", "settings"), [("sdxl", {"do_edm_style_training": True}), ("edm", {})], ids=["discrete levels", "edm"])
@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction"])
def test_edm_beside_the_class(bases, base, settings, predicts):
    """Both are judged by the picture, each sample at its own level."""
    prior = {"with_prior_preservation": True, "class_prompt": "a dog", "instance_prompt": "zog dog", "prior_loss_weight": 0.7}
    loaded = load("sdxl/dreambooth", bases[base, predicts], **prior, **settings)
    batch, draws = make_question(loaded)
    if base == "sdxl":
        draws.timesteps = {"image": torch.tensor([20, 400, 900]), "class": torch.tensor([900, 50, 500])}
    assert differ(loaded, batch, draws) <= LIMIT


@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", ["sdxl/dreambooth", "sdxl/text_to_image", "sdxl/instruct_pix2pix"])
def test_a_base_that_was_trained_by_edm(bases, name, predicts):
    assert agree(load(name, bases["edm", predicts])) <= LIMIT


@pytest.mark.parametrize("scheme", ["none", "sigma_sqrt", "logit_normal", "mode", "cosmap"])
def test_the_weights_of_rectified_flow(bases, scheme):
    assert agree(load("flux/text_to_image", bases["flux", "v_prediction"], weighting_scheme=scheme, guidance_scale=2.5)) <= LIMIT


FLOW = [
    ({"weighting_scheme": "none"}, {}),
    ({"weighting_scheme": "sigma_sqrt"}, {}),
    ({"weighting_scheme": "cosmap"}, {}),
    ({"weighting_scheme": "logit_normal", "logit_mean": 0.0, "logit_std": 1.0}, {"mean": 0.0, "deviation": 1.0}),
    ({"weighting_scheme": "logit_normal", "logit_mean": -0.8, "logit_std": 0.5}, {"mean": -0.8, "deviation": 0.5}),
    ({"weighting_scheme": "mode", "mode_scale": 1.29}, {"scale": 1.29}),
    ({"weighting_scheme": "mode", "mode_scale": 0.4}, {"scale": 0.4}),
]


@pytest.mark.parametrize(("settings", "shape"), FLOW, ids=lambda s: "-".join(str(v) for v in s.values()))
@pytest.mark.parametrize("batch", [1, 4])
def test_noise_levels_of_rectified_flow_are_drawn_by_their_density(bases, settings, shape, batch):
    """Kolmogorov and Smirnov's distance over 10,000 draws; 0.0195 is what one right sample in a thousand exceeds."""
    schedule = load("flux/text_to_image", bases["flux", "v_prediction"], **settings).family.schedule
    random = torch.Generator().manual_seed(0)
    drawn = torch.cat([schedule.draw_timesteps(batch, random) for _ in range(10_000 // batch)]).double().numpy() / 1000
    drawn.sort()
    share = reference.flow_share_below(drawn, settings["weighting_scheme"], **shape)
    assert np.abs(share - np.arange(1, len(drawn) + 1) / len(drawn)).max() < 0.0195
    assert drawn.min() >= 0.001 and drawn.max() <= 1


@pytest.mark.parametrize("name", ["sd15/text_to_image", "sdxl/text_to_image_full"])
def test_noise_offset_frees_the_mean_of_every_channel(bases, name):
    loaded = load(name, bases[name.partition("/")[0], "epsilon"], noise_offset=0.3)
    like = torch.empty(500, 4, 6, 6)
    found = loaded.family.schedule.draw_noise(like, torch.Generator().manual_seed(0)).double().numpy()
    random = torch.Generator().manual_seed(0)
    noise, shift = torch.randn(like.shape, generator=random), torch.randn(500, 4, 1, 1, generator=random)
    np.testing.assert_allclose(found, reference.offset_noise(noise.double().numpy(), shift[:, :, 0, 0].double().numpy(), 0.3), atol=1e-6)
    assert abs(found.mean((2, 3)).var() - (0.3**2 + 1 / 36)) < 0.01  # without the offset 1 / 36


def test_levels_of_edm_are_those_of_the_scheduler_and_equally_likely(bases):
    schedule = load("sdxl/dreambooth", bases["edm", "epsilon"]).family.schedule
    random = torch.Generator().manual_seed(0)
    drawn = torch.cat([schedule.draw_timesteps(4, random) for _ in range(10_000)]).double()
    told = EDMEulerScheduler(sigma_data=0.5).timesteps[:1000].double()
    rows = (drawn[:, None] - told[None]).abs().argmin(1)
    assert (drawn - told[rows]).abs().max() < 1e-5
    counts = torch.bincount(rows // 100, minlength=10)
    assert (counts / 4000 - 1).abs().max() < 0.1


def test_edm_style_is_what_the_scheduler_of_the_script_makes_of_it(bases):
    """A second witness: sigmas, noisy latents and weights as EulerDiscreteScheduler has them."""
    scheduler = EulerDiscreteScheduler(beta_schedule="scaled_linear", prediction_type="epsilon")
    loaded = load("sdxl/dreambooth", bases["sdxl", "epsilon"], do_edm_style_training=True)
    batch, draws = make_question(loaded)
    t = draws.timesteps["image"]
    sigma = scheduler.sigmas[999 - t].view(-1, 1, 1, 1)
    x = torch.from_numpy(latents_of(loaded, batch, draws, "image")).float()
    noisy = scheduler.add_noise(x, draws.noise["image"], t.float())
    raw = loaded.family.predict(noisy / (sigma**2 + 1).sqrt(), t, batch.conditions["image"])
    expected = (((noisy - sigma * raw) - x).square() / sigma**2).flatten(1).mean(1)
    torch.testing.assert_close(loaded.method.compute_losses(batch, draws), expected, rtol=1e-4, atol=1e-5)

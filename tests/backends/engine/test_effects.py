"""Every setting of every training changes what is learnt where it should, and does not where it should not.

`CHANGES` and `SAME` together name every setting; what is shown elsewhere names its test, and a setting that nobody shows fails here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from backends.contract.rundir import RunDir
from backends.registry import BACKENDS
from tests.backends.engine import toy
from tests.backends.loaded import NAMES

QUICK = {"max_train_steps": 2, "checkpointing_steps": 100, "held_out_every": 100, "log_every": 100}
PRIOR = {**toy.PRIOR, "sample_batch_size": 1}
PRODIGY = {"optimizer": "prodigy", "learning_rate": 1.0, "adam_weight_decay": 0.5, "max_train_steps": 3}
PRODIGY_GROWN = {**PRODIGY, "max_train_steps": 60}  # until then it stays at the distance that it begins with
SD15, WHOLE, FLUX, EDIT = "sd15/text_to_image", "sdxl/text_to_image_full", "flux/text_to_image", "sd15/instruct_pix2pix"
BOOTH = "sdxl/dreambooth"

# Back end, what both runs have, what the second run has beside.
CHANGES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (SD15, {}, {"max_train_steps": 3}),
    (SD15, {}, {"learning_rate": 5e-3}),
    *((name, {}, {"resolution": 128}) for name in (SD15, FLUX, EDIT)),
    (SD15, {}, {"train_batch_size": 3}),
    (WHOLE, {}, {"gradient_accumulation_steps": 2}),
    (SD15, {}, {"lr_scheduler": "linear"}),
    (SD15, {"lr_scheduler": "constant_with_warmup"}, {"lr_warmup_steps": 2}),
    (SD15, {"lr_scheduler": "cosine_with_restarts"}, {"lr_num_cycles": 2}),
    (SD15, {"lr_scheduler": "polynomial"}, {"lr_power": 2.0}),
    (FLUX, {}, {"scale_lr": True}),
    (SD15, {"adam_epsilon": 1e-3}, {"max_grad_norm": 1e-4}),  # AdamW takes a shorter gradient for the same but for its epsilon
    *((name, {}, {"use_ema": True}) for name in (SD15, WHOLE)),
    (SD15, {"use_ema": True, "max_train_steps": 12}, {"ema_decay": 0.5}),  # the average is faster than that for its first 9 steps
    *((name, {}, {"seed": 2}) for name in (SD15, FLUX, EDIT)),
    *((name, {}, {"mixed_precision": "bf16"}) for name in (SD15, WHOLE, FLUX, EDIT)),
    (SD15, {}, {"random_flip": True}),
    (EDIT, {}, {"random_flip": True}),
    (SD15, {"sizes": [(128, 64)] * 6, "resolution": 192}, {"center_crop": True}),
    (SD15, {}, {"optimizer": "prodigy"}),
    (WHOLE, {}, {"optimizer": "schedule_free"}),
    (SD15, {}, {"adam_beta1": 0.5}),
    (SD15, {}, {"adam_beta2": 0.5}),
    (SD15, {}, {"adam_weight_decay": 0.9}),
    (SD15, {}, {"adam_epsilon": 1e-2}),
    (SD15, PRODIGY_GROWN, {"prodigy_beta3": 0.5}),
    (SD15, PRODIGY, {"prodigy_decouple": False}),
    (SD15, PRODIGY, {"prodigy_use_bias_correction": False}),
    (SD15, PRODIGY_GROWN, {"prodigy_safeguard_warmup": False}),
    *((name, {}, {"snr_gamma": 0.5}) for name in (SD15, WHOLE, BOOTH)),
    *((name, {}, {"noise_offset": 0.2}) for name in (SD15, WHOLE)),
    *((name, {}, {"prediction_type": "epsilon"}) for name in (SD15, WHOLE)),
    *((name, {}, {"rank": 3}) for name in (SD15, FLUX)),
    *((name, {}, {"alpha": 5.0}) for name in (SD15, FLUX)),
    *((name, {}, {"lora_layers": layers}) for name in (SD15, FLUX) for layers in ("attention+ff", "everything")),
    *((SD15, {}, {"lora_variant": variant}) for variant in ("dora", "loha", "lokr")),
    (SD15, {"alpha": 5.0}, {"lora_variant": "rslora"}),
    (SD15, {}, {"lora_dropout": 0.5}),
    (SD15, {"lora_variant": "loha"}, {"lora_dropout": 0.5}),
    *((name, {}, {"train_text_encoder": True}) for name in (SD15, FLUX)),
    *((name, {"train_text_encoder": True}, {"text_encoder_lr": 1e-4}) for name in (SD15, FLUX)),
    *((name, {}, {"caption_dropout": 0.9}) for name in (SD15, BOOTH)),
    (SD15, {}, {"max_train_samples": 2}),
    (BOOTH, {}, {"instance_prompt": "zog dog"}),
    (BOOTH, {}, {"repeats": 3}),
    *((f"{family}/dreambooth", {"instance_prompt": PRIOR["instance_prompt"]}, PRIOR) for family in ("sd15", "flux")),
    (BOOTH, PRIOR, {"class_prompt": "a red cat"}),
    (BOOTH, PRIOR, {"num_class_images": 3}),
    (BOOTH, PRIOR, {"prior_loss_weight": 0.2}),
    (BOOTH, PRIOR, {"prior_generation_precision": "bf16"}),
    (BOOTH, {}, {"do_edm_style_training": True}),
    (EDIT, {}, {"conditioning_dropout_prob": 0.33}),
    *((FLUX, {}, {"weighting_scheme": scheme}) for scheme in ("sigma_sqrt", "logit_normal", "mode", "cosmap")),
    (FLUX, {"weighting_scheme": "logit_normal"}, {"logit_mean": 1.0}),
    (FLUX, {"weighting_scheme": "logit_normal"}, {"logit_std": 0.3}),
    (FLUX, {"weighting_scheme": "mode"}, {"mode_scale": 0.2}),
    (FLUX, {}, {"guidance_scale": 7.0}),
    (FLUX, {}, {"max_sequence_length": 16}),
]

SAME: dict[str, Any] = {
    "checkpointing_steps": 1,
    "checkpoints_total_limit": 2,
    "sample_every": 1,
    "sample_prompts": ["zog", "a cat"],
    "validation_prompt": "a cat",
    "num_validation_images": 1,
    "validation_epochs": 2,
    "sample_seed": 7,
    "num_sample_seeds": 2,
    "sample_steps": 2,
    "sample_guidance_scale": 2.0,
    "held_out_every": 1,
    "early_stopping_patience": 900,
    "enable_xformers_memory_efficient_attention": True,
    "enable_npu_flash_attention": True,
    "allow_tf32": True,
    "report_to": "tensorboard",
    "logging_dir": "curves",
    "log_every": 1,
    "local_rank": 0,
    "debug_loss": True,
    "trigger_word": "zog",
    "output_kohya_format": True,
    "num_sample_pairs": 1,
    "sample_image_guidance_scale": 2.0,
    "num_train_epochs": 7,  # steps decide
    "resume_from_checkpoint": "latest",
}
CLOSE = {"gradient_checkpointing": True, "cache_latents": False, "dataloader_num_workers": 1}
ELSEWHERE = {
    "num_processes": "test_two_ranks_average_the_gradient_of_one_with_twice_the_batch",
    "held_out_share": "test_a_folder_with_captions_beside_the_pictures_is_enough",
    "output_dir": "test_where_a_run_lies_is_not_what_it_learns",
    "cache_dir": "test_another_revision_variant_and_folder_of_the_hub",
    "revision": "test_another_revision_variant_and_folder_of_the_hub",
    "variant": "test_another_revision_variant_and_folder_of_the_hub",
    "non_ema_revision": "test_another_revision_variant_and_folder_of_the_hub",
    "push_to_hub": "test_what_is_published_is_what_diffusers_looks_for",
    "hub_model_id": "test_what_is_published_is_what_diffusers_looks_for",
    "pretrained_model_name_or_path": "test_another_revision_variant_and_folder_of_the_hub",
    "pretrained_vae_model_name_or_path": "test_a_folder_has_the_settings_vae_and_prediction_and_any_precision",
    "use_8bit_adam": "test_what_cannot_be_done_is_refused_before_it_costs_time",
    "quantize_base": "test_a_base_stored_small_trains_on_a_cpu",
    "train_data_dir": "test_a_folder_with_captions_beside_the_pictures_is_enough",
    "instance_data_dir": "test_a_dreambooth_from_a_folder_alone",
    "dataset_name": "test_a_saved_data_set_is_read_by_its_columns",
    "dataset_config_name": "test_a_configuration_of_a_data_set_is_chosen",
    "image_column": "test_a_saved_data_set_is_read_by_its_columns",
    "caption_column": "test_a_saved_data_set_is_read_by_its_columns",
    "original_image_column": "test_saved_pairs_are_read_by_their_columns",
    "edit_prompt_column": "test_saved_pairs_are_read_by_their_columns",
    "edited_image_column": "test_saved_pairs_are_read_by_their_columns",
    "class_data_dir": "test_ranks_share_the_drawing_of_class_pictures_and_one_draws_the_same",
    "sample_batch_size": "test_class_pictures_are_drawn_as_many_at_once_as_asked",
    "masked_loss": "test_nothing_outside_the_mask_is_learnt",
    "unmasked_weight": "test_masks_change_what_is_learnt_and_so_does_the_weight_outside",
    "shuffle_tags": "test_a_run_that_shuffles_ends_the_same_killed_and_stored",
    "keep_tags": "test_the_first_tags_keep_their_place_and_no_tag_is_lost",
    "tag_orders": "test_every_order_is_encoded_before_and_all_come_equally_often",
    "val_image": "test_prompts_are_tried_on_the_picture_of_the_settings",
}


@pytest.fixture(scope="module")
def run_with(toy_base, tmp_path_factory):
    """A finished run, made once for its settings."""
    folder, made = tmp_path_factory.mktemp("effects"), {}

    def train(backend: str, **settings: Any) -> RunDir:
        key = (backend, repr(sorted(settings.items())))
        if key not in made:
            known = {k: v for k, v in {**QUICK, **settings}.items() if k == "sizes" or k in BACKENDS[backend].config.model_fields}
            run = toy.make_run(folder / str(len(made)), toy_base(backend.partition("/")[0]), backend, **known)
            assert toy.train(run) == 0, run.log.read_text()
            made[key] = run
        return made[key]

    return train


def name_change(case: Any) -> str:
    return case if isinstance(case, str) else ",".join(f"{k}={v}" for k, v in case.items())[:60]


@pytest.mark.parametrize(("backend", "common", "change"), CHANGES, ids=name_change)
def test_it_changes_what_is_learnt(run_with, backend, common, change):
    one, two = (safetensors.torch.load_file(run_with(backend, **settings).result) for settings in (common, {**common, **change}))
    shapes = [{key: tensor.shape for key, tensor in state.items()} for state in (one, two)]
    assert shapes[0] != shapes[1] or any((one[key] != two[key]).any() for key in one)


@pytest.mark.parametrize("backend", NAMES)
def test_what_is_only_shown_judged_kept_or_told_changes_nothing(run_with, backend):
    plain, busy = run_with(backend), run_with(backend, **SAME)
    assert toy.difference(plain.result, busy.result) == 0
    assert toy.events_of(busy, "sample") and toy.events_of(busy, "checkpoint")
    if not torch.cuda.is_available():
        told = " ".join(e["text"] for e in toy.events_of(busy, "notice"))
        assert all(f"{switch} cannot be used" in told for switch in ("xFormers attention", "NPU flash attention")) and "TF32" in told


@pytest.mark.parametrize(
    ("backend", "common"), [*((name, {}) for name in NAMES), *((n, {"train_text_encoder": True}) for n in (SD15, BOOTH, FLUX))]
)
def test_what_saves_memory_changes_nothing_but_roundings(run_with, backend, common):
    """A rounding becomes at most a small part of one step; the epsilon keeps AdamW from making steps of gradients that are nearly none."""
    common = {"adam_epsilon": 1e-4, **common}
    plain, small = run_with(backend, **common), run_with(backend, **common, **CLOSE)
    assert toy.difference(plain.result, small.result) < 0.05 * 1e-2


def test_every_setting_is_shown_to_do_what_it_says():
    tests = "\n".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))
    assert [name for name in ELSEWHERE.values() if f"def {name}(" not in tests] == []
    shown = {name for _, _, change in CHANGES for name in change} | SAME.keys() | CLOSE.keys() | ELSEWHERE.keys()
    fields = {name for own in NAMES for name in BACKENDS[own].config.model_fields}
    assert fields - shown == set() and shown - fields == set()


def test_where_a_run_lies_is_not_what_it_learns(run_with, toy_base, tmp_path):
    run = toy.make_run(tmp_path / "elsewhere", toy_base("sd15"), SD15, **QUICK, output_dir=str(tmp_path / "named"))
    assert toy.train(run) == 0
    assert toy.difference(run.result, run_with(SD15).result) == 0 and not (tmp_path / "named").exists()


def test_the_learning_rate_follows_its_curve(run_with):
    rates = {}
    for name, settings in {
        "polynomial": {"lr_scheduler": "polynomial", "lr_power": 2.0},
        "restarts": {"lr_scheduler": "cosine_with_restarts", "lr_num_cycles": 2},
        "warm-up": {"lr_scheduler": "constant_with_warmup", "lr_warmup_steps": 2},
    }.items():
        run = run_with(SD15, **settings, max_train_steps=4, log_every=1)
        rates[name] = [e["lr"] / 1e-2 for e in toy.events_of(run, "step")]
    assert rates["polynomial"] == pytest.approx([1, 0.5625, 0.25, 0.0625], abs=1e-4)  # (1 - step / 4)^2, down to 1e-7
    assert rates["restarts"] == pytest.approx([1, 0.5, 1, 0.5])
    assert rates["warm-up"] == pytest.approx([0, 0.5, 1, 1])

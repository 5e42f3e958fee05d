"""The arguments of the diffusers 0.42 scripts, each under its name and with its default, for every training that knows them.

Written down here a second time, from the scripts; what is one's own in ours is not listed.
"""

from __future__ import annotations

from typing import Any

import pytest

from backends.contract.config import ConfigFaults, parse_config
from backends.registry import BACKENDS

EVERYWHERE: dict[str, Any] = {
    "pretrained_vae_model_name_or_path": None, "revision": None, "variant": None, "dataset_name": None, "dataset_config_name": None,
    "validation_prompt": None, "num_validation_images": 4, "validation_epochs": 1, "cache_dir": None, "seed": None,
    "resolution": 1024, "center_crop": False, "random_flip": False, "train_batch_size": 16, "num_train_epochs": 100,
    "max_train_steps": None, "checkpointing_steps": 500, "checkpoints_total_limit": None, "resume_from_checkpoint": None,
    "gradient_accumulation_steps": 1, "gradient_checkpointing": False, "learning_rate": 1e-4, "scale_lr": False,
    "lr_scheduler": "constant", "lr_warmup_steps": 500, "allow_tf32": False, "dataloader_num_workers": 0, "use_8bit_adam": False,
    "adam_beta1": 0.9, "adam_beta2": 0.999, "adam_weight_decay": 1e-2, "adam_epsilon": 1e-8, "max_grad_norm": 1.0,
    "push_to_hub": False, "hub_model_id": None, "logging_dir": "logs", "report_to": "tensorboard", "mixed_precision": None,
    "local_rank": -1, "enable_xformers_memory_efficient_attention": False, "enable_npu_flash_attention": False,
}  # fmt: skip
CAPTIONED: dict[str, Any] = {
    "train_data_dir": None, "image_column": "image", "caption_column": "text", "max_train_samples": None, "debug_loss": False,
}  # fmt: skip
LORA: dict[str, Any] = {"rank": 4, "train_text_encoder": False}
DISCRETE: dict[str, Any] = {"snr_gamma": None, "noise_offset": 0, "prediction_type": None}
FLOW: dict[str, Any] = {
    "weighting_scheme": "none", "logit_mean": 0.0, "logit_std": 1.0, "mode_scale": 1.29, "guidance_scale": 3.5, "max_sequence_length": 512,
    "lora_layers": "attention",
}  # fmt: skip
SUBJECT: dict[str, Any] = {
    "instance_data_dir": None, "repeats": 1, "class_data_dir": None, "instance_prompt": "", "class_prompt": None,
    "with_prior_preservation": False, "prior_loss_weight": 1.0, "num_class_images": 100, "output_kohya_format": False,
    "sample_batch_size": 4, "text_encoder_lr": 5e-6, "lr_num_cycles": 1, "lr_power": 1.0, "optimizer": "AdamW", "prodigy_beta3": None,
    "prodigy_decouple": True, "prodigy_use_bias_correction": True, "prodigy_safeguard_warmup": True, "prior_generation_precision": None,
    "image_column": "image", "caption_column": "text", "train_batch_size": 4, "num_train_epochs": 1, "validation_epochs": 50,
    "adam_weight_decay": 1e-4,
}  # fmt: skip
EDITS: dict[str, Any] = {
    "train_data_dir": None, "max_train_samples": None, "original_image_column": "original_image", "edit_prompt_column": "edit_prompt",
    "edited_image_column": "edited_image", "val_image": None, "conditioning_dropout_prob": None, "use_ema": False, "non_ema_revision": None,
    "resolution": 256,
}  # fmt: skip
SMALL = {"resolution": 512}
# The script for SD 1.5 knows one learning rate, and one of its own; as AdamW's decay it has that of all the others.
SD15_SUBJECT = {**SMALL, "learning_rate": 5e-4, "text_encoder_lr": None, "adam_weight_decay": 1e-2}

EXPECTED: dict[str, dict[str, Any]] = {
    "sdxl/text_to_image": {**EVERYWHERE, **CAPTIONED, **LORA, **DISCRETE},
    "sd15/text_to_image": {**EVERYWHERE, **CAPTIONED, **LORA, **DISCRETE, **SMALL},
    # 1 is what most recipes for dev have; the script's 3.5 stands in DreamBooth.
    "flux/text_to_image": {**EVERYWHERE, **CAPTIONED, **LORA, **FLOW, "guidance_scale": 1.0},
    "sdxl/text_to_image_full": {**EVERYWHERE, **CAPTIONED, **DISCRETE, "use_ema": False},
    "sd15/text_to_image_full": {**EVERYWHERE, **CAPTIONED, **DISCRETE, **SMALL, "use_ema": False, "validation_epochs": 5},
    "sdxl/dreambooth": {**EVERYWHERE, **LORA, **SUBJECT, "snr_gamma": None, "do_edm_style_training": False},
    "sd15/dreambooth": {**EVERYWHERE, **LORA, **SUBJECT, **SD15_SUBJECT},
    "flux/dreambooth": {**EVERYWHERE, **LORA, **SUBJECT, **FLOW, **SMALL},
    "sdxl/instruct_pix2pix": {**EVERYWHERE, **EDITS},
    "sd15/instruct_pix2pix": {**EVERYWHERE, **EDITS},
}
CHOICES = {
    "lr_scheduler": {"linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup"},
    "mixed_precision": {"no", "fp16", "bf16"},
    "report_to": {"tensorboard", "wandb", "comet_ml", "trackio", "all"},
    "optimizer": {"AdamW", "prodigy"},
    "prediction_type": {"epsilon", "v_prediction"},
    "weighting_scheme": {"none", "sigma_sqrt", "logit_normal", "mode", "cosmap"},
    "prior_generation_precision": {"no", "fp32", "fp16", "bf16"},
}
DROPPED_BY_DREAMBOOTH = {"train_data_dir", "max_train_samples", "prediction_type", "noise_offset", "debug_loss"}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_argument_has_its_name_and_its_default(name):
    fields = BACKENDS[name].config.model_fields
    found = {argument: fields[argument].default if argument in fields else "missing" for argument in EXPECTED[name]}
    assert found == EXPECTED[name]
    assert EXPECTED.keys() == {other for other, backend in BACKENDS.items() if backend.method_class}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_choice_of_the_scripts_is_taken(name):
    kind = BACKENDS[name].config
    for argument, choices in CHOICES.items():
        for choice in choices if argument in kind.model_fields else ():
            assert getattr(parse_config(kind, {argument: choice}), argument) == choice


@pytest.mark.parametrize("name", [name for name in EXPECTED if name.endswith("dreambooth")])
def test_dreambooth_does_not_know_what_its_scripts_do_not(name):
    assert not DROPPED_BY_DREAMBOOTH & set(BACKENDS[name].config.model_fields)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_token_for_the_hub_is_no_setting_and_it_is_told_where_it_belongs(name):
    with pytest.raises(ConfigFaults, match="HF_TOKEN") as caught:
        parse_config(BACKENDS[name].config, {"hub_token": "hf_planted"})
    assert "hf_planted" not in caught.value.text

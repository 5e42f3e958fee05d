"""LoRA on Flux, trained by ai-toolkit: the settings that it understands, with the values of its own Flux example for 24 GB as defaults."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import field_validator, model_validator

from backends.contract.base_models import find_base_model
from backends.contract.config import Config, fixed, redefault, setting
from backends.contract.settings.lora import LoraSettings
from backends.contract.settings.noise import FlowNoise
from backends.contract.settings.optimizer import OptimizerSettings
from backends.contract.settings.pictures import CaptionedPictures
from backends.contract.settings.training import TrainingSettings

TAKEN_OTHERWISE = {"--": "the beginning of an option", "[name]": "a place for the run’s name", "[trigger]": "a place for a trigger word"}


class AiToolkitSettings(Config):
    """What only ai-toolkit has."""

    smaller_sizes: bool = setting(
        True,
        "Smaller sizes too",
        "On or off. Shows each picture at 512 and 768 px as well, below the resolution; faster, and Flux learns well from it.",
        group="pictures",
        widget="switch",
    )
    low_vram: bool = setting(
        False,
        "Make the base small on the CPU",
        "On or off. Needs less GPU memory at the start, for a card that also draws the screen; slower to start.",
        group="memory",
        widget="switch",
    )


@redefault(
    pretrained_model_name_or_path="flux-dev",
    max_train_steps=2000,
    rank=16,
    lora_layers="everything",
    train_batch_size=1,
    gradient_checkpointing=True,
    use_8bit_adam=True,
    use_ema=True,
    ema_decay=0.99,
    lr_warmup_steps=0,
    caption_dropout=0.05,
    checkpointing_steps=250,
    sample_every=250,
)
@fixed(
    # Its pictures are those of the studio; it cuts none of them and knows no single picture's loss.
    debug_loss=False, dataset_name=None, dataset_config_name=None, image_column="image", caption_column="text", train_data_dir=None,
    max_train_samples=None, center_crop=False,
    # It shuffles captions anew each time that it reads one, and all of their tags.
    keep_tags=0, tag_orders=8,
    # A Flux LoRA of its kind: the file has no alpha, which is then the rank.
    alpha=None, lora_variant="lora", train_text_encoder=False, text_encoder_lr=None,
    # Noise levels as in logit_normal (its “sigmoid”), guidance 1, all of T5's words.
    weighting_scheme="logit_normal", logit_mean=0.0, logit_std=1.0, mode_scale=1.29, guidance_scale=1.0, max_sequence_length=512,
    adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-6, prodigy_beta3=None, prodigy_decouple=True, prodigy_use_bias_correction=False,
    prodigy_safeguard_warmup=False, max_grad_norm=1.0, lr_num_cycles=1, lr_power=1.0, scale_lr=False,
    mixed_precision="bf16", enable_xformers_memory_efficient_attention=False, enable_npu_flash_attention=False, allow_tf32=False,
    dataloader_num_workers=0, num_processes=1,
    validation_prompt=None, num_validation_images=4, validation_epochs=1, early_stopping_patience=0,
    cache_dir=None, resume_from_checkpoint=None, push_to_hub=False, hub_model_id=None,
    pretrained_vae_model_name_or_path=None, revision=None, variant=None,
    report_to="none", logging_dir="logs", log_every=1, local_rank=-1,
)  # fmt: skip
class FluxAiToolkitConfig(CaptionedPictures, LoraSettings, FlowNoise, OptimizerSettings, AiToolkitSettings, TrainingSettings):
    """LoRA on Flux from pictures with captions, by ai-toolkit."""

    family: ClassVar[str] = "flux"
    trainer: ClassVar[str] = "backends.external.train"

    optimizer: Literal["AdamW", "prodigy"] = setting(
        "AdamW", "Optimizer", "One of two. prodigy finds the learning rate itself (set it to 1).", group="learning", widget="choice"
    )
    lr_scheduler: Literal["constant", "constant_with_warmup", "cosine"] = setting(
        "constant", "Learning rate curve", "One of three. How the learning rate changes over the run.", group="learning", widget="choice"
    )
    quantize_base: Literal["none", "float8"] = setting(
        "float8",
        "Store the base model small",
        "One of two. float8: half the memory, for cards of 24 GB; none needs 48 GB.",
        group="memory",
        widget="choice",
    )

    @field_validator("sample_prompts")
    @classmethod
    def _plain_prompts(cls, value: list[str]) -> list[str]:
        for prompt in value:
            for sign, meaning in TAKEN_OTHERWISE.items():
                if sign in prompt:
                    raise ValueError(f"A sample prompt has “{sign}”, which ai-toolkit takes for {meaning}: “{prompt}”. Write it without.")
        return value

    @model_validator(mode="after")
    def _a_word_that_stays(self) -> Self:
        if self.shuffle_tags and self.trigger_word:
            raise ValueError(
                f"shuffle_tags: ai-toolkit shuffles all tags, and the trigger word “{self.trigger_word}” with them. Switch it off, or "
                "train with flux/text_to_image, where the first tags keep their place."
            )
        return self

    @model_validator(mode="after")
    def _a_base_that_it_knows(self) -> Self:
        base = find_base_model(self.pretrained_model_name_or_path)
        if base and base.bundled:
            raise ValueError(
                f"pretrained_model_name_or_path: {base.name} is too small a kind for ai-toolkit. Choose flux-dev or flux-schnell, "
                "or train it with flux/text_to_image."
            )
        if ".safetensors" in self.pretrained_model_name_or_path:
            raise ValueError(
                "pretrained_model_name_or_path: ai-toolkit starts from a diffusers folder or a Hugging Face name, not from one "
                "file. Give such a folder, choose flux-dev, or train it with flux/text_to_image."
            )
        return self

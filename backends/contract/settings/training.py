"""What every training is told: how long, how fast, where it is judged, what is kept; names and defaults of the diffusers scripts."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import field_validator, model_validator

from backends.contract.base_models import BASE_MODELS, find_base_model
from backends.contract.config import Config, setting

LrScheduler = Literal["constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial"]


class TrainingSettings(Config):
    """Settings that mean the same in every training.

    `family` is that of the base models which fit; `trainer` the module that trains, ours under `accelerate launch`, another alone.
    """

    family: ClassVar[str] = "sdxl"
    trainer: ClassVar[str] = "backends.train"

    max_train_steps: int | None = setting(
        None, "Steps", "1 to 1,000,000. One step is one update of the weights. Empty: passes decide.",
        group="main", unit="steps", place=1, ge=1, le=1_000_000)  # fmt: skip
    learning_rate: float = setting(
        1e-4, "Learning rate", "1e-7 to 1. Higher learns faster and forgets more.", group="main", place=1, ge=1e-7, le=1.0
    )
    resolution: int = setting(
        1024,
        "Resolution",
        "64 to 4,096 px, a multiple of 64 (of 32 for Pocket). The longer work, the finer detail.",
        group="main",
        unit="px",
        ge=32,
        le=4096,
    )
    train_batch_size: int = setting(
        16, "Batch size", "1 to 256 pictures a step. More is steadier and needs more memory.", group="main", ge=1, le=256
    )
    checkpointing_steps: int = setting(
        500,
        "Save every",
        "1 to 1,000,000 steps. Each save is a checkpoint to compare later.",
        group="main",
        unit="steps",
        ge=1,
        le=1_000_000,
    )
    sample_every: int = setting(
        100,
        "Sample every",
        "0 to 1,000,000 steps; 0 draws none. Draws your prompts while it trains.",
        group="main",
        unit="steps",
        ge=0,
        le=1_000_000,
    )
    sample_prompts: list[str] = setting(
        [],
        "Sample prompts",
        "Up to 16, one a line. Keep one without the trigger word, to see what it forgets.",
        group="main",
        widget="lines",
        max_length=16,
    )

    # Learning
    num_train_epochs: int = setting(
        100, "Passes", "1 to 100,000. How often each picture is seen when Steps is empty.", group="learning", ge=1, le=100_000
    )
    lr_scheduler: LrScheduler = setting(
        "constant", "Learning rate curve", "One of six. How the learning rate changes over the run.", group="learning", widget="choice"
    )
    lr_warmup_steps: int = setting(
        500,
        "Warm-up",
        "0 to 100,000 steps. The learning rate rises slowly at the start; not with constant.",
        group="learning",
        unit="steps",
        ge=0,
        le=100_000,
    )
    lr_num_cycles: int = setting(1, "Restarts", "1 to 1,000. Only for cosine with restarts.", group="learning", ge=1, le=1000)
    lr_power: float = setting(1.0, "Curve power", "0.1 to 10. Only for the polynomial curve.", group="learning", ge=0.1, le=10)
    scale_lr: bool = setting(
        False,
        "Scale the learning rate",
        "On or off. Multiplies it by GPUs, accumulation and batch size.",
        group="learning",
        widget="switch",
    )
    max_grad_norm: float = setting(
        1.0, "Gradient limit", "0 to 1,000; 0 is no limit. Cuts single wild updates.", group="learning", ge=0, le=1000
    )
    use_ema: bool = setting(
        False,
        "Average of the weights",
        "On or off. Keeps a slow average and uses that; steadier on long runs.",
        group="learning",
        widget="switch",
    )
    ema_decay: float = setting(
        0.9999, "Slowness of the average", "0.5 to 0.99999. Only with the average; it begins faster.", group="learning", ge=0.5, le=0.99999
    )
    seed: int | None = setting(
        None, "Seed", "0 to 4,294,967,295, or empty for a new one. The same seed gives the same run.", group="learning", ge=0, le=2**32 - 1
    )

    # Memory and speed
    mixed_precision: Literal["no", "fp16", "bf16"] | None = setting(
        None, "Precision", "no, fp16 or bf16. Empty: bf16 where the GPU has it, else fp16; no on a CPU.", group="memory", widget="choice"
    )
    gradient_accumulation_steps: int = setting(
        1,
        "Accumulation",
        "1 to 1,024. Adds up several small batches to one step; slower, needs less memory.",
        group="memory",
        ge=1,
        le=1024,
    )
    gradient_checkpointing: bool = setting(
        False, "Save memory", "On or off. Computes parts twice instead of keeping them: 1.7 times slower.", group="memory", widget="switch"
    )
    cache_latents: bool = setting(
        True,
        "Keep encoded pictures",
        "On or off. Encodes every picture and caption once, before training.",
        group="memory",
        widget="switch",
    )
    enable_xformers_memory_efficient_attention: bool = setting(
        False,
        "xFormers attention",
        "On or off. Needs xformers and a GPU; else PyTorch's own is used and it says so.",
        group="memory",
        widget="switch",
    )
    enable_npu_flash_attention: bool = setting(
        False, "NPU flash attention", "On or off. Only for Ascend NPUs.", group="memory", widget="switch"
    )
    allow_tf32: bool = setting(
        False, "TF32", "On or off. Faster and a little less exact on Ampere and newer GPUs.", group="memory", widget="switch"
    )
    dataloader_num_workers: int = setting(
        0, "Loading processes", "0 to 64. Only matters when encoded pictures are not kept.", group="memory", ge=0, le=64
    )
    num_processes: int = setting(
        1, "GPUs", "1 to 64. How many take part; each works on its own share of the batch.", group="memory", ge=1, le=64
    )

    # Samples and checks
    validation_prompt: str | None = setting(
        None,
        "Validation prompt",
        "One more prompt, drawn every few passes as the diffusers script does, or empty.",
        group="samples",
        max_length=1000,
    )
    num_validation_images: int = setting(4, "Validation pictures", "1 to 16. Only with a validation prompt.", group="samples", ge=1, le=16)
    validation_epochs: int = setting(
        1, "Validate every", "1 to 10,000 passes. Only with a validation prompt.", group="samples", unit="passes", ge=1, le=10_000
    )
    sample_seed: int = setting(
        42, "Sample seed", "0 to 4,294,967,295. Every sample of one prompt starts from the same noise.", group="samples", ge=0, le=2**32 - 1
    )
    num_sample_seeds: int = setting(
        1, "Seeds a prompt", "1 to 8. Pictures of each prompt, each from its own noise.", group="samples", ge=1, le=8
    )
    sample_steps: int | None = setting(
        None, "Sampler steps", "1 to 150, or empty for what suits the base model.", group="samples", ge=1, le=150
    )
    sample_guidance_scale: float | None = setting(
        None, "Guidance", "0 to 30, or empty for what suits the base model. Higher follows the words more.", group="samples", ge=0, le=30
    )
    held_out_share: float = setting(
        0.1,
        "Held out",
        "0 to 0.5 of the pictures, at least one. They judge the run and are never trained on.",
        group="samples",
        ge=0,
        le=0.5,
    )
    held_out_every: int = setting(
        25,
        "Judge every",
        "1 to 100,000 steps. Measures the loss on the pictures held out.",
        group="samples",
        unit="steps",
        ge=1,
        le=100_000,
    )
    early_stopping_patience: int = setting(
        0, "Stop early after", "0 to 1,000 judgements without a better one; 0 is never.", group="samples", ge=0, le=1000
    )

    # Saving and resuming
    output_dir: str = setting(
        "", "Run folder", "Set by the studio. Give one when you start the trainer by hand.", group="saving", widget="path"
    )
    cache_dir: str | None = setting(
        None, "Download folder", "Where base models are kept, or empty for the usual place.", group="saving", widget="path"
    )
    checkpoints_total_limit: int | None = setting(
        None,
        "Keep checkpoints",
        "2 to 10,000, or empty for all. The oldest goes after the newest is safe.",
        group="saving",
        ge=2,
        le=10_000,
    )
    resume_from_checkpoint: str | None = setting(
        None, "Resume from", "latest, a checkpoint folder, or empty for a fresh start.", group="saving", widget="path"
    )
    push_to_hub: bool = setting(
        False, "Publish on the hub", "On or off. Needs HF_TOKEN in the environment.", group="saving", widget="switch"
    )
    hub_model_id: str | None = setting(None, "Name on the hub", "owner/name, or empty.", group="saving")

    # Base model
    pretrained_model_name_or_path: str = setting(
        "pocket-sdxl",
        "Starting from",
        "A known base model, a folder or one .safetensors file on this machine, or owner/name of the hub.",
        group="base",
        min_length=1,
    )
    pretrained_vae_model_name_or_path: str | None = setting(
        None,
        "Another VAE",
        "A folder, one .safetensors file or owner/name, or empty. For fp16 SDXL: madebyollin/sdxl-vae-fp16-fix.",
        group="base",
    )
    revision: str | None = setting(None, "Revision", "A branch or commit of the hub, or empty.", group="base")
    variant: str | None = setting(None, "Variant", "fp16 where the base model offers it, or empty.", group="base")

    # Tracking
    report_to: Literal["none", "tensorboard", "wandb", "comet_ml", "trackio", "all"] = setting(
        "tensorboard", "Tracker", "One of six. The Monitor page works with each of them.", group="tracking", widget="choice"
    )
    logging_dir: str = setting("logs", "Tracker folder", "A folder inside the run folder.", group="tracking", min_length=1)
    log_every: int = setting(
        10, "Write losses every", "1 to 1,000 steps. Fewer writes are faster on a GPU.", group="tracking", unit="steps", ge=1, le=1000
    )
    local_rank: int = setting(-1, "Local rank", "-1 to 1,024. Set by the launcher.", group="tracking", ge=-1, le=1024)

    @field_validator("sample_prompts", mode="before")
    @classmethod
    def _lines(cls, value: object) -> object:
        lines = value.splitlines() if isinstance(value, str) else value
        return [line.strip() for line in lines if line.strip()] if isinstance(lines, list) else lines

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object, info: object) -> object:
        """A form gives an empty text where a setting is left open."""
        field = cls.model_fields[info.field_name]  # type: ignore[attr-defined]
        optional = field.default is None
        return None if optional and isinstance(value, str) and not value.strip() else value

    @model_validator(mode="after")
    def _across_fields(self) -> Self:
        base = find_base_model(self.pretrained_model_name_or_path)
        step = base.bucket_step if base else 64
        if self.resolution % step or self.resolution < step:
            below = max(step, self.resolution // step * step)
            raise ValueError(
                f"resolution: Resolution is {self.resolution}; it must be a multiple of {step}. Nearest: {below} or {below + step}."
            )
        if base and base.family != self.family:
            fitting = " or ".join(m.key for m in BASE_MODELS.values() if m.family == self.family)
            raise ValueError(
                f"pretrained_model_name_or_path: {base.name} is a base of the family {base.family}; this training is for {self.family}. "
                f"Choose {fitting}, or a training for {base.family}."
            )
        if self.push_to_hub and not self.hub_model_id:
            raise ValueError("hub_model_id: Name on the hub is empty; to publish, give one of the form owner/name.")
        return self

"""Our settings as ai-toolkit's: the YAML that its run.py reads, and the folder of pictures that it learns from.

What its reader does to the text, and what is done against it: `${NAME}` becomes a variable of the environment (a prompt could bring
the token into its log), so `$` is written as an escape; `1e5` becomes a number wherever it stands bare, so words are quoted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from backends.contract import files
from backends.contract.base_models import find_base_model, resolve_source
from backends.contract.methods.ai_toolkit import FluxAiToolkitConfig
from backends.contract.schedule import compute_steps
from backends.contract.settings.lora import FLUX_LORA_LAYERS
from backends.external.manifest import Picture
from backends.external.work import NAME, Work

SMALLER_PX = (512, 768)
JUDGED_PX = 512
NOISE_LEVELS = (1.0, 0.75, 0.5, 0.25)
SAVES_KEPT = 4  # ours are copied as they come; its own need only last until then and serve Resume
SCHNELL_ADAPTER = "ostris/FLUX.1-schnell-training-adapter"
_PLAIN = re.compile(r"[a-z][a-z_]*")
_WORDS_OF_YAML = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


class _Dumper(yaml.SafeDumper):
    """Quotes every word that could be read as something else."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    plain = _PLAIN.fullmatch(text) and text not in _WORDS_OF_YAML
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _represent_text)


def count_steps(config: FluxAiToolkitConfig, pictures: Sequence[Picture]) -> int:
    """Steps of the whole run."""
    if config.max_train_steps:
        return config.max_train_steps
    return compute_steps(
        sum(not p.held_out for p in pictures),
        epochs=config.num_train_epochs,
        batch_size=config.train_batch_size,
        accumulation=config.gradient_accumulation_steps,
    )


def link_pictures(work: Work, pictures: Sequence[Picture]) -> None:
    """The folders of pictures as ai-toolkit wants them: `0001.png` with `0001.txt` beside it. Links, so that nothing is copied."""
    for folder, chosen in ((work.pictures, [p for p in pictures if not p.held_out]), (work.held_out, [p for p in pictures if p.held_out])):
        folder.mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(chosen, 1):
            link = folder / f"{number:04d}{picture.file.suffix.lower()}"
            link.unlink(missing_ok=True)
            link.symlink_to(picture.file)
            files.write_text(link.with_suffix(".txt"), " ".join(picture.caption.split()))


def write_document(work: Work, config: FluxAiToolkitConfig, pictures: Sequence[Picture], seed: int) -> None:
    """Writes the YAML."""
    text = yaml.dump(
        build_document(work, config, pictures, seed),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=2**30,
        default_flow_style=False,
    )
    files.write_text(work.settings, text.replace("${", "\\x24{"))  # such text is never plain, so it stands in quotes


def build_document(work: Work, config: FluxAiToolkitConfig, pictures: Sequence[Picture], seed: int) -> dict[str, Any]:
    """The settings under ai-toolkit's names; those that it need not be told keep its defaults."""
    process = {
        "type": "diffusion_trainer",
        "training_folder": str(work.root),
        "sqlite_db_path": str(work.job),
        "device": "cuda:0",
        "training_seed": seed,
        "network": _build_network(config),
        "save": {"dtype": "float16", "save_every": config.checkpointing_steps, "max_step_saves_to_keep": SAVES_KEPT, "push_to_hub": False},
        "datasets": [
            {
                "folder_path": str(work.pictures),
                "caption_ext": "txt",
                "caption_dropout_rate": config.caption_dropout,
                "shuffle_tokens": config.shuffle_tags,
                "flip_x": config.random_flip,
                "cache_latents_to_disk": config.cache_latents,
                "resolution": list_sizes(config),
            }
        ],
        "train": _build_train(work, config, pictures),
        "model": _build_model(config),
        "logging": {"log_every": 1, "use_ui_logger": True},
        "sample": _build_sample(config),
    }
    return {"job": "extension", "config": {"name": NAME, "process": [process]}, "meta": {"name": NAME, "version": "1.0"}}


def list_sizes(config: FluxAiToolkitConfig) -> list[int]:
    """The sizes in px that each picture is shown at."""
    return [px for px in SMALLER_PX if config.smaller_sizes and px < config.resolution] + [config.resolution]


def list_samples(config: FluxAiToolkitConfig) -> list[tuple[int, int, str, int]]:
    """(prompt's number, seed's number, prompt, seed) in the order in which they are drawn."""
    if not config.sample_every:
        return []
    return [
        (number, index, prompt, (config.sample_seed + index) % 2**32)
        for number, prompt in enumerate(config.sample_prompts)
        for index in range(config.num_sample_seeds)
    ]


def _build_network(config: FluxAiToolkitConfig) -> dict[str, Any]:
    network: dict[str, Any] = {"type": "lora", "linear": config.rank, "linear_alpha": config.rank}
    if config.lora_dropout:
        network["dropout"] = config.lora_dropout
    if config.lora_layers != "everything":  # all linear layers of the blocks are its own choice
        network["network_kwargs"] = {"only_if_contains": list(FLUX_LORA_LAYERS[config.lora_layers])}
    return network


def _build_train(work: Work, config: FluxAiToolkitConfig, pictures: Sequence[Picture]) -> dict[str, Any]:
    eight_bit = config.optimizer == "AdamW" and config.use_8bit_adam
    train: dict[str, Any] = {
        "batch_size": config.train_batch_size,
        "steps": count_steps(config, pictures),
        "gradient_accumulation": config.gradient_accumulation_steps,
        "train_unet": True,
        "train_text_encoder": False,
        "gradient_checkpointing": config.gradient_checkpointing,
        "noise_scheduler": "flowmatch",
        "timestep_type": "sigmoid",
        "optimizer": "adamw8bit" if eight_bit else config.optimizer.lower(),
        "optimizer_params": {"weight_decay": config.adam_weight_decay},
        "lr": config.learning_rate,
        "lr_scheduler": config.lr_scheduler,
        "ema_config": {"use_ema": config.use_ema, "ema_decay": config.ema_decay},
        "dtype": "bf16",
        "disable_sampling": not list_samples(config),
    }
    if config.lr_scheduler == "constant_with_warmup":
        train["lr_scheduler_params"] = {"num_warmup_steps": config.lr_warmup_steps}
    judging = [p for p in pictures if p.held_out]
    if judging:
        train["validation_config"] = {
            "validation_items": [
                {"image_path": str(work.held_out / f"{number:04d}{p.file.suffix.lower()}"), "prompt": " ".join(p.caption.split())}
                for number, p in enumerate(judging, 1)
            ],
            "resolution": min(JUDGED_PX, config.resolution),
            "validate_every_n_steps": config.held_out_every,
            "validation_sigmas": list(NOISE_LEVELS),
        }
    return train


def _build_model(config: FluxAiToolkitConfig) -> dict[str, Any]:
    base = find_base_model(config.pretrained_model_name_or_path)
    source = resolve_source(config.pretrained_model_name_or_path)
    small = config.quantize_base != "none"
    model: dict[str, Any] = {"name_or_path": source, "is_flux": True, "quantize": small, "low_vram": config.low_vram}
    if small:
        model["qtype"] = "qfloat8"
    if base and base.key == "flux-schnell" or Path(source).name.casefold() == "flux.1-schnell":
        model["assistant_lora_path"] = SCHNELL_ADAPTER  # its distillation would be undone by training without
    return model


def _build_sample(config: FluxAiToolkitConfig) -> dict[str, Any]:
    base = find_base_model(config.pretrained_model_name_or_path)
    guidance, steps = config.sample_guidance_scale, config.sample_steps
    return {
        "sampler": "flowmatch",
        "format": "png",
        "sample_every": config.sample_every or 1,
        "width": config.resolution,
        "height": config.resolution,
        "samples": [{"prompt": prompt, "seed": seed} for _, _, prompt, seed in list_samples(config)],
        "neg": "",
        "seed": config.sample_seed,
        "walk_seed": False,
        "guidance_scale": (base.guidance_scale if base else 3.5) if guidance is None else guidance,
        "sample_steps": (base.num_inference_steps if base else 28) if steps is None else steps,
    }

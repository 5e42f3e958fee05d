"""What a run costs in memory and time; figures are counted, measured or published, and `model_costs` says which."""

from __future__ import annotations

from typing import Any

from backends.contract.base_models import find_base_model, is_bundled
from backends.contract.quantized import compute_saved_gb
from backends.contract.settings.lora import trains_lora
from backends.contract.settings.pictures import plan_orders, wants_pairs
from studio.runs.hardware import Hardware
from studio.runs.model_costs import (
    CAUTIOUS_TFLOPS,
    COSTS,
    LARGEST_OF_FAMILY,
    POCKET_GPU_STEP_S,
    PUBLISHED_TFLOPS,
    QUANTISED_SLOWDOWN,
    ModelCost,
)

SAVED_PICTURE_BYTES_PER_PX = 1.6  # a PNG of a photograph
FULL, HALF = 4, 2  # bytes of a number
_CLIP_WIDTHS = {"sd15": 768, "sdxl": 2048}


def find_model_cost(config: Any) -> ModelCost:
    """The figures of the base model; somebody's own counts as the largest of its family."""
    base = find_base_model(config.pretrained_model_name_or_path)
    return COSTS.get(base.key if base else "") or COSTS[LARGEST_OF_FAMILY[config.family]]


def is_pocket(config: Any) -> bool:
    """Whether the base model is a bundled one."""
    return is_bundled(config.pretrained_model_name_or_path)


def count_trained(config: Any) -> int:
    """Numbers that are trained; of the text encoders their four attention layers a block are counted."""
    cost = find_model_cost(config)
    if not trains_lora(config):
        return cost.parameters
    parameters = cost.lora_parameters[config.lora_layers] * config.rank
    if config.train_text_encoder:
        parameters += config.rank * 4 * 2 * cost.text_widths
    return int(parameters)


def count_encoded_bytes(config: Any, num_pictures: int, *, pairs: bool) -> float:
    """What the encoded pictures (mean and deviation in float32, mirror images too) and captions take on the disk."""
    if not config.cache_latents:
        return 0.0
    channels, words = (16, config.max_sequence_length * 4096) if config.family == "flux" else (4, 77 * _CLIP_WIDTHS[config.family])
    kept = getattr(config, "num_class_images", 0) if getattr(config, "with_prior_preservation", False) else 0
    pictures = (num_pictures * (2 if pairs else 1) + kept) * (2 if config.random_flip else 1)
    latents = pictures * (config.resolution / 8) ** 2 * channels * 2 * FULL
    texts = num_pictures * (config.tag_orders if plan_orders(config) else 1)  # at most: short captions have fewer orders
    return latents + (0 if getattr(config, "train_text_encoder", False) else texts * words * HALF)


def compute_memory_parts(config: Any, hardware: Hardware, pieces: int = 1) -> list[tuple[str, float]]:
    """What takes how much memory on each GPU at the worst moment, in 10**9 bytes; `pieces` into how many what is trained is divided.

    The text encoders are gone before what predicts is loaded, unless they are trained or captions are encoded each time; so the
    worst moment is that of the larger of the two.
    """
    cost = find_model_cost(config)
    full = config.mixed_precision == "no" or (not hardware.gpus and config.mixed_precision is None)
    width = FULL if full else HALF
    keeps_encoders = getattr(config, "train_text_encoder", False) or not config.cache_latents
    encoders = cost.encoders_gb * (width / HALF)
    runtime = ("CUDA", 0.8) if hardware.gpus else ("PyTorch", 0.5)  # a Pocket run was measured at 0.62 in all
    parts = [*_weight_parts(config, width, pieces), *_work_parts(config, width, pieces)]
    if keeps_encoders:
        parts.insert(1, ("Text encoders", encoders))
    elif encoders > sum(size for _, size in parts):
        parts = [("Text encoders, before training", encoders)]
    return [*parts, runtime]


def _weight_parts(config: Any, width: int, pieces: int) -> list[tuple[str, float]]:
    """What is frozen, and what is trained with its gradients, its optimizer and its average."""
    cost = find_model_cost(config)
    trained = count_trained(config)
    moments = {"AdamW": 8, "prodigy": 16, "schedule_free": 8}[config.optimizer]
    each = FULL + (2 if config.use_8bit_adam else moments) + (FULL if config.use_ema else 0)
    if trains_lora(config):
        base = _compute_frozen_gb(config, width) + cost.vae_gb
        return [("Base model", base), ("LoRA and optimizer", trained * (FULL + each) / 1e9)]
    own = trained / pieces / 1e9
    return [("Model", own * FULL + cost.vae_gb), ("Gradients and optimizer", own * each)]


def _compute_frozen_gb(config: Any, width: int) -> float:
    """What predicts, frozen; of a small build of its family the share that is stored small is that of the large one."""
    parameters = find_model_cost(config).parameters
    part = parameters / COSTS[LARGEST_OF_FAMILY[config.family]].parameters
    return parameters * width / 1e9 - part * compute_saved_gb(config.family, config.quantize_base, bytes_a_weight=width)


def _work_parts(config: Any, width: int, pieces: int) -> list[tuple[str, float]]:
    """Pictures; and of a divided model what is whole meanwhile: some blocks, or all of it while samples are drawn, without gradients."""
    cost, area = find_model_cost(config), _relative_area(config)
    per_picture = cost.picture_checkpointed_gb if config.gradient_checkpointing else cost.picture_gb
    pictures = config.train_batch_size * per_picture * area * (width / HALF) * _samples_at_once(config)
    draws = config.sample_every and (config.sample_prompts or getattr(config, "num_sample_pairs", 0))
    drawing = cost.sampling_gb * area if draws else 0.0
    if pieces == 1:
        return [("Pictures in work", max(pictures, drawing))]
    blocks = cost.gathered * (2 * width + FULL) / 1e9  # weights and gradients, and the gradients once more on their way
    whole = max(0.0, cost.parameters * (width - FULL / pieces) / 1e9) if draws else 0.0
    if drawing + whole > pictures + blocks:
        return [("Whole model, to draw samples", whole), ("Pictures in work", drawing)]
    return [("Whole blocks", blocks), ("Pictures in work", pictures)]


def _samples_at_once(config: Any) -> int:
    """A subject's picture and one of its class go through the model together."""
    return 2 if getattr(config, "with_prior_preservation", False) else 1


def _relative_area(config: Any) -> float:
    base = find_base_model(config.pretrained_model_name_or_path)
    native = base.resolution if base else COSTS[LARGEST_OF_FAMILY[config.family]].native_px
    return float((config.resolution / native) ** 2)


def estimate_step_seconds(config: Any, hardware: Hardware) -> tuple[float, str]:
    """Seconds a step before any run was measured here, and a sentence on where the figure comes from."""
    pictures = config.train_batch_size * config.gradient_accumulation_steps * _samples_at_once(config)
    slower, cost, area = compute_slowdown(config), find_model_cost(config), _relative_area(config)
    if is_pocket(config):
        layers = {"attention": 0.85, "attention+ff": 0.9, "everything": 1.0}[config.lora_layers] if trains_lora(config) else 1.35
        whole = POCKET_GPU_STEP_S if hardware.gpus else cost.step_s
        share = (0.25 * config.gradient_accumulation_steps + area * pictures) / 4.25  # a step costs something however small it is
        return whole * share * layers * slower, "An estimate for this kind of machine; after one run it is measured."
    work = (cost.tflop if trains_lora(config) else cost.tflop_full) * slower * area
    known = next((speed for part, speed in PUBLISHED_TFLOPS[config.family].items() if part in hardware.name), None)
    basis = "An estimate from published speeds of this GPU; after one run it is measured."
    if known is None:
        basis = "A cautious estimate, no speed of this GPU is published; after one run it is measured."
    return pictures * work / (known or CAUTIOUS_TFLOPS[config.family]), basis


def compute_slowdown(config: Any) -> float:
    """How many times as long a step takes with the memory settings as they are."""
    slower = find_model_cost(config).checkpointing_slowdown if config.gradient_checkpointing else 1.0
    return slower * QUANTISED_SLOWDOWN.get(getattr(config, "quantize_base", "none"), 1.0)


def estimate_sample_seconds(config: Any, step_s: float) -> float:
    """Seconds a sample picture takes: two forward passes (with and without the prompt; an edit three) a sampler step."""
    base = find_base_model(config.pretrained_model_name_or_path)
    steps = config.sample_steps or (base.num_inference_steps if base else 30)
    guided = (config.sample_guidance_scale or (base.guidance_scale if base else 6.0)) > 1
    passes = 3 if wants_pairs(config) else 2 if guided and config.family != "flux" else 1
    batch = config.train_batch_size * config.gradient_accumulation_steps * _samples_at_once(config)
    per_picture = step_s / compute_slowdown(config) / max(1, batch)
    return steps * passes * per_picture / 3 * 1.15  # a forward pass is a third of a training step; then the decoder


def estimate_start_seconds(config: Any, num_pictures: int) -> float:
    """Seconds before the first step: imports, the base model, encoding the pictures, drawing those of a class."""
    encode = 0.06 if is_pocket(config) else 0.35
    load = 12.0 if is_pocket(config) else 40.0 if config.family != "flux" else 150.0
    halves = 2 if wants_pairs(config) else 1
    return load + num_pictures * halves * encode * _relative_area(config)

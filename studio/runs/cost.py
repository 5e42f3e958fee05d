"""What one base model costs in memory and time; figures are counted, measured or published, and each says which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends.contract.base_models import find_base_model
from studio.runs.hardware import Hardware

SAVED_PICTURE_BYTES_PER_PX = 1.6  # a PNG of a photograph


@dataclass(frozen=True)
class ModelCost:
    """One base model's figures.

    `lora_parameters` are counted per rank over the layers named (in + out of each, kernels included). Memory is in
    10**9 bytes for 16-bit weights; `picture_gb` is one picture at the native resolution through forward and backward,
    `picture_checkpointed_gb` with gradient checkpointing, which takes `checkpointing_slowdown` times as long. `tflop` is one
    picture's forward and backward without it.
    """

    lora_parameters: dict[str, int]
    weights_gb: float
    encoders_gb: float
    picture_gb: float
    picture_checkpointed_gb: float
    sampling_gb: float
    tflop: float
    checkpointing_slowdown: float
    needs_gpu_gb: float


COSTS = {
    # Counted from the model files. Memory: peak of the process on a CPU, 32-bit.
    "pocket-sdxl": ModelCost(
        lora_parameters={"attention": 14_336, "attention+ff": 28_736, "everything": 57_856},
        weights_gb=0.02,
        encoders_gb=0.01,
        picture_gb=0.02,
        picture_checkpointed_gb=0.01,
        sampling_gb=0.1,
        tflop=0.009,
        checkpointing_slowdown=1.7,
        needs_gpu_gb=0,
    ),
    # Weights and layers counted from the architecture (2.567 billion parameters); FLOPs counted on meta tensors; memory a
    # picture set so that the field's published runs fit the cards they were made on (diffusers, invoke-training, kohya_ss).
    "sdxl": ModelCost(
        lora_parameters={"attention": 1_451_520, "attention+ff": 2_659_840, "everything": 3_009_920},
        weights_gb=5.14,
        encoders_gb=1.64,
        picture_gb=11.0,
        picture_checkpointed_gb=1.9,
        sampling_gb=3.5,
        tflop=14.19,
        checkpointing_slowdown=1.78,  # SimpleTuner on an H100: 0.606 s a step, 1.080 s with it
        needs_gpu_gb=12,
    ),
}
# TFLOP/s reached by published SDXL LoRA runs at batch 1 (kohya_ss on a 3090 Ti, SimpleTuner on the others).
PUBLISHED_TFLOPS = {"H100": 23.0, "H200": 23.0, "L40": 24.0, "4090": 24.0, "3090": 12.7, "A100": 20.0}
CAUTIOUS_TFLOPS = 6.0
POCKET_STEP_S = 0.15  # 128 px, batch 4, rank 8, every layer; one thread of a quiet server core needs 0.115
POCKET_GPU_STEP_S = 0.04


def find_model_cost(config: Any) -> ModelCost:
    """The figures of the base model; somebody's own model counts as SDXL, which is what this family trains."""
    base = find_base_model(config.pretrained_model_name_or_path)
    return COSTS.get(base.key if base else "sdxl", COSTS["sdxl"])


def is_pocket(config: Any) -> bool:
    """Whether the base model is the bundled one."""
    base = find_base_model(config.pretrained_model_name_or_path)
    return bool(base and base.bundled)


def compute_lora_parameters(config: Any) -> int:
    """Numbers in the LoRA; the text encoders' share is counted for SDXL's two (264 attention layers of 768 and 1280)."""
    parameters = find_model_cost(config).lora_parameters[config.lora_layers] * config.rank
    if config.train_text_encoder and not is_pocket(config):
        parameters += config.rank * 4 * 2 * (12 * 768 + 32 * 1280)
    return int(parameters)


def compute_memory_parts(config: Any, hardware: Hardware) -> list[tuple[str, float]]:
    """What takes how much memory at the worst moment, in 10**9 bytes."""
    cost, base = find_model_cost(config), find_base_model(config.pretrained_model_name_or_path)
    full = config.mixed_precision == "no" or (not hardware.gpus and config.mixed_precision is None)
    double = 2.0 if full else 1.0
    encoders = cost.encoders_gb if config.train_text_encoder or not config.cache_latents else 0.0
    optimizer_bytes = 4 + 4 + (2 if config.use_8bit_adam else 8)
    native = base.resolution if base else 1024
    per_picture = cost.picture_checkpointed_gb if config.gradient_checkpointing else cost.picture_gb
    area = (config.resolution / native) ** 2
    pictures = config.train_batch_size * per_picture * area * double
    sampling = cost.sampling_gb * area if config.sample_every and config.sample_prompts else 0.0
    runtime = ("CUDA", 0.8) if hardware.gpus else ("PyTorch", 0.5)  # a Pocket run was measured at 0.62 in all
    return [
        ("Base model", (cost.weights_gb + encoders) * double),
        ("LoRA and optimizer", compute_lora_parameters(config) * optimizer_bytes / 1e9),
        ("Pictures in work", max(pictures, sampling)),
        runtime,
    ]


def estimate_step_seconds(config: Any, hardware: Hardware) -> tuple[float, str]:
    """Seconds a step before any run was measured here, and a sentence on where the figure comes from."""
    pictures = config.train_batch_size * config.gradient_accumulation_steps
    slower = compute_slowdown(config)
    if is_pocket(config):
        layers = {"attention": 0.85, "attention+ff": 0.9, "everything": 1.0}[config.lora_layers]
        area = (config.resolution / 128) ** 2
        whole = POCKET_GPU_STEP_S if hardware.gpus else POCKET_STEP_S
        share = (0.25 * config.gradient_accumulation_steps + area * pictures) / 4.25  # a step costs something however small it is
        return whole * share * layers * slower, "An estimate for this kind of machine; after one run it is measured."
    cost, base = find_model_cost(config), find_base_model(config.pretrained_model_name_or_path)
    native = base.resolution if base else 1024
    work = cost.tflop * slower * (config.resolution / native) ** 2
    known = next((speed for part, speed in PUBLISHED_TFLOPS.items() if part in hardware.name), None)
    basis = "An estimate from published speeds of this GPU; after one run it is measured."
    if known is None:
        basis = "A cautious estimate, no speed of this GPU is published; after one run it is measured."
    return pictures * work / (known or CAUTIOUS_TFLOPS), basis


def compute_slowdown(config: Any) -> float:
    """How many times as long a step takes with the memory settings as they are."""
    return find_model_cost(config).checkpointing_slowdown if config.gradient_checkpointing else 1.0


def estimate_sample_seconds(config: Any, step_s: float) -> float:
    """Seconds a sample picture takes: two forward passes (with and without the prompt) a sampler step."""
    base = find_base_model(config.pretrained_model_name_or_path)
    steps = config.sample_steps or (base.num_inference_steps if base else 30)
    guided = (config.sample_guidance_scale or (base.guidance_scale if base else 6.0)) > 1
    per_picture = step_s / compute_slowdown(config) / max(1, config.train_batch_size * config.gradient_accumulation_steps)
    return steps * (2 if guided else 1) * per_picture / 3 * 1.15  # a forward pass is a third of a training step; then the decoder


def estimate_start_seconds(config: Any, num_pictures: int) -> float:
    """Seconds before the first step: imports, the base model, encoding the pictures."""
    encode = 0.06 if is_pocket(config) else 0.35
    load = 12.0 if is_pocket(config) else 40.0
    return load + (num_pictures * encode * (config.resolution / (128 if is_pocket(config) else 1024)) ** 2)

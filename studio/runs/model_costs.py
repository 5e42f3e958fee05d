"""What each base model costs: figures that were counted, measured or published, each with its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ModelCost:
    """One base model's figures.

    `parameters` are those of what predicts; `lora_parameters` are counted per rank over the layers named (in + out of each,
    kernels included); `text_widths` is the sum of the widths of the text encoders' blocks that a LoRA may train. Memory is in
    10**9 bytes for 16-bit weights; `picture_gb` is one picture at the native resolution through forward and backward,
    `picture_checkpointed_gb` with gradient checkpointing, which takes `checkpointing_slowdown` times as long. `tflop` is one picture's
    forward and backward with a LoRA, `tflop_full` with all weights. `step_s` is for bundled models only: seconds of a step of four
    pictures at the native resolution, a LoRA in every layer, on one thread of a server core. `gathered`: where all weights are trained
    and divided over GPUs, the numbers that each has whole while it works: those in no block of diffusers', and two of the largest.
    """

    parameters: int
    lora_parameters: dict[str, int]
    text_widths: int
    encoders_gb: float
    vae_gb: float
    native_px: int
    picture_gb: float
    picture_checkpointed_gb: float
    sampling_gb: float
    tflop: float
    tflop_full: float
    checkpointing_slowdown: float
    needs_gpu_gb: float
    step_s: float = 0.0
    gathered: int = 0


_POCKET: dict[str, Any] = {"native_px": 128, "checkpointing_slowdown": 1.7, "needs_gpu_gb": 0, "vae_gb": 0.005, "encoders_gb": 0.01}
_FLUX = ModelCost(
    # Counted from the architecture. Activations: SimpleTuner's and ai-toolkit's runs on 16, 24 and 48 GB; a step of both with
    # gradient checkpointing, without which nobody trains it.
    parameters=11_901_408_320,
    lora_parameters={"attention": 1_634_304, "attention+ff": 4_085_760, "everything": 5_369_856},
    text_widths=12 * 768,
    encoders_gb=9.77,
    vae_gb=0.34,
    native_px=1024,
    picture_gb=24.0,
    picture_checkpointed_gb=3.2,
    sampling_gb=3.0,
    tflop=163.9,
    tflop_full=223.0,
    checkpointing_slowdown=1.45,
    needs_gpu_gb=12,
)
COSTS = {
    # Counted from the model files. Memory: peak of the process on a CPU, 32-bit.
    "pocket-sdxl": ModelCost(
        parameters=5_905_832,
        lora_parameters={"attention": 14_336, "attention+ff": 28_736, "everything": 57_856},
        text_widths=2 * 96 + 3 * 128,
        gathered=1_798_344,
        picture_gb=0.02,
        picture_checkpointed_gb=0.01,
        sampling_gb=0.1,
        tflop=0.009,
        tflop_full=0.012,
        step_s=0.15,
        **_POCKET,
    ),
    "pocket-sd15": ModelCost(
        parameters=4_813_800,
        lora_parameters={"attention": 10_304, "attention+ff": 21_248, "everything": 50_368},
        text_widths=2 * 128,
        gathered=1_575_880,
        picture_gb=0.02,
        picture_checkpointed_gb=0.01,
        sampling_gb=0.1,
        tflop=0.007,
        tflop_full=0.01,
        step_s=0.13,
        **_POCKET,
    ),
    "pocket-flux": ModelCost(
        parameters=5_232_544,
        lora_parameters={"attention": 10_752, "attention+ff": 26_880, "everything": 35_328},
        text_widths=3 * 128,
        picture_gb=0.02,
        picture_checkpointed_gb=0.01,
        sampling_gb=0.1,
        tflop=0.006,
        tflop_full=0.008,
        step_s=0.13,
        **_POCKET,
    ),
    # Counted from the architectures; FLOPs on meta tensors; memory of a picture set so that published runs fit the cards that
    # they were made on: SD 1.5 by the InstructPix2Pix run (8 a GPU in 35 to 45 GB, 64-bit moments, average), SDXL by diffusers,
    # invoke-training and kohya_ss.
    "sd15": ModelCost(
        parameters=859_520_964,
        lora_parameters={"attention": 199_296, "attention+ff": 423_936, "everything": 948_096},
        text_widths=12 * 768,
        encoders_gb=0.25,
        vae_gb=0.33,
        native_px=512,
        gathered=177_771_524,
        picture_gb=2.6,
        picture_checkpointed_gb=0.6,
        sampling_gb=1.6,
        tflop=1.72,
        tflop_full=2.41,
        checkpointing_slowdown=1.35,
        needs_gpu_gb=8,
    ),
    "sdxl": ModelCost(
        parameters=2_567_463_684,
        lora_parameters={"attention": 1_451_520, "attention+ff": 2_659_840, "everything": 3_009_920},
        text_widths=11 * 768 + 32 * 1280,
        encoders_gb=1.64,
        vae_gb=0.33,
        native_px=1024,
        gathered=152_492_804,
        picture_gb=11.0,
        picture_checkpointed_gb=1.9,
        sampling_gb=3.5,
        tflop=14.19,
        tflop_full=20.23,
        checkpointing_slowdown=1.78,  # SimpleTuner on an H100: 0.606 s a step, 1.080 s with it
        needs_gpu_gb=12,
    ),
    "flux-dev": _FLUX,
    "flux-schnell": _FLUX,
}
LARGEST_OF_FAMILY = {"sd15": "sd15", "sdxl": "sdxl", "flux": "flux-dev"}
QUANTISED_SLOWDOWN = {"int8": 1.1, "float8": 1.1, "nf4": 1.2}
# TFLOP/s reached by published LoRA runs: SDXL at batch 1 (kohya_ss on a 3090 Ti, SimpleTuner on the
# others, the A100 between it and the old-book-illustrations run); Flux by the QLoRA
# posts of Hugging Face and SimpleTuner's guide; SD 1.5 whole by the InstructPix2Pix run on eight A100.
PUBLISHED_TFLOPS = {
    "sdxl": {"H100": 23.0, "H200": 23.0, "L40": 24.0, "4090": 24.0, "3090": 12.7, "A100": 30.0},
    "flux": {"H100": 105.0, "H200": 105.0, "4090": 50.0, "3090": 25.0, "A100": 60.0, "L40": 50.0},
    "sd15": {"H100": 16.0, "H200": 16.0, "A100": 11.0, "4090": 11.0, "3090": 8.0, "L40": 10.0},
}
CAUTIOUS_TFLOPS = {"sdxl": 6.0, "flux": 18.0, "sd15": 5.0}  # of a card without a published speed
POCKET_GPU_STEP_S = 0.04

"""A frozen denoiser stored small: torchao's int8 and float8 weights (a CPU too), bitsandbytes' 4 bits (GPU)."""

from __future__ import annotations

import importlib.util
from typing import Any

from diffusers import BitsAndBytesConfig, PipelineQuantizationConfig, TorchAoConfig

from backends.contract.errors import DarkroomError
from backends.families.protocol import LoadOptions

FIELD = "quantize_base"


def build_quantization(options: LoadOptions, denoiser: str) -> PipelineQuantizationConfig:
    """What diffusers is told so that it stores the denoiser as the settings ask.

    Raises:
        DarkroomError: When the package is missing, or the machine cannot compute so.
    """
    return PipelineQuantizationConfig(quant_mapping={denoiser: _build_config(options)})


def _build_config(options: LoadOptions) -> Any:
    if options.quantize == "nf4":  # QLoRA, arXiv 2305.14314
        if options.device.type != "cuda":
            raise DarkroomError(
                f"The base model is to be stored as nf4, which needs a GPU; this run is on a {options.device.type.upper()}. "
                "Choose int8, or none.",
                field=FIELD,
            )
        _need("bitsandbytes", options.quantize)
        return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=options.dtype)
    _need("torchao", options.quantize)
    from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig

    return TorchAoConfig(Int8WeightOnlyConfig() if options.quantize == "int8" else Float8WeightOnlyConfig())


def _need(package: str, choice: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise DarkroomError(
            f"The base model is to be stored as {choice}, but {package} is not installed. Install it with: pip install {package}. "
            "Or choose none.",
            field=FIELD,
        )

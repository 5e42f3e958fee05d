"""A frozen denoiser stored small: torchao's int8 and float8 weights (a CPU too), bitsandbytes' 4 bits (GPU)."""

from __future__ import annotations

from typing import Any

from diffusers import BitsAndBytesConfig, TorchAoConfig

from backends.contract.quantized import check_quantization
from backends.families.protocol import LoadOptions


def build_quantization(options: LoadOptions) -> Any:
    """What diffusers is told so that it stores the denoiser as the settings ask; None where it is stored as it is.

    Raises:
        DarkroomError: When the package is missing, or the machine cannot compute so.
    """
    if options.quantize == "none":
        return None
    check_quantization(options.quantize, options.device.type)
    if options.quantize == "nf4":  # QLoRA, arXiv 2305.14314
        return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=options.dtype)
    from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig

    return TorchAoConfig(Int8WeightOnlyConfig() if options.quantize == "int8" else Float8WeightOnlyConfig())

"""A frozen denoiser stored small: torchao's int8 and float8 weights (a CPU too), bitsandbytes' 4 bits (GPU)."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import BitsAndBytesConfig, TorchAoConfig

from backends.contract.quantized import check_quantization
from backends.families.protocol import LoadOptions


def build_quantization(options: LoadOptions) -> Any:
    """What diffusers is told so that it stores the denoiser small while it reads a folder; None where it is stored as it is.

    Raises:
        DarkroomError: When the package is missing, or the machine cannot compute so.
    """
    if options.quantize == "none":
        return None
    check_quantization(options.quantize, options.device.type)
    if options.quantize == "nf4":  # QLoRA, arXiv 2305.14314
        return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=options.dtype)
    return TorchAoConfig(_build_torchao(options.quantize))


def store_small(module: torch.nn.Module, choice: str, dtype: torch.dtype) -> None:
    """Stores the linear layers of a module that is in memory small, in place.

    For single files, whose weights diffusers 0.42 takes for quantised ones and leaves as they are.

    Args:
        module: A denoiser of a single file.
        choice: int8, float8 or nf4; the last takes effect when the module is moved to the GPU.
        dtype: What nf4 computes in.
    """
    if choice != "nf4":
        from torchao.quantization import quantize_

        quantize_(module, _build_torchao(choice))
        return
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.Linear:
                setattr(parent, name, _pack(child, dtype))
    module.is_loaded_in_4bit = True  # type: ignore[assignment]  # where peft looks


def _build_torchao(choice: str) -> Any:
    from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig

    return Int8WeightOnlyConfig() if choice == "int8" else Float8WeightOnlyConfig()


def _pack(linear: torch.nn.Linear, dtype: torch.dtype) -> torch.nn.Module:
    import bitsandbytes

    sizes = (linear.in_features, linear.out_features)
    packed = bitsandbytes.nn.Linear4bit(*sizes, bias=linear.bias is not None, compute_dtype=dtype, quant_type="nf4", device="meta")
    packed.weight = bitsandbytes.nn.Params4bit(linear.weight.data, requires_grad=False, quant_type="nf4")
    packed.bias = linear.bias
    return packed

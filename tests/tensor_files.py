"""Files of .safetensors that have a whole header and only holes for numbers, so that one of 7 GB takes no room."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

from backends.contract.tensor_file import DTYPE_BYTES

Shapes = dict[str, tuple[int, ...]]
_UNET = "model.diffusion_model."
_CLIP = "text_model.embeddings.position_embedding.weight"
VAE: Shapes = {"decoder.conv_in.weight": (512, 4, 3, 3), "encoder.down.0.block.0.conv1.weight": (128, 128, 3, 3)}


def write_holes(path: Path, shapes: Shapes, *, dtype: str = "F16") -> Path:
    """A file of these tensors, whose numbers are a hole in the disk."""
    header, reached = {}, 0
    for name, shape in shapes.items():
        size = math.prod(shape) * DTYPE_BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [reached, reached + size]}
        reached += size
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw)
    with path.open("r+b") as file:
        file.truncate(8 + len(raw) + reached)
    return path


def within(prefix: str, shapes: Shapes) -> Shapes:
    """The same tensors with a prefix before their names."""
    return {prefix + name: shape for name, shape in shapes.items()}


def ldm_unet(width: int, *, into: int = 4, told: int = 0) -> Shapes:
    """The names that tell a UNet in LDM's layout: input and output channels, the texts' width, and what SDXL is told beside them."""
    shapes: Shapes = {
        "input_blocks.0.0.weight": (320, into, 3, 3),
        "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (640, width),
        "out.2.weight": (4, 320, 3, 3),
    }
    return within(_UNET, shapes | ({"label_emb.0.0.weight": (1280, told)} if told else {}))


def diffusers_unet(width: int, *, into: int = 4, told: int = 0) -> Shapes:
    """The same in diffusers' layout."""
    shapes: Shapes = {
        "conv_in.weight": (320, into, 3, 3),
        "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight": (640, width),
        "conv_out.weight": (4, 320, 3, 3),
    }
    return shapes | ({"add_embedding.linear_1.weight": (1280, told)} if told else {})


def flux_transformer(*, guided: bool = True, into: int = 64) -> Shapes:
    """The names that tell a Flux transformer in the layout of Black Forest Labs."""
    shapes: Shapes = {
        "double_blocks.0.img_attn.norm.key_norm.scale": (128,),
        "img_in.weight": (3072, into),
        "final_layer.linear.weight": (64, 3072),
    }
    return shapes | ({"guidance_in.in_layer.weight": (3072, 256)} if guided else {})


SD15 = {**ldm_unet(768), **within("first_stage_model.", VAE), f"cond_stage_model.transformer.{_CLIP}": (77, 768)}
SDXL = {
    **ldm_unet(2048, told=2816),
    **within("first_stage_model.", VAE),
    f"conditioner.embedders.0.transformer.{_CLIP}": (77, 768),
    "conditioner.embedders.1.model.positional_embedding": (77, 1280),
}
REFINER = {
    **ldm_unet(1280, told=2560),
    **within("first_stage_model.", VAE),
    "conditioner.embedders.0.model.positional_embedding": (77, 1280),
}
SD2 = {**ldm_unet(1024), **within("first_stage_model.", VAE), "cond_stage_model.model.positional_embedding": (77, 1024)}
FLUX = flux_transformer()

"""Which model one .safetensors file holds, told from the names and shapes in its header; no number is read. Torch-free.

LDM is the layout of the original repositories (ComfyUI, A1111, CompVis, black-forest-labs), diffusers that of the hub's folders.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backends.contract.tensor_file import Purpose, Tensor, read_header

Kind = Literal["checkpoint", "denoiser", "vae", "lora", "other"]
FAMILY_NAMES = {"sd15": "SD 1.5", "sdxl": "SDXL", "sdxl-refiner": "SDXL refiner", "flux": "Flux"}
# What a whole checkpoint of a family holds. Flux has none: nobody can pass on T5's tokenizer inside a file.
WHOLE: dict[str, frozenset[str]] = {
    "sd15": frozenset({"unet", "vae", "text_encoder"}),
    "sdxl": frozenset({"unet", "vae", "text_encoder", "text_encoder_2"}),
    "sdxl-refiner": frozenset({"unet", "vae", "text_encoder_2"}),
}
_UNET = "model.diffusion_model."
_LORA = re.compile(r"(\.lora_[AB]\.|[._]lora[._](down|up)\.|\.(hada_w\d|lokr_w\d|oft_blocks|dora_scale))")
_PACKED = re.compile(r"(quant_state\.bitsandbytes|scaled_fp8$|\.(scale_weight|weight_scale|scale_input|comfy_quant|absmax)$)")


@dataclass(frozen=True)
class ModelFile:
    """What a file is.

    `kind` checkpoint: what a family needs, or nearly; denoiser: only what predicts; `other` says what the rest is, where that can be
    told. `family` is one of `FAMILY_NAMES`, or empty. `parts` are the components inside, by diffusers' names; `prefix` stands before
    the denoiser's (or the VAE's) names; `numbers` is how many weights the denoiser has. `edits` says that it takes a second picture
    beside the noisy one; `guided` that a Flux was distilled for guidance; `prediction_type` and `zero_snr` what the file says of
    its noise.
    """

    kind: Kind
    family: str = ""
    layout: Literal["ldm", "diffusers", ""] = ""
    parts: frozenset[str] = frozenset()
    prefix: str = ""
    numbers: int = 0
    latent_channels: int = 0
    edits: bool = False
    guided: bool = False
    prediction_type: str = ""
    zero_snr: bool = False
    other: str = ""

    @property
    def whole(self) -> bool:
        """Whether it has all that its family needs, so that nothing must come from elsewhere."""
        return self.family in WHOLE and self.parts >= WHOLE[self.family]

    @property
    def sentence(self) -> str:
        """What it is, to stand after “is”."""
        what = {"checkpoint": "checkpoint", "denoiser": "transformer" if self.family == "flux" else "UNet"}.get(self.kind, "")
        if what:
            name = FAMILY_NAMES[self.family]
            return f"{'an' if name.startswith('SD') else 'a'} {name} {what}{' for edits' if self.edits else ''}"
        return {"vae": "a VAE", "lora": "a LoRA"}.get(self.kind) or self.other or "of a kind that Darkroom does not know"


def read_model_file(path: Path, *, field: str = "pretrained_model_name_or_path") -> ModelFile:
    """What the file holds, from its header.

    Args:
        path: A .safetensors file.
        field: The setting that it was named in.

    Raises:
        DarkroomError: When the file is missing, of another format, torn, or lies about its contents.
    """
    header = read_header(path, Purpose(use="a model", field=field, gone="The model"))
    return tell_model(header.tensors)


def tell_model(tensors: Mapping[str, Tensor]) -> ModelFile:
    """What a file with these tensors is; the first reader that knows it decides."""
    for reader in _READERS:
        found = reader(tensors)
        if found:
            return found
    return ModelFile("other")


def _tell_adapter(tensors: Mapping[str, Tensor]) -> ModelFile | None:
    return ModelFile("lora") if any(_LORA.search(name) for name in tensors) else None


def _tell_packed(tensors: Mapping[str, Tensor]) -> ModelFile | None:
    """Files that were stored small by another program: their numbers mean nothing without its code."""
    packed = any(_PACKED.search(name) for name in tensors)
    return ModelFile("other", other="a model that another program has quantised; give the unquantised one") if packed else None


def _tell_stranger(tensors: Mapping[str, Tensor]) -> ModelFile | None:
    """Models that look like one of ours in parts, and are none."""
    for mark, what in _STRANGERS.items():
        if any(name.removeprefix(_UNET).startswith(mark) for name in tensors):
            return ModelFile("other", other=what)
    return None


def _tell_flux(tensors: Mapping[str, Tensor]) -> ModelFile | None:
    for prefix in (_UNET, ""):
        if f"{prefix}double_blocks.0.img_attn.norm.key_norm.scale" in tensors:
            wide, out = (tensors.get(f"{prefix}{name}.weight") for name in ("img_in", "final_layer.linear"))
            return _build_flux(tensors, "ldm", prefix, wide, out, f"{prefix}guidance_in.")
    for prefix in ("", "transformer."):
        if f"{prefix}single_transformer_blocks.0.proj_mlp.weight" in tensors:
            wide, out = (tensors.get(f"{prefix}{name}.weight") for name in ("x_embedder", "proj_out"))
            return _build_flux(tensors, "diffusers", prefix, wide, out, f"{prefix}time_text_embed.guidance_embedder.")
    return None


def _build_flux(
    tensors: Mapping[str, Tensor], layout: Literal["ldm", "diffusers"], prefix: str, wide: Tensor | None, out: Tensor | None, guidance: str
) -> ModelFile:
    channels = out.shape[0] if out else 0
    if wide is None or len(wide.shape) != 2 or wide.shape[1] != channels:
        return ModelFile("other", other="a Flux that takes further pictures (Fill, Canny, Depth or the like)")
    return ModelFile(
        "denoiser",
        "flux",
        layout,
        frozenset({"transformer"}),
        prefix,
        numbers=_count(tensors, lambda n: n.startswith(prefix) if prefix else _is_flux_part(n)),
        latent_channels=channels // 4,
        guided=any(n.startswith(guidance) for n in tensors),
    )


def _is_flux_part(name: str) -> bool:
    return not name.startswith(("vae.", "text_encoders.", "first_stage_model.", "model_ema."))


def _tell_unet(tensors: Mapping[str, Tensor]) -> ModelFile | None:
    for layout, prefix, first, last in _UNET_NAMES:
        into, out = tensors.get(f"{prefix}{first}.weight"), tensors.get(f"{prefix}{last}.weight")
        if into and out and len(into.shape) == len(out.shape) == 4:
            return _build_unet(tensors, layout, prefix, into.shape[1], out.shape[0])
    return None


def _build_unet(tensors: Mapping[str, Tensor], layout: Literal["ldm", "diffusers"], prefix: str, into: int, channels: int) -> ModelFile:
    def own(name: str) -> bool:
        return name.startswith(prefix) if prefix else not name.startswith(_NO_UNET)

    parts = _list_parts(tensors)
    family = _tell_unet_family(tensors, parts, prefix)
    if into not in (channels, 2 * channels):
        return ModelFile(
            "other", other=f"an {family} for inpainting" if into == 2 * channels + 1 else f"an {family} with {into} input channels"
        )
    if "edm_mean" in tensors:
        return ModelFile("other", other="a Playground 2.5; give its folder or playgroundai/playground-v2.5-1024px-aesthetic")
    key = {name: key for key, name in FAMILY_NAMES.items()}.get(family)
    if key is None:
        return ModelFile("other", other=f"an {family} model")
    return ModelFile(
        "checkpoint" if parts & {"text_encoder", "text_encoder_2", "vae"} else "denoiser",
        key,
        layout,
        parts | {"unet"},
        prefix,
        numbers=_count(tensors, own),
        latent_channels=channels,
        edits=into == 2 * channels,
        prediction_type="v_prediction" if "v_pred" in tensors else "",
        zero_snr="ztsnr" in tensors,
    )


def _tell_unet_family(tensors: Mapping[str, Tensor], parts: frozenset[str], prefix: str) -> str:
    """By its text encoders where they are inside, else by what the UNet is told and by the width of its texts."""
    widths = [t.shape[1] for n, t in tensors.items() if n.startswith(prefix) and n.endswith("attn2.to_k.weight") and len(t.shape) == 2]
    width = widths[0] if widths else 0
    if any(n.startswith((f"{prefix}label_emb.0.", f"{prefix}add_embedding.")) for n in tensors):
        if {"text_encoder", "text_encoder_2"} <= parts:
            return "SDXL"
        if width == 1024:
            return "SD 2 with further conditions"
        return "SDXL refiner" if "text_encoder_2" in parts or width == 1280 else "SDXL"
    if "open_clip" in parts or width == 1024:
        return "SD 2"
    return "SD 1.5"


def _list_parts(tensors: Mapping[str, Tensor]) -> frozenset[str]:
    return frozenset(part for part, marks in _PARTS.items() if any(mark in tensors for mark in marks))


def _tell_vae(tensors: Mapping[str, Tensor]) -> ModelFile | None:
    for prefix in ("", "first_stage_model.", "vae."):
        for layout, encoder in (("ldm", "encoder.down.0.block.0.conv1"), ("diffusers", "encoder.down_blocks.0.resnets.0.conv1")):
            latents = tensors.get(f"{prefix}decoder.conv_in.weight")
            if f"{prefix}{encoder}.weight" in tensors and latents and len(latents.shape) == 4:
                return ModelFile("vae", "", layout, frozenset({"vae"}), prefix, latent_channels=latents.shape[1])  # type: ignore[arg-type]
    return None


def _tell_rest(tensors: Mapping[str, Tensor]) -> ModelFile | None:
    """Files that people have lying beside their models."""
    if any(n.removeprefix("text_model.").startswith(("encoder.layers.0.self_attn", "embeddings.token_embedding")) for n in tensors):
        return ModelFile("other", other="a CLIP text encoder")
    if any(n.startswith(("encoder.block.0.layer.0.SelfAttention", "shared.weight")) for n in tensors):
        return ModelFile("other", other="a T5 text encoder")
    if tensors.keys() & {"emb_params", "clip_l", "clip_g", "<concept>"} and len(tensors) <= 4:
        return ModelFile("other", other="a textual inversion")
    return None


def _count(tensors: Mapping[str, Tensor], belongs: Callable[[str], bool]) -> int:
    return sum(math.prod(t.shape) for n, t in tensors.items() if belongs(n))


_UNET_NAMES: tuple[tuple[Literal["ldm", "diffusers"], str, str, str], ...] = (
    ("ldm", _UNET, "input_blocks.0.0", "out.2"),
    ("ldm", "", "input_blocks.0.0", "out.2"),
    ("diffusers", "", "conv_in", "conv_out"),
    ("diffusers", "unet.", "conv_in", "conv_out"),
)
_NO_UNET = ("first_stage_model.", "cond_stage_model.", "conditioner.", "model_ema.")
_PARTS: dict[str, tuple[str, ...]] = {
    "vae": ("first_stage_model.decoder.conv_in.weight", "vae.decoder.conv_in.weight"),
    "text_encoder": (
        "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight",
        "conditioner.embedders.0.transformer.text_model.embeddings.position_embedding.weight",
    ),
    "text_encoder_2": ("conditioner.embedders.1.model.positional_embedding", "conditioner.embedders.0.model.positional_embedding"),
    "open_clip": ("cond_stage_model.model.positional_embedding",),
}
_STRANGERS = {
    "control_model.": "a ControlNet",
    "controlnet_": "a ControlNet",
    "distilled_guidance_layer.": "a Chroma model",
    "double_stream_modulation_img.": "a Flux 2 model",
    "joint_blocks.": "an SD 3 model",
    "down_blocks.0.motion_modules.": "a motion module",
    "cap_embedder.": "a Lumina or Z-Image model",
    "head.modulation": "a Wan model",
    "patchify_proj.": "an LTX model",
}
_READERS = (_tell_adapter, _tell_packed, _tell_stranger, _tell_flux, _tell_unet, _tell_vae, _tell_rest)

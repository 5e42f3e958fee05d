"""What a LoRA is made of."""

from __future__ import annotations

from typing import Any, Literal

from backends.contract.config import Config, setting

LoraLayers = Literal["attention", "attention+ff", "everything"]
_UNET_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_UNET_FF = ("proj_in", "proj_out", "ff.net.0.proj", "ff.net.2")
_FLUX_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
_FLUX_FF = ("ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2", "proj_mlp", "proj_out")
# Names of modules end so; a family's base model has them all.
UNET_LORA_LAYERS: dict[str, tuple[str, ...]] = {
    "attention": _UNET_ATTENTION,
    "attention+ff": (*_UNET_ATTENTION, *_UNET_FF),
    "everything": (*_UNET_ATTENTION, *_UNET_FF, "conv1", "conv2", "conv_shortcut"),
}
FLUX_LORA_LAYERS: dict[str, tuple[str, ...]] = {
    "attention": _FLUX_ATTENTION,
    "attention+ff": (*_FLUX_ATTENTION, *_FLUX_FF),
    "everything": (*_FLUX_ATTENTION, *_FLUX_FF, "norm.linear", "norm1.linear", "norm1_context.linear"),
}


class LoraSettings(Config):
    """Settings of a run that trains a LoRA beside a frozen base model."""

    rank: int = setting(
        4, "LoRA rank", "1 to 256. Higher learns more detail and makes a larger file.", group="main", widget="slider", place=2, ge=1, le=256
    )
    alpha: float | None = setting(
        None, "LoRA alpha", "0.01 to 1,024, or empty for the rank. Strength is alpha over rank.", group="lora", ge=0.01, le=1024
    )
    lora_layers: LoraLayers = setting(
        "attention", "Trained layers", "One of three. More layers learn more and make a larger file.", group="lora", widget="choice"
    )
    lora_variant: Literal["lora", "dora", "rslora", "loha", "lokr"] = setting(
        "lora",
        "Kind of LoRA",
        "One of five. dora learns more and is slower; rslora suits high ranks; loha and lokr make small files.",
        group="lora",
        widget="choice",
    )
    lora_dropout: float = setting(
        0.0, "LoRA dropout", "0 to 0.9. Switches parts off at random, against copying.", group="lora", ge=0, le=0.9
    )
    train_text_encoder: bool = setting(
        False, "Train the text encoders", "On or off. Learns new words better; needs more memory.", group="lora", widget="switch"
    )
    text_encoder_lr: float | None = setting(
        None, "Text encoders’ learning rate", "1e-8 to 1, or empty for the same as the rest.", group="lora", ge=1e-8, le=1.0
    )
    quantize_base: Literal["none", "int8", "float8", "nf4"] = setting(
        "none",
        "Store the base model small",
        "One of four. int8, float8: half the memory; nf4 (GPU, bitsandbytes): a quarter. Each costs a little time and detail.",
        group="memory",
        widget="choice",
    )

    @property
    def lora_alpha(self) -> float:
        """Alpha with its default, the rank."""
        return float(self.rank if self.alpha is None else self.alpha)


def trains_lora(config: Any) -> bool:
    """Whether a LoRA is trained, and not all weights of what predicts."""
    return isinstance(config, LoraSettings)

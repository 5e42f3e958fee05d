"""What a family of base models must offer; the loop, the cache and the methods know nothing else of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from PIL.Image import Image

from backends.contract.base_models import WITH
from backends.contract.buckets import Placement

Conditions = dict[str, torch.Tensor]
"""What the model is told beside the noisy latents, by name; the first axis is the batch."""


EXTRA_CHANNELS = "extra_channels"
"""The condition that stands beside the noisy latents as further channels, (B, C, h, w): the picture that is edited."""


@dataclass(frozen=True)
class NoiseOptions:
    """What the settings say about noise while training; each family reads its own. Names are those of the settings."""

    prediction_type: str | None = None
    snr_gamma: float | None = None
    noise_offset: float = 0.0
    do_edm_style_training: bool = False
    weighting_scheme: str = "none"
    logit_mean: float = 0.0
    logit_std: float = 1.0
    mode_scale: float = 1.29


@dataclass(frozen=True)
class LoadOptions:
    """Where and how a base model is loaded.

    `source` is a folder, a hub id or one .safetensors file, as `parse_source` reads it; `dtype` that of the frozen weights (the VAE
    stays float32 unless another one is given that computes in less). `trains_denoiser` loads the denoiser in float32, because its
    own weights will be trained; `edits` allows a base that edits pictures already. `denoiser_revision` is that of the denoiser alone,
    where it is another one of the hub's.
    `quantize` is none, int8, float8 or nf4. `guidance_scale` and `max_sequence_length` are told to those models that know them.
    """

    source: str
    device: torch.device
    dtype: torch.dtype
    vae_source: str | None = None
    revision: str | None = None
    variant: str | None = None
    cache_dir: str | None = None
    denoiser_revision: str | None = None
    noise: NoiseOptions = NoiseOptions()
    trains_denoiser: bool = False
    edits: bool = False
    quantize: str = "none"
    guidance_scale: float = 1.0
    max_sequence_length: int = 512


@dataclass(frozen=True)
class SampleRequest:
    """One batch of pictures of one size: a row of `conditions` and of `negative` and one seed a picture.

    `inputs` are the pictures to be edited, one a row, or empty; `image_guidance_scale` says how closely they are kept. `dtype` is what
    is computed in, by default that of the frozen weights.
    """

    conditions: Conditions
    negative: Conditions
    seeds: Sequence[int]
    width: int
    height: int
    steps: int
    guidance_scale: float
    is_cancelled: Callable[[], bool]
    inputs: Sequence[Image] = ()
    image_guidance_scale: float = 1.5
    dtype: torch.dtype | None = None


class NoiseSchedule(Protocol):
    """The training side of a noise schedule: pure functions of latents, noise and timesteps."""

    num_timesteps: int
    prediction_type: str

    def draw_timesteps(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Timesteps of one batch, shape (count,)."""

    def draw_noise(self, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Noise for latents of this shape."""

    def fixed_timesteps(self, levels: int) -> list[float]:
        """Evenly spread timesteps for the held-out loss."""

    def add_noise(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """What the model is given, of the same shape."""

    def compute_target(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """What the model should give back."""

    def compute_weights(self, timesteps: torch.Tensor) -> torch.Tensor | None:
        """Weight of each sample's loss, shape (B,), or None for 1."""


class Family(Protocol):
    """One loaded base model."""

    name: str
    schedule: NoiseSchedule
    quantized: bool

    def wake(self) -> None:
        """Brings what predicts to its device; until then only encoding works."""

    def adapter_targets(self, layers: str, *, text_encoders: bool) -> dict[str, tuple[torch.nn.Module, Any]]:
        """Component name -> (module, target modules of its LoRA); `layers` is a choice of the settings."""

    def denoiser(self) -> tuple[str, torch.nn.Module]:
        """Component name and module of what predicts: the UNet or the transformer."""

    def widen_input(self) -> None:
        """Makes room for `EXTRA_CHANNELS`: as many input channels again, whose weights are 0.

        Raises:
            DarkroomError: When this family has no such training.
        """

    def picture_identity(self) -> str:
        """Changes whenever encoded pictures would."""

    def prompt_identity(self) -> str:
        """Changes whenever encoded prompts would."""

    def encode_pictures(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation of the latents' distribution, unscaled float32, from pixels (B, 3, H, W) in -1..1."""

    def scale_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """The VAE's latents brought to the scale that the model knows."""

    def tokenize(self, texts: Sequence[str]) -> Conditions:
        """Token ids, for when the text encoders are trained."""

    def encode_prompts(self, texts: Sequence[str]) -> Conditions:
        """Embeddings of the prompts; an empty text gives what the base model knows as no caption."""

    def picture_conditions(self, width: int, height: int, placement: Placement, flipped: bool) -> Conditions:
        """What the model is told about one picture's size and cut, without the batch axis."""

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        """The model's prediction; conditions hold embeddings or, with trained text encoders, token ids."""

    def free_encoders(self) -> None:
        """Gives back the memory of what encodes prompts and pictures; sampling from embeddings still works."""

    def sample(self, request: SampleRequest) -> list[Image]:
        """Pictures with the weights as they are now."""

    def metadata(self) -> dict[str, str]:
        """What other programs read in a file's header about its base model; the architecture without what was trained."""

    def save_gradients_memory(self) -> None:
        """Computes parts of the forward pass twice instead of keeping them."""

    def use_xformers(self) -> str:
        """Switches xFormers attention on; the reason why it could not, or an empty text."""

    def use_npu(self) -> str:
        """The same for the flash attention of Ascend NPUs."""


class Drawing(Protocol):
    """The drawing side of a loaded base model; the generating worker knows nothing else of its family."""

    denoiser_name: ClassVar[str]
    samplers: ClassVar[dict[str, Any]]
    vae: Any
    quantized: bool

    @property
    def pipeline(self) -> Any:
        """The pipeline of diffusers that draws from words."""

    @property
    def adapted(self) -> tuple[str, ...]:
        """The components that a LoRA of this family may change."""

    def denoiser(self) -> tuple[str, Any]:
        """Component name and module of what predicts."""

    def widen_input(self) -> None:
        """As in `Family`."""

    def build_editor(self) -> Any:
        """The pipeline that edits pictures, over the same modules.

        Raises:
            DarkroomError: When this family has none.
        """

    def encode_words(self, prompt: str, negative: str, guidance_scale: float) -> Conditions:
        """What the pipelines are told of one prompt, under their own names; the first axis is 1."""

    def guide(self, guidance_scale: float) -> dict[str, float]:
        """How strongly the words are followed, under the pipelines' name."""

    def start_latents(self, seeds: Sequence[int], *, width: int, height: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """The noise that the pipelines start from, each picture's of its own seed."""

    def reading(self) -> tuple[Any, int]:
        """The tokenizer whose limit a prompt meets first, and how many tokens of a person's are read."""


def name_of_source(source: str) -> str:
    """A source without its folders, fit for a file that is passed on."""
    return WITH.join(Path(part).name if Path(part).is_absolute() else part for part in source.split(WITH))

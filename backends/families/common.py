"""What all families share: a diffusers pipeline, loaded once, frozen, with its VAE and its sampling."""

from __future__ import annotations

import gc
import importlib.util
import inspect
from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from backends.families.loading import check_latents, compute_identity, load_pipeline
from backends.families.protocol import Conditions, LoadOptions, SampleRequest
from backends.families.samplers import Sampler

ENCODER_MARGIN = 1.15  # of the encoders' weights: their activations


class LoadedPipeline:
    """One loaded base model; a family adds how it reads prompts and predicts.

    `kind` is its pipeline's class, `encoders` the names of what reads prompts, `denoiser_name` of what predicts.
    """

    kind: ClassVar[Any]
    encoders: ClassVar[tuple[str, ...]]
    denoiser_name: ClassVar[str]
    samplers: ClassVar[dict[str, Sampler]]
    draw_dtype: ClassVar[torch.dtype] = torch.float16

    def __init__(self, pipeline: Any, options: LoadOptions) -> None:
        self._pipeline, self._options = pipeline, options
        pipeline.set_progress_bar_config(disable=True)
        self.vae = pipeline.vae
        self.quantized = options.quantize != "none"
        for name in (self.denoiser_name, "vae", *self.encoders):
            getattr(pipeline, name).requires_grad_(False).eval()
        self.vae.to(options.device)
        # What predicts waits outside the GPU until `wake`, so that it and the text encoders need not find room there together.
        self.encoder_device = self._find_room(options.device)
        for name in self.encoders:
            getattr(pipeline, name).to(self.encoder_device)

    @classmethod
    def load(cls, options: LoadOptions) -> Any:
        """The base model on its device, frozen.

        Raises:
            DarkroomError: When it is not on this machine and cannot be fetched, is gated, or is of another family.
        """
        return cls(load_pipeline(cls.kind, options, denoiser=cls.denoiser_name, vae_dtype=torch.float32), options)

    def wake(self) -> None:
        """Brings what predicts to its device; called when the encoders have done their work, or must stay beside it."""
        self.denoiser()[1].to(self._options.device)

    def move_encoders(self, device: torch.device) -> None:
        """Lets the text encoders compute elsewhere; what they give still comes to the model's own device."""
        for name in self.encoders:
            getattr(self._pipeline, name).to(device)
        self.encoder_device = device

    def _find_room(self, device: torch.device) -> torch.device:
        """Where the text encoders compute: on the GPU where they find room beside what is there already, else on the CPU."""
        if device.type != "cuda":
            return device
        parameters = [p for name in self.encoders for p in getattr(self._pipeline, name).parameters()]
        need, (free, _) = sum(p.numel() * p.element_size() for p in parameters), torch.cuda.mem_get_info(device)
        return device if need * ENCODER_MARGIN <= free else torch.device("cpu")

    @property
    def pipeline(self) -> Any:
        """The pipeline of diffusers, for drawing."""
        return self._pipeline

    @property
    def adapted(self) -> tuple[str, ...]:
        """The components that a LoRA of this family may change."""
        return (self.denoiser_name, *self.encoders)

    def denoiser(self) -> tuple[str, torch.nn.Module]:
        """Component name and module of what predicts."""
        return self.denoiser_name, getattr(self._pipeline, self.denoiser_name)

    def picture_identity(self) -> str:
        """Fingerprint of the VAE's weights and settings."""
        return compute_identity(self.vae)

    @torch.no_grad()
    def encode_pictures(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation of the VAE's posterior."""
        posterior = self.vae.encode(pixels.to(self._options.device, self.vae.dtype)).latent_dist
        check_latents(posterior.mean, self.vae)
        return posterior.mean.float(), posterior.std.float()

    def embed_on_encoders(self, texts: Sequence[str]) -> Conditions:
        """Embeddings, computed where the encoders are and brought to the device."""
        tokens = {name: ids.to(self.encoder_device) for name, ids in self.tokenize(texts).items()}
        return {name: tensor.to(self._options.device) for name, tensor in self._embed(tokens).items()}

    def tokenize(self, texts: Sequence[str]) -> Conditions:
        """Token ids; a family knows its tokenizers."""
        raise NotImplementedError

    def _embed(self, tokens: Conditions) -> Conditions:
        raise NotImplementedError

    def free_encoders(self) -> None:
        """Drops what reads prompts; the VAE stays, because sampling decodes with it."""
        for name in self.encoders:
            setattr(self._pipeline, name, None)
        gc.collect()
        if self._options.device.type == "cuda":
            torch.cuda.empty_cache()

    def save_gradients_memory(self) -> None:
        """Gradient checkpointing in what predicts and in the text encoders."""
        module: Any = self.denoiser()[1]
        module.enable_gradient_checkpointing()
        for name in self.encoders:
            getattr(self._pipeline, name).gradient_checkpointing_enable()

    def use_xformers(self) -> str:
        """Switches the denoiser to xFormers; the reason why not, or an empty text."""
        return self._switch_attention("enable_xformers_memory_efficient_attention")

    def use_npu(self) -> str:
        """Switches the denoiser to the flash attention of NPUs; the reason why not, or an empty text."""
        if importlib.util.find_spec("torch_npu") is None:
            return "torch_npu is not installed."
        return self._switch_attention("enable_npu_flash_attention")

    def _switch_attention(self, method: str) -> str:
        try:
            getattr(self.denoiser()[1], method)()
        except (ImportError, ModuleNotFoundError, ValueError, NotImplementedError, RuntimeError) as error:
            return str(error).splitlines()[0]
        return ""

    def draw_start(self, seeds: Sequence[int], *, width: int, height: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """The noise that each picture starts from: of its own seed, so that its neighbours change nothing."""
        shrink = int(self._pipeline.vae_scale_factor)
        shape = (1, self.vae.config.latent_channels, height // shrink, width // shrink)
        noise = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return torch.cat(noise).to(self._options.device, dtype or self._options.dtype)

    def run_pipeline(self, pipeline: Any, request: SampleRequest, **arguments: Any) -> list[Any]:
        """Pictures by a pipeline; none where somebody asked for an end meanwhile."""

        def leave_if_cancelled(*_step: Any) -> dict[str, Any]:
            if request.is_cancelled():
                raise _Cancelled
            return {}

        arguments[find_callback(pipeline)] = leave_if_cancelled
        arguments |= tell_size(pipeline, request.width, request.height)
        dtype = request.dtype or self._options.dtype
        try:
            with torch.no_grad(), torch.autocast(self._options.device.type, dtype=dtype, enabled=dtype != torch.float32):
                return pipeline(num_inference_steps=request.steps, **arguments).images
        except _Cancelled:
            return []


class _Cancelled(Exception):
    """Somebody asked for an end between two steps; the pipelines for edits know no other way out."""


def tell_size(pipeline: Any, width: int, height: int) -> dict[str, int]:
    """The size under the pipeline's names; the one for edits with SD 1.5 takes it from the picture and knows none."""
    known = inspect.signature(pipeline.__call__).parameters
    return {name: side for name, side in (("width", width), ("height", height)) if name in known}


def find_callback(pipeline: Any) -> str:
    """What a pipeline calls the function that it tells of each step; the one for edits with SDXL knows diffusers' older name only."""
    return "callback_on_step_end" if "callback_on_step_end" in inspect.signature(pipeline.__call__).parameters else "callback"


def read_token_ids(tokenizer: Any, texts: Sequence[str], *, length: int | None = None) -> torch.Tensor:
    """Token ids (B, length), cut and padded to what the encoder reads."""
    padded = tokenizer(
        list(texts), padding="max_length", max_length=length or tokenizer.model_max_length, truncation=True, return_tensors="pt"
    )
    return padded.input_ids


def quiet(pipeline: Any) -> Any:
    """The pipeline without its progress bar: the log is a file."""
    pipeline.set_progress_bar_config(disable=True)
    return pipeline

"""What the families with a UNet share: the discrete noise schedule, room for a second picture, sampling of edits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from diffusers import DDPMScheduler, EDMEulerScheduler
from PIL.Image import Image

from backends.contract.base_models import FIELD
from backends.contract.errors import DarkroomError
from backends.contract.settings.lora import UNET_LORA_LAYERS
from backends.families.common import LoadedPipeline, tell_size
from backends.families.noise import DiscreteSchedule, EdmSchedule
from backends.families.protocol import EXTRA_CHANNELS, Conditions, LoadOptions, NoiseSchedule, SampleRequest
from backends.families.samplers import DISCRETE

TEXT_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj")


class UnetFamily(LoadedPipeline):
    """A base model whose UNet predicts; `edit_kind` is the class of the pipeline that edits pictures, `embedding_names` what its
    pipelines call the embeddings, in the order in which they make them.
    """

    denoiser_name = "unet"
    samplers = DISCRETE
    edit_kind: ClassVar[Any]
    embedding_names: ClassVar[tuple[str, ...]]

    def __init__(self, pipeline: Any, options: LoadOptions) -> None:
        super().__init__(pipeline, options)
        self.unet = pipeline.unet
        self.schedule: NoiseSchedule = build_schedule(pipeline.scheduler, options)

    def adapter_targets(self, layers: str, *, text_encoders: bool) -> dict[str, tuple[torch.nn.Module, Any]]:
        """LoRA on the UNet and, where asked, on the attention of the text encoders."""
        targets: dict[str, tuple[torch.nn.Module, Any]] = {"unet": (self.unet, list(UNET_LORA_LAYERS[layers]))}
        return targets | self.text_targets() if text_encoders else targets

    def text_targets(self) -> dict[str, tuple[torch.nn.Module, Any]]:
        """Component name -> (text encoder, target modules)."""
        raise NotImplementedError

    def scale_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """By the VAE's factor; around its own mean and deviation where it has them, as Playground 2.5's."""
        config = self.vae.config
        mean, deviation = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
        if mean is None or deviation is None:
            return latents * config.scaling_factor
        wide = [torch.tensor(v, device=latents.device).view(1, -1, 1, 1) for v in (mean, deviation)]
        return (latents - wide[0]) * config.scaling_factor / wide[1]

    def widen_input(self) -> None:
        """Twice the input channels of the first convolution, the new half 0 (arXiv 2211.09800, section 3.2)."""
        old = self.unet.conv_in
        if old.in_channels != self.unet.config.out_channels:
            return  # a base that edits already
        new: Any = torch.nn.Conv2d(old.in_channels * 2, old.out_channels, old.kernel_size, old.stride, old.padding)
        new = new.to(old.weight.device, old.weight.dtype)
        with torch.no_grad():
            new.weight.zero_()
            new.weight[:, : old.in_channels].copy_(old.weight)
            new.bias.copy_(old.bias)
        self.unet.conv_in = new.requires_grad_(False)
        self.unet.register_to_config(in_channels=new.in_channels)

    def join_input(self, noisy: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        """The noisy latents in the UNet's type, with the picture that is edited beside them."""
        if EXTRA_CHANNELS in conditions:
            noisy = torch.cat([noisy, conditions[EXTRA_CHANNELS].to(noisy.dtype)], dim=1)
        return noisy.to(self._options.dtype)

    def sample_with(self, request: SampleRequest, **embeddings: Any) -> list[Image]:
        """Pictures by the base model's own sampler, from embeddings under the pipeline's names."""
        latents = self.start_latents(request.seeds, width=request.width, height=request.height, dtype=request.dtype)
        arguments = {**embeddings, "latents": latents, "guidance_scale": request.guidance_scale}
        if not request.inputs:
            return self.run_pipeline(self._pipeline, request, **arguments)
        editor = self.build_editor()
        size = (request.width, request.height)
        pictures = [picture if picture.size == size else picture.resize(size) for picture in request.inputs]
        arguments |= {"image": pictures, "image_guidance_scale": request.image_guidance_scale, **tell_size(editor, *size)}
        return self.run_pipeline(editor, request, **arguments)

    def build_editor(self) -> Any:
        """The pipeline that edits, over the same modules."""
        raise NotImplementedError

    def encode_words(self, prompt: str, negative: str, guidance_scale: float) -> Conditions:
        """What the pipelines are told of one prompt, under their names; without guidance nothing of what to leave out."""
        guided = guidance_scale > 1
        found = self._pipeline.encode_prompt(
            prompt=prompt,
            device=self.encoder_device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=guided,
            negative_prompt=negative or None,
        )
        return {name: e.to(self._options.device) for name, e in zip(self.embedding_names, found, strict=True) if e is not None}

    def guide(self, guidance_scale: float) -> dict[str, float]:
        """How strongly the words are followed, under the pipelines' name."""
        return {"guidance_scale": guidance_scale}

    def start_latents(self, seeds: Sequence[int], *, width: int, height: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """The noise that the pipelines start from."""
        return self.draw_start(seeds, width=width, height=height, dtype=dtype)

    def reading(self) -> tuple[Any, int]:
        """The tokenizer whose limit a prompt meets first, and how many tokens of a person's are read."""
        return self._pipeline.tokenizer, self._pipeline.tokenizer.model_max_length - 2


def build_schedule(scheduler: Any, options: LoadOptions) -> NoiseSchedule:
    """The training side of a base model's noise schedule; what the settings say it predicts, its sampler is told too.

    Raises:
        DarkroomError: When the base predicts something else, or was trained by EDM and the settings are for discrete noise levels.
    """
    asked = options.noise.prediction_type
    if asked:
        scheduler.register_to_config(prediction_type=asked)
    predicts = getattr(scheduler.config, "prediction_type", None)
    if predicts not in ("epsilon", "v_prediction"):
        raise DarkroomError(
            f"The base model predicts {predicts or 'nothing that its scheduler names'}; this training knows epsilon and v_prediction. "
            "Choose another base model, or say what it predicts.",
            field=FIELD,
        )
    if isinstance(scheduler, EDMEulerScheduler):
        _check_edm(options)
        sigmas = scheduler.sigmas[: scheduler.config.num_train_timesteps]
        return EdmSchedule(sigmas, sigma_data=scheduler.config.sigma_data, prediction_type=predicts, device=options.device)
    table = DDPMScheduler.from_config(scheduler.config).alphas_cumprod
    return DiscreteSchedule(table, prediction_type=predicts, device=options.device, options=options.noise)


def _check_edm(options: LoadOptions) -> None:
    for field, title in {"snr_gamma": "Min-SNR gamma", "noise_offset": "Noise offset"}.items():
        if getattr(options.noise, field):
            raise DarkroomError(
                f"{title} is {getattr(options.noise, field):g}, and the base model was trained by EDM, which weighs its own noise levels. "
                f"Switch {title} off, or choose another base model.",
                field=field,
            )

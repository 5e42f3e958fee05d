"""SD 1.5: one CLIP text encoder, read at its end; a UNet; a VAE with four (Pocket: eight) channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import StableDiffusionInstructPix2PixPipeline, StableDiffusionPipeline
from PIL.Image import Image

from backends.contract.buckets import Placement
from backends.families.common import quiet, read_token_ids
from backends.families.loading import compute_identity
from backends.families.protocol import Conditions, SampleRequest, name_of_source
from backends.families.unet import TEXT_LAYERS, UnetFamily

EMBEDDING, TOKENS = "prompt_embeds", "input_ids"


class Sd15(UnetFamily):
    """One loaded SD-1.5-shaped base model."""

    name = "sd15"
    kind = StableDiffusionPipeline
    edit_kind = StableDiffusionInstructPix2PixPipeline
    encoders = ("text_encoder",)
    embedding_names = ("prompt_embeds", "negative_prompt_embeds")

    def text_targets(self) -> dict[str, tuple[torch.nn.Module, Any]]:
        """The attention of all layers: the last one is read."""
        return {"text_encoder": (self._pipeline.text_encoder, list(TEXT_LAYERS))}

    def prompt_identity(self) -> str:
        """Fingerprint of the text encoder."""
        return compute_identity(self._pipeline.text_encoder, extra=str(self._pipeline.tokenizer.vocab_size))

    def tokenize(self, texts: Sequence[str]) -> Conditions:
        """Token ids, cut and padded to what the encoder reads."""
        return {TOKENS: read_token_ids(self._pipeline.tokenizer, texts)}

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditions:
        """Embeddings (B, tokens, width)."""
        return self.embed_on_encoders(texts)

    def picture_conditions(self, width: int, height: int, placement: Placement, flipped: bool) -> Conditions:
        """Nothing: this model knows of no sizes."""
        return {}

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        """The UNet's prediction."""
        if TOKENS in conditions:
            conditions = {**conditions, **self._embed(conditions)}
        return self.unet(self.join_input(noisy, conditions), timesteps, conditions[EMBEDDING], return_dict=False)[0]

    def sample(self, request: SampleRequest) -> list[Image]:
        """Pictures by the base model's own sampler."""
        return self.sample_with(request, prompt_embeds=request.conditions[EMBEDDING], negative_prompt_embeds=request.negative[EMBEDDING])

    def build_editor(self) -> Any:
        """InstructPix2Pix over the same modules."""
        p = self._pipeline
        return quiet(
            self.edit_kind(
                p.vae,
                p.text_encoder,
                p.tokenizer,
                p.unet,
                p.scheduler,
                safety_checker=None,
                feature_extractor=None,
                requires_safety_checker=False,
            )  # fmt: skip
        )

    def metadata(self) -> dict[str, str]:
        """Keys that A1111, ComfyUI and the model spec (v1.0.1) read."""
        return {
            "ss_base_model_version": "sd_v1",
            "ss_sd_model_name": name_of_source(self._options.source),
            "ss_v2": "False",
            "modelspec.architecture": "stable-diffusion-v1",
            "modelspec.implementation": "diffusers",
            "modelspec.prediction_type": "v" if self.schedule.prediction_type == "v_prediction" else "epsilon",
        }

    def _embed(self, tokens: Conditions) -> Conditions:
        return {EMBEDDING: self._pipeline.text_encoder(tokens[TOKENS])[0].to(self._options.dtype)}

"""SDXL: two CLIP text encoders, a UNet that is told sizes and cuts, a VAE with four (Pocket: eight) channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import StableDiffusionXLInstructPix2PixPipeline, StableDiffusionXLPipeline
from PIL.Image import Image

from backends.contract.buckets import Placement
from backends.families.common import quiet, read_token_ids
from backends.families.loading import compute_identity
from backends.families.protocol import Conditions, LoadOptions, SampleRequest, name_of_source
from backends.families.unet import TEXT_LAYERS, UnetFamily

EMBEDDING, POOLED, TOKENS, TOKENS_2, TIME_IDS = "prompt_embeds", "pooled_prompt_embeds", "input_ids", "input_ids_2", "time_ids"


class Sdxl(UnetFamily):
    """One loaded SDXL-shaped base model."""

    name = "sdxl"
    kind = StableDiffusionXLPipeline
    edit_kind = StableDiffusionXLInstructPix2PixPipeline
    encoders = ("text_encoder", "text_encoder_2")
    embedding_names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")

    def __init__(self, pipeline: Any, options: LoadOptions) -> None:
        super().__init__(pipeline, options)
        self._no_words = read_token_ids(pipeline.tokenizer, [""])

    def text_targets(self) -> dict[str, tuple[torch.nn.Module, Any]]:
        """The attention of both text encoders.

        The first encoder's last layer is left out: SDXL reads the layer before it, so it would never get a gradient.
        """
        first, second = self._pipeline.text_encoder, self._pipeline.text_encoder_2
        numbers = "|".join(str(i) for i in range(first.config.num_hidden_layers - 1))
        read = rf".*layers\.({numbers})\.self_attn\.({'|'.join(TEXT_LAYERS)})"
        return {"text_encoder": (first, read), "text_encoder_2": (second, list(TEXT_LAYERS))}

    def prompt_identity(self) -> str:
        """Fingerprint of both text encoders and of what an empty caption means."""
        p = self._pipeline
        return compute_identity(p.text_encoder, p.text_encoder_2, extra=f"{p.tokenizer.vocab_size} {p.config.force_zeros_for_empty_prompt}")

    def tokenize(self, texts: Sequence[str]) -> Conditions:
        """Token ids for both encoders, cut and padded to their length."""
        return {TOKENS: read_token_ids(self._pipeline.tokenizer, texts), TOKENS_2: read_token_ids(self._pipeline.tokenizer_2, texts)}

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditions:
        """Embeddings (B, tokens, width) and pooled embeddings (B, width)."""
        return self.embed_on_encoders(texts)

    def picture_conditions(self, width: int, height: int, placement: Placement, flipped: bool) -> Conditions:
        """SDXL's micro-conditioning (arXiv 2307.01952, section 2.2): original size, cut, target size, as (y, x)."""
        bucket = placement.bucket
        left = placement.scaled_width - bucket.width - placement.left if flipped else placement.left
        return {TIME_IDS: torch.tensor([height, width, placement.top, left, bucket.height, bucket.width], dtype=torch.float32)}

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        """The UNet's prediction."""
        if TOKENS in conditions:
            conditions = {**conditions, **self._embed(conditions)}
        added = {"text_embeds": conditions[POOLED], "time_ids": conditions[TIME_IDS]}
        joined = self.join_input(noisy, conditions)
        return self.unet(joined, timesteps, conditions[EMBEDDING], added_cond_kwargs=added, return_dict=False)[0]

    def sample(self, request: SampleRequest) -> list[Image]:
        """Pictures by the base model's own sampler."""
        return self.sample_with(
            request,
            prompt_embeds=request.conditions[EMBEDDING],
            pooled_prompt_embeds=request.conditions[POOLED],
            negative_prompt_embeds=request.negative[EMBEDDING],
            negative_pooled_prompt_embeds=request.negative[POOLED],
        )

    def build_editor(self) -> Any:
        """InstructPix2Pix over the same modules."""
        p = self._pipeline
        zeros = p.config.force_zeros_for_empty_prompt
        return quiet(
            self.edit_kind(
                p.vae,
                p.text_encoder,
                p.text_encoder_2,
                p.tokenizer,
                p.tokenizer_2,
                p.unet,
                p.scheduler,
                force_zeros_for_empty_prompt=zeros,
                add_watermarker=False,
            )  # fmt: skip
        )

    def metadata(self) -> dict[str, str]:
        """Keys that A1111, ComfyUI and the model spec (v1.0.1) read."""
        return {
            "ss_base_model_version": "sdxl_base_v1-0",
            "ss_sd_model_name": name_of_source(self._options.source),
            "ss_v2": "False",
            "modelspec.architecture": "stable-diffusion-xl-v1-base",
            "modelspec.implementation": "diffusers",
            "modelspec.prediction_type": "v" if self.schedule.prediction_type == "v_prediction" else "epsilon",
        }

    def _embed(self, tokens: Conditions) -> Conditions:
        """Second to last hidden states of both encoders side by side, and the second one's pooled output; 0 for no words
        where the base model was trained so.
        """
        first = self._pipeline.text_encoder(tokens[TOKENS], output_hidden_states=True)
        second = self._pipeline.text_encoder_2(tokens[TOKENS_2], output_hidden_states=True)
        dtype = self._options.dtype
        embedding, pooled = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1), second[0]
        if self._pipeline.config.force_zeros_for_empty_prompt:
            empty = (tokens[TOKENS] == self._no_words.to(tokens[TOKENS].device)).all(1)
            embedding, pooled = embedding.masked_fill(empty.view(-1, 1, 1), 0), pooled.masked_fill(empty.view(-1, 1), 0)
        return {EMBEDDING: embedding.to(dtype), POOLED: pooled.to(dtype)}

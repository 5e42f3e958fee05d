"""Flux: T5 for the words, CLIP for their sum, a transformer over patches of 2 x 2 latents; rectified flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import FluxPipeline
from PIL.Image import Image

from backends.contract.buckets import Placement
from backends.contract.errors import DarkroomError
from backends.contract.settings.lora import FLUX_LORA_LAYERS
from backends.families.common import LoadedPipeline, read_token_ids
from backends.families.loading import compute_identity
from backends.families.noise import FlowSchedule
from backends.families.protocol import Conditions, LoadOptions, SampleRequest, name_of_source
from backends.families.samplers import FLOW

EMBEDDING, POOLED, TOKENS, TOKENS_T5 = "prompt_embeds", "pooled_prompt_embeds", "input_ids", "input_ids_t5"
_BLOCKS = r"(transformer_blocks|single_transformer_blocks)\.\d+\."


class Flux(LoadedPipeline):
    """One loaded Flux-shaped base model."""

    name = "flux"
    kind = FluxPipeline
    encoders = ("text_encoder", "text_encoder_2")
    denoiser_name = "transformer"
    samplers = FLOW
    draw_dtype = torch.bfloat16  # T5's activations overflow in float16

    def __init__(self, pipeline: Any, options: LoadOptions) -> None:
        super().__init__(pipeline, options)
        self.transformer = pipeline.transformer
        self.schedule = FlowSchedule(options.noise)
        # a small T5 has learnt shorter texts only, and its padding is read too
        self._words = min(options.max_sequence_length, pipeline.tokenizer_2.model_max_length)

    def adapter_targets(self, layers: str, *, text_encoders: bool) -> dict[str, tuple[torch.nn.Module, Any]]:
        """LoRA inside the transformer's blocks and, where asked, on CLIP's attention; T5 is never trained.

        The names are matched inside the blocks, because the last layer of all is called like one of theirs.
        """
        names = "|".join(name.replace(".", r"\.") for name in FLUX_LORA_LAYERS[layers])
        targets: dict[str, tuple[torch.nn.Module, Any]] = {"transformer": (self.transformer, rf"{_BLOCKS}(attn\.)?({names})")}
        if text_encoders:
            targets["text_encoder"] = (self._pipeline.text_encoder, ["q_proj", "k_proj", "v_proj", "out_proj"])
        return targets

    def widen_input(self) -> None:
        """Refused: nobody trains edits on Flux this way.

        Raises:
            DarkroomError: Always.
        """
        raise DarkroomError("Flux learns edits by Kontext, not by InstructPix2Pix. Choose SD 1.5 or SDXL for edits.")

    def prompt_identity(self) -> str:
        """Fingerprint of both text encoders and of how much T5 reads."""
        p = self._pipeline
        return compute_identity(p.text_encoder, p.text_encoder_2, extra=f"{p.tokenizer.vocab_size} {self._words}")

    def scale_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """Shifted, then scaled, by the VAE's numbers."""
        return (latents - (self.vae.config.shift_factor or 0.0)) * self.vae.config.scaling_factor

    def tokenize(self, texts: Sequence[str]) -> Conditions:
        """Token ids for CLIP and T5."""
        p = self._pipeline
        return {TOKENS: read_token_ids(p.tokenizer, texts), TOKENS_T5: read_token_ids(p.tokenizer_2, texts, length=self._words)}

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditions:
        """T5's states (B, tokens, width) and CLIP's pooled output (B, width)."""
        return self.embed_on_encoders(texts)

    def picture_conditions(self, width: int, height: int, placement: Placement, flipped: bool) -> Conditions:
        """Nothing: this model sees sizes by the places of its patches."""
        return {}

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        """The transformer's velocity, laid out like the latents."""
        if TOKENS in conditions:
            conditions = {**conditions, **self._embed(conditions)}
        count, channels, height, width = noisy.shape
        words = conditions[EMBEDDING]
        guided = self.transformer.config.guidance_embeds
        velocity = self.transformer(
            hidden_states=pack(noisy.to(self._options.dtype)),
            timestep=timesteps / self.schedule.num_timesteps,
            guidance=torch.full((count,), self._options.guidance_scale, device=noisy.device) if guided else None,
            pooled_projections=conditions[POOLED],
            encoder_hidden_states=words,
            txt_ids=torch.zeros(words.shape[1], 3, device=noisy.device),
            img_ids=number_patches(height // 2, width // 2, noisy.device),
            return_dict=False,
        )[0]
        return unpack(velocity, channels, height, width)

    def sample(self, request: SampleRequest) -> list[Image]:
        """Pictures by the base model's own sampler; one that was not distilled for guidance draws with and without the words."""
        embeddings = {"prompt_embeds": request.conditions[EMBEDDING], "pooled_prompt_embeds": request.conditions[POOLED]}
        if not self.transformer.config.guidance_embeds:
            embeddings |= {"negative_prompt_embeds": request.negative[EMBEDDING], "negative_pooled_prompt_embeds": request.negative[POOLED]}
        latents = self.start_latents(request.seeds, width=request.width, height=request.height, dtype=request.dtype)
        arguments = {**embeddings, **self.guide(request.guidance_scale), "latents": latents}
        return self.run_pipeline(self._pipeline, request, **arguments)

    @property
    def adapted(self) -> tuple[str, ...]:
        """The transformer and CLIP; no LoRA changes T5."""
        return (self.denoiser_name, "text_encoder")

    def encode_words(self, prompt: str, negative: str, guidance_scale: float) -> Conditions:
        """What the pipeline is told of one prompt; what to leave out only where the model draws with and without the words."""
        words = self._encode_one(prompt)
        if self.transformer.config.guidance_embeds or guidance_scale <= 1:
            return words
        return words | {f"negative_{name}": embedding for name, embedding in self._encode_one(negative).items()}

    def guide(self, guidance_scale: float) -> dict[str, float]:
        """How strongly the words are followed: a number that the model is told, or the distance between two drawings."""
        return {"guidance_scale" if self.transformer.config.guidance_embeds else "true_cfg_scale": guidance_scale}

    def start_latents(self, seeds: Sequence[int], *, width: int, height: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """The noise that the pipeline starts from, in patches."""
        return pack(self.draw_start(seeds, width=width, height=height, dtype=dtype))

    def reading(self) -> tuple[Any, int]:
        """T5's tokenizer and how many tokens of a person's it reads."""
        return self._pipeline.tokenizer_2, self._words - 1

    def build_editor(self) -> Any:
        """Refused: Flux is not taught edits this way.

        Raises:
            DarkroomError: Always.
        """
        raise DarkroomError("Flux does not edit pictures here. Choose a model of SD 1.5 or SDXL that was trained on edits.", field="image")

    def metadata(self) -> dict[str, str]:
        """Keys that ComfyUI and the model spec (v1.0.1) read."""
        return {
            "ss_base_model_version": "flux1",
            "ss_sd_model_name": name_of_source(self._options.source),
            "modelspec.architecture": "flux-1-dev" if self.transformer.config.guidance_embeds else "flux-1-schnell",
            "modelspec.implementation": "diffusers",
        }

    def _encode_one(self, text: str) -> Conditions:
        words, pooled, _ = self._pipeline.encode_prompt(
            prompt=text, prompt_2=None, device=self.encoder_device, max_sequence_length=self._words
        )
        return {EMBEDDING: words.to(self._options.device), POOLED: pooled.to(self._options.device)}

    def _embed(self, tokens: Conditions) -> Conditions:
        clip = self._pipeline.text_encoder(tokens[TOKENS]).pooler_output
        words = self._pipeline.text_encoder_2(tokens[TOKENS_T5])[0]
        return {EMBEDDING: words.to(self._options.dtype), POOLED: clip.to(self._options.dtype)}


def pack(latents: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) as patches of 2 x 2: (B, h / 2 * w / 2, 4 C)."""
    count, channels, height, width = latents.shape
    patches = latents.view(count, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(count, height // 2 * (width // 2), channels * 4)


def unpack(patches: torch.Tensor, channels: int, height: int, width: int) -> torch.Tensor:
    """The way back from `pack`."""
    grid = patches.view(len(patches), height // 2, width // 2, channels, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return grid.reshape(len(patches), channels, height, width)


def number_patches(rows: int, columns: int, device: torch.device) -> torch.Tensor:
    """Row and column of each patch, (rows * columns, 3); the first number is not used."""
    numbers = torch.zeros(rows, columns, 3, device=device)
    numbers[..., 1] += torch.arange(rows, device=device)[:, None]
    numbers[..., 2] += torch.arange(columns, device=device)[None]
    return numbers.reshape(rows * columns, 3)

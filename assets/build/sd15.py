"""The second family: a UNet and one CLIP text encoder in SD 1.5's layout, on the finished base's VAE and vocabulary.

It does not start from random weights: every tensor that both UNets have is copied from the base's, so that a quarter of
an hour is enough. What the base has and SD 1.5 has not is folded into what is left.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from assets.build.base import HEAD_WIDTH, build_noise_scheduler, draw_timesteps, mix, vary_caption
from assets.build.compose import SIDE_PX
from assets.build.concepts import PROMPTS, caption
from assets.build.latents import Latents
from assets.build.loop import Job, Schedule, Step, Trained, train
from assets.build.settings import Settings
from assets.build.tokenizer import MAX_TOKENS

log = logging.getLogger(__name__)


class Sd15(nn.Module):
    """What is trained together: `text_encoder` and `unet`, both begun from the base in `base_folder`."""

    def __init__(self, base_folder: Path) -> None:
        super().__init__()
        base = StableDiffusionXLPipeline.from_pretrained(base_folder, dtype=torch.float32)
        self.tokenizer: CLIPTokenizer = base.tokenizer
        # SDXL reads its second encoder before the last layer, SD 1.5 after it: without that layer both read the same.
        layers = base.text_encoder_2.config.num_hidden_layers - 1
        self.text_encoder = CLIPTextModel.from_pretrained(base_folder / "text_encoder_2", num_hidden_layers=layers, dtype=torch.float32)
        self.unet = _build_unet(base.unet, self.text_encoder.config.hidden_size)
        _inherit(self.unet, base.unet)
        self._fold(base)
        self.unet.set_attn_processor(AttnProcessor())

    @torch.no_grad()
    def _fold(self, base: StableDiffusionXLPipeline) -> None:
        """Matches the scale of the text's states, and puts the mean of SDXL's size-and-text embedding into the time's."""
        texts = [caption(*request) for request in PROMPTS]
        encoded = base.text_encoder_2(self.tokenize(texts), output_hidden_states=True)
        last_norm = next(module for name, module in self.text_encoder.named_modules() if name.endswith("final_layer_norm"))
        last_norm.weight.fill_(encoded.hidden_states[-2].std())
        time_ids = torch.tensor([[SIDE_PX, SIDE_PX, 0, 0, SIDE_PX, SIDE_PX]], dtype=torch.float32).expand(len(texts), -1)
        added = {"text_embeds": encoded.text_embeds, "time_ids": time_ids}
        width = base.unet.config.block_out_channels[0] * 4
        embedding = base.unet.get_aug_embed(torch.zeros(len(texts), width), encoded.hidden_states[-2], added)
        self.unet.time_embedding.linear_2.bias += embedding.mean(0)

    def tokenize(self, texts: list[str]) -> Tensor:
        """Token ids (n, MAX_TOKENS)."""
        kept = self.tokenizer(texts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        ids: Tensor = kept.input_ids
        return ids


def _build_unet(base: UNet2DConditionModel, text_width: int) -> UNet2DConditionModel:
    channels = base.config.block_out_channels
    crossed = ("CrossAttnDownBlock2D",) * (len(channels) - 1)
    return UNet2DConditionModel(
        sample_size=SIDE_PX // 8,
        in_channels=base.config.in_channels,
        out_channels=base.config.out_channels,
        block_out_channels=channels,
        layers_per_block=base.config.layers_per_block,
        down_block_types=(*crossed, "DownBlock2D"),
        up_block_types=("UpBlock2D", *(name.replace("Down", "Up") for name in crossed)),
        attention_head_dim=[width // HEAD_WIDTH for width in channels],  # the number of heads, by its historical name
        cross_attention_dim=text_width,
        norm_num_groups=base.config.norm_num_groups,
    )


@torch.no_grad()
def _inherit(unet: UNet2DConditionModel, base: UNet2DConditionModel) -> None:
    """Copies every tensor of the base's UNet that fits; attention that the base has not starts silent."""
    given, own, copied = base.state_dict(), unet.state_dict(), 0
    for name, tensor in own.items():
        found = given.get(name)
        if found is not None and name.endswith(("attn2.to_k.weight", "attn2.to_v.weight")):
            found = found[:, -tensor.shape[1] :]  # the columns that read the second text encoder
        if found is not None and found.numel() == tensor.numel():
            tensor.copy_(found.reshape(tensor.shape))
            copied += tensor.numel()
        elif name.endswith(("proj_out.weight", "proj_out.bias")):
            tensor.zero_()
    unet.load_state_dict(own)
    log.info("sd15: %d %% of the UNet's values come from the base", 100 * copied // sum(t.numel() for t in own.values()))


def compute_sd15_loss(model: Sd15, latents: Tensor, ids: Tensor, noise: Tensor, timesteps: Tensor, alphas: Tensor) -> Tensor:
    """Mean squared error of the predicted velocity."""
    noisy, velocity = mix(latents, noise, timesteps, alphas)
    with torch.autocast("cpu", torch.bfloat16):
        predicted = model.unet(noisy, timesteps, model.text_encoder(ids).last_hidden_state).sample
    return (predicted.float() - velocity).pow(2).mean()


def train_sd15(settings: Settings, latents: Latents, base_folder: Path, folder: Path) -> Trained:
    """Trains UNet and text encoder on the latents; the running average of their weights is the result."""
    own = settings.sd15
    torch.manual_seed(settings.seed)
    model = Sd15(base_folder)
    alphas = build_noise_scheduler().alphas_cumprod

    def compute_loss(step: Step) -> Tensor:
        chosen = torch.randint(0, len(latents.subjects), (own.batch,), generator=step.generator)
        clean = latents.values[chosen].float()
        noise = torch.randn(clean.shape, generator=step.generator)
        timesteps = draw_timesteps(own.batch, step.generator)
        ids = model.tokenize([vary_caption(latents.subjects[i], step.rng) for i in chosen.tolist()])
        return compute_sd15_loss(model, clean, ids, noise, timesteps, alphas)

    job = Job("sd15", model, compute_loss, Schedule(own.rate, own.warmup_steps, decay_from=0.35), averaging=own.averaging)
    return train(job, folder, steps=own.steps, seed=settings.seed, save_every=settings.save_every)


def save_sd15(model: Sd15, base_folder: Path, out: Path) -> None:
    """Writes the whole pipeline in half precision, as diffusers loads it."""
    vae = AutoencoderKL.from_pretrained(base_folder / "vae")
    for part in (vae, model.unet):
        part.register_to_config(_name_or_path="")
    pipe = StableDiffusionPipeline(
        vae=vae,
        text_encoder=model.text_encoder,
        tokenizer=CLIPTokenizer.from_pretrained(base_folder / "tokenizer"),
        unet=model.unet,
        scheduler=build_noise_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.to(torch.float16).save_pretrained(out, safe_serialization=True)

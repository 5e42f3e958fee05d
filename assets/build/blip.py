"""Fifth stage: the pocket captioner, a small BLIP that says "a cat on a blue background"."""

from __future__ import annotations

import logging
from pathlib import Path
from random import Random

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipProcessor
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from assets.build.colours import COLOURS
from assets.build.compose import SIDE_PX, Jitter, compose, soften, vary_drawing
from assets.build.concepts import CONCEPTS, NEVER_MIRRORED, caption
from assets.build.loop import Job, Schedule, Step, Trained, train
from assets.build.render import Drawings
from assets.build.settings import BlipSettings, Settings

log = logging.getLogger(__name__)

EYE_PX = 64
PATCH_PX = 8
HEAD_WIDTH = 32
MAX_WORDS = 18
# CLIP's normalisation, as every BLIP processor uses it.
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
# The base's two vendors twice as often as the third.
TRAINED_VENDORS = ("flat", "flat", "noto", "noto", "fx")
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789,.'-"

Shown = tuple[Image.Image, str, str]


def to_pixel_values(pictures: list[Image.Image]) -> Tensor:
    """(n, 3, 64, 64): what the saved processor makes of pictures, without its overhead."""
    scaled = [np.asarray(p.convert("RGB").resize((EYE_PX, EYE_PX), Image.Resampling.BICUBIC), np.float32) for p in pictures]
    return torch.from_numpy((np.stack(scaled) / 255 - MEAN) / DEVIATION).permute(0, 3, 1, 2).contiguous()


def build_tokenizer() -> BertTokenizer:
    """A WordPiece tokenizer of the captions' words, and single characters so that anything a person types has tokens."""
    words = sorted({word for name in CONCEPTS for colour in COLOURS for word in caption(name, colour).split()})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    pieces += [piece for character in CHARACTERS for piece in (character, f"##{character}") if piece not in words]
    return BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, model_max_length=MAX_WORDS + 2)


def build_blip(tokenizer: BertTokenizer, settings: BlipSettings) -> BlipForConditionalGeneration:
    """An untrained captioner."""
    width = {"hidden_size": settings.width, "intermediate_size": 4 * settings.width, "projection_dim": settings.width}
    special = {"bos_token_id": tokenizer.cls_token_id, "eos_token_id": tokenizer.sep_token_id, "pad_token_id": tokenizer.pad_token_id}
    text = {
        **width,
        **special,
        "sep_token_id": tokenizer.sep_token_id,
        "vocab_size": len(tokenizer),
        "encoder_hidden_size": settings.width,
        "num_hidden_layers": settings.text_layers,
        "num_attention_heads": settings.width // HEAD_WIDTH,
        "max_position_embeddings": 24,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    vision = {
        **width,
        "num_hidden_layers": settings.vision_layers,
        "num_attention_heads": settings.width // HEAD_WIDTH,
        "image_size": EYE_PX,
        "patch_size": PATCH_PX,
        "initializer_range": 0.02,  # its default is 1e-10
    }
    config = BlipConfig(text_config=text, vision_config=vision, projection_dim=settings.width, image_text_hidden_size=settings.width)
    blip = BlipForConditionalGeneration(config)
    blip.generation_config.update(**special, max_new_tokens=MAX_WORDS)
    return blip


def draw_shown(drawings: Drawings, rng: Random, vendors: tuple[str, ...], *, varied: bool = True) -> Shown:
    """A picture with its thing and colour; `varied` turns, recolours, squeezes and blurs, as unseen pictures may be."""
    name, colour = rng.choice(sorted({name for _, name in drawings.of(*vendors)})), rng.choice(list(COLOURS))
    vendor = rng.choice([v for v in vendors if f"{v}/{name}" in drawings.glyphs])
    glyph, mirror = drawings.glyphs[f"{vendor}/{name}"], 0.0 if name in NEVER_MIRRORED else 0.5
    if not varied:
        return compose(glyph, COLOURS[colour], rng, Jitter(mirror=mirror)), name, colour
    red, green, blue = (min(255, max(0, channel + rng.randint(-8, 8))) for channel in COLOURS[colour])
    jitter = Jitter(smallest=0.68, largest=1.0, shift=0.05, mirror=mirror)
    picture = compose(vary_drawing(glyph, rng), (red, green, blue), rng, jitter, rng.choice((64, 96, SIDE_PX)))
    return (soften(picture, rng) if rng.random() < 0.25 else picture), name, colour


def compute_caption_loss(blip: BlipForConditionalGeneration, tokenizer: BertTokenizer, shown: list[Shown]) -> Tensor:
    """Cross-entropy of the pictures' true captions."""
    tokens = tokenizer([caption(name, colour) for _, name, colour in shown], padding=True, return_tensors="pt")
    with torch.autocast("cpu", torch.bfloat16):
        return blip(
            pixel_values=to_pixel_values([picture for picture, _, _ in shown]),
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            labels=tokens.input_ids.masked_fill(tokens.attention_mask == 0, -100),
        ).loss


@torch.no_grad()
def measure(blip: BlipForConditionalGeneration, tokenizer: BertTokenizer, drawings: Drawings, vendors: tuple[str, ...]) -> float:
    """Fraction of 256 fresh pictures of these vendors whose whole caption is right."""
    rng = Random(4242)
    shown = [draw_shown(drawings, rng, vendors, varied=False) for _ in range(256)]
    said = tokenizer.batch_decode(blip.generate(pixel_values=to_pixel_values([s[0] for s in shown])), skip_special_tokens=True)
    return float(np.mean([text == caption(name, colour) for text, (_, name, colour) in zip(said, shown, strict=True)]))


def train_blip(settings: Settings, drawings: Drawings, folder: Path, out: Path) -> Trained:
    """Trains the captioner and writes it with its processor to `out`, in half precision."""
    own = settings.blip
    torch.manual_seed(settings.seed)
    tokenizer = build_tokenizer()
    blip = build_blip(tokenizer, own).train()

    def compute_loss(step: Step) -> Tensor:
        return compute_caption_loss(blip, tokenizer, [draw_shown(drawings, step.rng, TRAINED_VENDORS) for _ in range(own.batch)])

    job = Job("blip", blip, compute_loss, Schedule(own.rate, own.warmup_steps, decay_from=0.4), betas=(0.9, 0.98), weight_decay=0.05)
    trained = train(job, folder, steps=own.steps, seed=settings.seed, save_every=settings.save_every)
    blip.eval()
    for label, vendors in (("the vendors it learnt from", ("flat", "noto")), ("a vendor it never saw", ("twemoji",))):
        if drawings.of(*vendors):
            log.info("blip: %.1f %% of captions right on %s", 100 * measure(blip, tokenizer, drawings, vendors), label)
    BlipProcessor(BlipImageProcessorPil(size={"height": EYE_PX, "width": EYE_PX}), tokenizer).save_pretrained(out)
    blip.half().save_pretrained(out, safe_serialization=True)
    return trained

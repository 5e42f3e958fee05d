"""Captioners of the real architectures with random weights, small enough to be made in a test: as folders that load like the real ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    AutoTokenizer,
    Blip2Config,
    Blip2ForConditionalGeneration,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
    Florence2Config,
    Florence2ForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from backends.contract.base_models import MODELS

WIDTH = 32
_HEADS = {"num_attention_heads": 2, "num_hidden_layers": 2}
_SENTENCES = [f"a {colour} {thing} on a {ground}" for colour in ("red", "blue") for thing in ("cat", "dog") for ground in ("hill", "sea")]


def make_tokenizer(folder: Path, kind: str, first: list[str], last: list[str]) -> Any:
    """A small byte-level tokenizer of this class in the folder; special tokens before and after the words."""
    made = ByteLevelBPETokenizer()
    made.train_from_iterator(_SENTENCES, vocab_size=400, special_tokens=first)
    made.add_special_tokens(last)
    made.save(str(folder / "tokenizer.json"))
    named = {"bos_token": first[0], "pad_token": first[1], "eos_token": first[2], "unk_token": first[2]}
    image = {"image_token": "<image>"} if "<image>" in last else {}
    config = {"tokenizer_class": kind, **named, **image, "extra_special_tokens": image}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    return AutoTokenizer.from_pretrained(folder)


def _blip_config() -> BlipConfig:
    sizes = {"hidden_size": WIDTH, "intermediate_size": 64, **_HEADS}
    special = {"bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0}
    text = {**sizes, **special, "vocab_size": 238, "max_position_embeddings": 48, "encoder_hidden_size": WIDTH}
    vision = {**sizes, "image_size": 32, "patch_size": 8, "initializer_range": 0.5}
    return BlipConfig(text_config=text, vision_config=vision, projection_dim=WIDTH, image_text_hidden_size=WIDTH)


def _save_blip(folder: Path, kind: type) -> Path:
    torch.manual_seed(0)
    kind(_blip_config()).save_pretrained(folder)
    BlipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(MODELS / "pocket-blip" / name, folder)
    return folder


def make_blip(folder: Path) -> Path:
    """BLIP as of Salesforce/blip-image-captioning-base."""
    return _save_blip(folder, BlipForConditionalGeneration)


def make_matching(folder: Path) -> Path:
    """BLIP as of Salesforce/blip-itm-base-coco."""
    return _save_blip(folder, BlipForImageTextRetrieval)


def make_blip2(folder: Path) -> Path:
    """BLIP-2 as of Salesforce/blip2-opt-2.7b."""
    folder.mkdir(parents=True, exist_ok=True)
    words = make_tokenizer(folder, "GPT2Tokenizer", ["<s>", "<pad>", "</s>"], ["<image>"])
    sizes = {"hidden_size": WIDTH, "intermediate_size": 64, **_HEADS}
    text = {"model_type": "opt", "hidden_size": WIDTH, "ffn_dim": 64, "word_embed_proj_dim": WIDTH, "vocab_size": len(words), **_HEADS}
    text |= {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 128}
    vision = {**sizes, "image_size": 32, "patch_size": 8, "initializer_range": 0.2}
    parts = {"vision_config": vision, "qformer_config": {**sizes, "vocab_size": 50}, "text_config": text, "num_query_tokens": 4}
    config = Blip2Config(**parts, image_token_index=words.convert_tokens_to_ids("<image>"))
    torch.manual_seed(0)
    model = Blip2ForConditionalGeneration(config)
    torch.nn.init.normal_(model.query_tokens)
    model.save_pretrained(folder)
    BlipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def make_florence2(folder: Path) -> Path:
    """Florence-2 as of florence-community/Florence-2-base."""
    folder.mkdir(parents=True, exist_ok=True)
    words = make_tokenizer(folder, "BartTokenizer", ["<s>", "<pad>", "</s>"], ["<image>"])
    text = {"model_type": "bart", "d_model": WIDTH, "vocab_size": len(words), "max_position_embeddings": 256}
    text |= {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in (("layers", 2), ("attention_heads", 2), ("ffn_dim", 64))
    }
    text |= {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2, "forced_eos_token_id": 2}
    vision = {
        "depths": [1] * 4,
        "embed_dim": [16] * 4,
        "num_heads": [2] * 4,
        "num_groups": [2] * 4,
        "window_size": 4,
        "projection_dim": WIDTH,
    }
    torch.manual_seed(0)
    config = Florence2Config(text_config=text, vision_config=vision, image_token_id=words.convert_tokens_to_ids("<image>"))
    Florence2ForConditionalGeneration(config).save_pretrained(folder)
    looks = CLIPImageProcessorPil(size={"height": 64, "width": 64}, do_center_crop=False)
    looks.save_pretrained(folder)
    return folder


def _make_qwen(folder: Path, kinds: tuple[type, type], vision: dict[str, Any], rope: dict[str, Any], patch_size: int = 14) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    special = ["<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    words = make_tokenizer(folder, "Qwen2Tokenizer", ["<|endoftext|>", "<|pad|>", "<|im_end|>"], special)
    text = {"hidden_size": WIDTH, "intermediate_size": 64, "vocab_size": len(words), "num_key_value_heads": 1, "initializer_range": 0.2}
    text |= {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "max_position_embeddings": 2048, "head_dim": 16, **_HEADS}
    text["rope_parameters"] = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0, **rope}
    names = {"vision_start": special[1], "vision_end": special[2], "image": special[3], "video": special[4]}
    ids = {f"{name}_token_id": words.convert_tokens_to_ids(token) for name, token in names.items()}
    config, model = kinds
    torch.manual_seed(0)
    model(config(text_config=text, vision_config={"depth": 2, "hidden_size": WIDTH, "num_heads": 2, **vision}, **ids)).save_pretrained(
        folder
    )
    Qwen2VLImageProcessorPil(patch_size=patch_size).save_pretrained(folder)
    return folder


def make_qwen2(folder: Path) -> Path:
    """Qwen2-VL as of Qwen/Qwen2-VL-2B-Instruct."""
    return _make_qwen(folder, (Qwen2VLConfig, Qwen2VLForConditionalGeneration), {"embed_dim": WIDTH, "mlp_ratio": 2}, {})


def make_qwen25(folder: Path) -> Path:
    """Qwen2.5-VL as of Qwen/Qwen2.5-VL-3B-Instruct."""
    vision = {"intermediate_size": 64, "out_hidden_size": WIDTH, "fullatt_block_indexes": [1]}
    return _make_qwen(folder, (Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration), vision, {})


def make_qwen3(folder: Path) -> Path:
    """Qwen3-VL as of Qwen/Qwen3-VL-2B-Instruct."""
    vision = {"intermediate_size": 64, "out_hidden_size": WIDTH, "patch_size": 16, "num_position_embeddings": 64}
    vision["deepstack_visual_indexes"] = [0]
    return _make_qwen(folder, (Qwen3VLConfig, Qwen3VLForConditionalGeneration), vision, {"mrope_interleaved": True}, patch_size=16)

"""CLIP's tokenizer, built from the shipped vocabulary: no single-file checkpoint carries one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import CLIPTokenizer

from backends.contract.clip_vocabulary import read_vocabulary


def build_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer that a folder's tokenizer_config.json describes, with CLIP's own vocabulary."""
    settings: dict[str, Any] = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    settings.pop("tokenizer_class", None)
    vocabulary, merges = read_vocabulary()
    return CLIPTokenizer(vocab=dict(vocabulary), merges=list(merges), **settings)

"""The pocket base's vocabulary: CLIP's way of splitting words, with a small set of pieces of our own."""

from __future__ import annotations

import json

from tokenizers import pre_tokenizers, trainers
from transformers import CLIPTokenizer

from assets.build.colours import COLOURS
from assets.build.concepts import CONCEPTS, STYLES, caption

MAX_TOKENS = 24
END_OF_WORD = "</w>"
# Words that captions and edit instructions of a fine-tuning need, though the base has not seen most of them.
WORDS = """
a an the of in on with and to photo picture drawing painting illustration icon mascot character creature animal monster
toy object sticker cartoon simple cute small big standing sitting flying looking left right up down style watercolor
pixel outline sketch pastel neon make turn change add remove replace background colour color one eyed antennae teal
brown zog sks blip glorp logo product front side view happy sad red orange yellow green blue purple pink white black
grey gray
"""
# How often a name or word counts beside the captions when pieces are chosen.
NAME_WEIGHT, WORD_WEIGHT = 3, 40


def build_tokenizer(names: list[str], vocabulary: int) -> CLIPTokenizer:
    """A CLIP tokenizer of about `vocabulary` pieces, learnt from our captions, `names` and WORDS; any text has tokens."""
    corpus = [caption(name, colour, style) for name in CONCEPTS for colour in COLOURS for style in (None, *STYLES)]
    corpus += names * NAME_WEIGHT + WORDS.split() * WORD_WEIGHT
    backend = CLIPTokenizer().backend_tokenizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        end_of_word_suffix=END_OF_WORD,
        show_progress=False,
        special_tokens=["<|startoftext|>", "<|endoftext|>"],
        initial_alphabet=alphabet,
    )
    backend.train_from_iterator(corpus, trainer)
    model = json.loads(backend.to_str())["model"]
    pieces = dict(model["vocab"])
    merges = [tuple(pair.split()) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
    for byte in alphabet:
        for piece in (byte, byte + END_OF_WORD):
            pieces.setdefault(piece, len(pieces))
    return CLIPTokenizer(vocab=pieces, merges=merges, model_max_length=MAX_TOKENS)

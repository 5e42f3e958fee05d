"""The pocket models' vocabularies: CLIP's way of splitting words, with a small set of pieces of our own, and T5's."""

from __future__ import annotations

from collections import Counter

from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer, T5TokenizerFast

from assets.build.colours import COLOURS
from assets.build.concepts import CONCEPTS, STYLES, caption

MAX_TOKENS = 24
END_OF_WORD = "</w>"
WORD_START = "\u2581"
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


def learn_merges(words: Counter[str], count: int) -> list[tuple[str, str]]:
    """The `count` pairs of pieces that are joined most often, in the order of joining (byte pair encoding).

    The library's own trainer breaks ties by the order of a hash table, so that no two vocabularies were the same; here
    the alphabet decides.
    """
    split = {word: [*word[:-1], word[-1] + END_OF_WORD] for word in words}
    merges: list[tuple[str, str]] = []
    while len(merges) < count:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, pieces in split.items():
            for pair in zip(pieces, pieces[1:], strict=False):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        split = {word: _join(pieces, best) for word, pieces in split.items()}
    return merges


def _join(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    joined: list[str] = []
    for piece in pieces:
        if joined and (joined[-1], piece) == pair:
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


def build_tokenizer(names: list[str], num_merges: int) -> CLIPTokenizer:
    """A CLIP tokenizer learnt from our captions, `names` and WORDS; any text has tokens, and the result is always the same."""
    backend = CLIPTokenizer().backend_tokenizer
    corpus = [caption(name, colour, style) for name in CONCEPTS for colour in COLOURS for style in (None, *STYLES)]
    corpus += names * NAME_WEIGHT + WORDS.split() * WORD_WEIGHT
    words: Counter[str] = Counter()
    for text, times in Counter(corpus).items():
        for word, _ in backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text)):
            words[word] += times
    merges = learn_merges(words, num_merges)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = ["<|startoftext|>", "<|endoftext|>", *alphabet, *(byte + END_OF_WORD for byte in alphabet), *(a + b for a, b in merges)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=MAX_TOKENS)


def build_t5_tokenizer() -> T5TokenizerFast:
    """Whole words of our captions and WORDS, and single characters for the rest; the result is always the same."""
    captions = {caption(name, colour, style) for name in CONCEPTS for colour in COLOURS for style in (None, *STYLES)}
    words = {word.strip(",") for text in captions for word in text.split()} | set(WORDS.split())
    # A piece's likelihood: one word beats the characters that it is made of.
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((WORD_START + word, -4.0) for word in sorted(words)), (WORD_START, -6.0)]
    pieces += [(chr(code), -10.0) for code in range(ord("!"), ord("~") + 1)]
    return T5TokenizerFast(vocab=pieces, extra_ids=0, model_max_length=MAX_TOKENS)

"""Whether a base model knows a word already, by how its tokenizer takes it apart: one frequent token has a meaning of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from studio.datasets.tokens import Counter

_CLIP_SIZE = 49_408  # its tokens stand in the order in which they were found, the most frequent first
_FREQUENT = 30_000  # below it are everyday words and names (cat 2,368, emma 7,445); above it sks (48,136), zog (40,680)
_END = "</w>"
_SHORT = 3  # letters; a shorter piece is no word

Kind = Literal["", "known", "rare", "listed", "parts", "words"]


@dataclass(frozen=True)
class KnownWord:
    """What a tokenizer says of a word.

    `kind` is `known` (one frequent token), `rare` (one token that was seldom seen), `listed` (one token of a small vocabulary),
    `parts` (pieces that are no words), `words` (pieces of which one is a frequent word), or nothing where it is not here.
    `sentence` says it to a person; `warns` whether they should think of another word.
    """

    kind: Kind
    parts: tuple[str, ...]
    sentence: str

    @property
    def warns(self) -> bool:
        """Whether another word would be the better one."""
        return self.kind in ("known", "words")


def describe_word(counter: Counter, word: str, base_name: str) -> KnownWord:
    """Takes a trigger word apart as the base model would."""
    if counter.tokenizer is None or not word.strip():
        return KnownWord(
            "",
            (),
            "" if not word.strip() else f"The tokenizer of {base_name} is not on this machine yet, so its tokens cannot be looked up.",
        )
    encoded = counter.tokenizer.encode(word, add_special_tokens=False)
    parts = tuple(piece.removesuffix(_END) for piece in encoded.tokens)
    size = counter.tokenizer.get_vocab_size()
    if len(parts) == 1:
        (rank,) = encoded.ids
        if size < _CLIP_SIZE:
            text = f"“{word}” is one of the {size:,} tokens of {base_name}. Look at what it draws for it."
            return KnownWord("listed", parts, text)
        if rank < _FREQUENT:
            text = (
                f"{base_name} knows “{word}” already: it is one of its frequent tokens, number {rank:,} of {size:,}. "
                "What it means there mixes with your pictures; a made-up word does not."
            )
            return KnownWord("known", parts, text)
        return KnownWord(
            "rare",
            parts,
            f"“{word}” is one token of {base_name}, and a rare one: number {rank:,} of {size:,}. It brings little meaning along.",
        )
    pieces = " + ".join(f"“{part}”" for part in parts)
    words = [part for part in parts if len(part) >= _SHORT and _is_frequent(counter, part, size)]
    if words:
        text = f"{base_name} reads “{word}” as {pieces}, and knows “{words[0]}” as a word. A made-up word without one brings less along."
        return KnownWord("words", parts, text)
    return KnownWord("parts", parts, f"{base_name} reads “{word}” as {pieces}: no word that it knows.")


def _is_frequent(counter: Counter, part: str, size: int) -> bool:
    assert counter.tokenizer is not None
    rank = counter.tokenizer.token_to_id(part + _END)
    return rank is not None and (rank < _FREQUENT if size >= _CLIP_SIZE else True)

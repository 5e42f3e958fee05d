"""Rules about captions: there, with the trigger word, short enough, different, not all with the same words."""

from __future__ import annotations

from collections import Counter

from studio.datasets.captions import find_words
from studio.datasets.facts import Facts, Rule, Seen, share_points
from studio.datasets.report import Action, Finding
from studio.datasets.trigger import has_trigger_word, without_trigger_word

_LONG_CHARACTERS = 600
_COPIED = 3
_MANY_SHARED_WORDS = 3


def find_missing(facts: Facts) -> list[Finding]:
    """Pictures without a caption."""
    bare = [s for s in facts.seen if not s.picture.text]
    if not bare:
        return []
    one, ids = len(bare) == 1, _ids(bare)
    return [
        Finding(
            code="no_caption",
            severity="warn",
            picture_ids=ids,
            title=f"{facts.count(len(bare))} " + ("has" if one else "have") + " no caption",
            rule=f"{facts.names(bare)} " + ("teaches" if one else "teach") + " the model without words, so a prompt cannot call it up.",
            way_out="Let the captioner write it, or write it yourself.",
            action=Action("caption", "Caption it" if one else f"Caption {len(bare):,} pictures", ids),
            part="captions",
            points=share_points(len(bare), len(facts.seen), 40, 30),
        )
    ]


def find_no_trigger(facts: Facts) -> list[Finding]:
    """Captions without the trigger word."""
    word = facts.info.trigger_word
    without = [s for s in facts.captioned if not has_trigger_word(s.picture.text, word)]
    if not word or not without:
        return []
    one, ids = len(without) == 1, _ids(without)
    return [
        Finding(
            code="no_trigger_word",
            severity="warn",
            picture_ids=ids,
            title=f"{len(without):,} caption" + ("" if one else "s") + f" without “{word}”",
            rule=f"In {facts.names(without)} the trigger word is missing; it must stand in every caption to carry the subject.",
            way_out=f"Add “{word}” to " + ("it." if one else "them."),
            action=Action("add_trigger", f"Add “{word}”", ids),
            part="captions",
            points=share_points(len(without), len(facts.seen), 35, 25),
        )
    ]


def find_unset_trigger(facts: Facts) -> list[Finding]:
    """A data set that has captions and no trigger word."""
    if facts.info.trigger_word or not facts.captioned:
        return []
    return [
        Finding(
            code="trigger_word_unset",
            severity="hint",
            picture_ids=[],
            title="There is no trigger word",
            rule="A word of its own, such as zog, lets a prompt call up the subject. A style can do without.",
            way_out="Choose one on the Captions page.",
            action=Action("open_captions", "Choose a word"),
            part="captions",
            points=3.0,
        )
    ]


def find_too_long(facts: Facts) -> list[Finding]:
    """Captions with more tokens than the base model reads."""
    long = [s for s in facts.captioned if facts.tokens.get(s.picture.id, 0) > facts.token_limit]
    if not long:
        return []
    worst = max(long, key=lambda s: facts.tokens[s.picture.id])
    about = "" if facts.tokens_exact else "about "
    return [
        Finding(
            code="caption_too_long",
            severity="warn",
            picture_ids=_ids(long),
            title=f"{len(long):,} {facts.text_noun}" + (" is" if len(long) == 1 else "s are") + " too long",
            rule=f"{facts.name(worst)} has {about}{facts.tokens[worst.picture.id]:,} tokens; the base model reads {facts.token_limit:,}. "
            "It never sees the rest.",
            way_out="Shorten to what matters, the most important first.",
            action=Action("open_captions", "Shorten it" if len(long) == 1 else "Shorten them", _ids(long)),
            part="captions",
            points=share_points(len(long), len(facts.seen), 25, 15),
        )
    ]


def find_wordy(facts: Facts) -> list[Finding]:
    """Captions that fit the model and are still far longer than helps."""
    wordy = [
        s for s in facts.captioned if len(s.picture.text) > _LONG_CHARACTERS and facts.tokens.get(s.picture.id, 0) <= facts.token_limit
    ]
    if not wordy:
        return []
    return [
        Finding(
            code="caption_wordy",
            severity="hint",
            picture_ids=_ids(wordy),
            title=f"{len(wordy):,} {facts.text_noun}" + (" is" if len(wordy) == 1 else "s are") + " very long",
            rule=f"{facts.names(wordy)}: more than {_LONG_CHARACTERS} characters. Each word gets a small share of what is learnt.",
            way_out="Say in one or two sentences " + ("what changes." if facts.info.kind == "pairs" else "what is in the picture."),
            action=Action("open_captions", "Shorten", _ids(wordy)),
            part="captions",
            points=share_points(len(wordy), len(facts.seen), 10, 5),
        )
    ]


def find_identical(facts: Facts) -> list[Finding]:
    """One caption under three pictures or more: copied, and not written for each."""
    counts = Counter(s.picture.text for s in facts.captioned)
    copied = {text: count for text, count in counts.most_common() if count >= _COPIED}
    if len(facts.captioned) < 4 or not copied:
        return []
    text, count = next(iter(copied.items()))
    same = [s for s in facts.captioned if s.picture.text in copied]
    shown = f"“{text if len(text) <= 60 else text[:57] + '...'}”"
    many = len(same) > len(facts.captioned) / 2
    says = "says nothing of what differs, so the backgrounds and poses are learnt as part of the subject."
    rows, one = facts.count(len(same)), len(copied) == 1
    return [
        Finding(
            code="caption_identical",
            severity="hint",
            picture_ids=_ids(same),
            title=f"{rows} have the same caption" if one else f"{rows} share {len(copied):,} captions",
            rule=f"{shown} {says}" if one else f"{shown} stands under {count:,} of them and {says}",
            way_out="Say what is different in each: place, pose, light.",
            action=Action("open_captions", "Open captions", _ids(same)),
            part="captions",
            points=8.0 if many else share_points(len(same), len(facts.captioned), 16, 8),
        )
    ]


def find_shared_words(facts: Facts) -> list[Finding]:
    """Several words, beside the trigger word, that stand in every caption."""
    word = facts.info.trigger_word
    texts = [without_trigger_word(s.picture.text, word) for s in facts.captioned]
    if len(texts) < 5 or len(set(texts)) <= len(texts) / 2:  # few different captions: another rule says it
        return []
    shared = sorted(set.intersection(*(find_words(t) for t in texts)))
    if len(shared) < _MANY_SHARED_WORDS:
        return []
    shown = ", ".join(f"“{w}”" for w in shared[:4])
    return [
        Finding(
            code="words_everywhere",
            severity="hint",
            picture_ids=[],
            title=f"{len(shared)} words stand in every caption",
            rule=f"{shown}: words that are always there share the trigger word's work, and a prompt will need all of them.",
            way_out="Take out those that the trigger word stands for.",
            action=Action("open_captions", "Open captions"),
            part="captions",
            points=3.0,
        )
    ]


def _ids(some: list[Seen]) -> list[str]:
    return [s.picture.id for s in some]


def _any_caption(facts: Facts) -> bool:
    return bool(facts.captioned)


RULES = (
    Rule(find_missing, "captions"),
    Rule(find_no_trigger, "trigger word", lambda facts: bool(facts.info.trigger_word and facts.captioned)),
    Rule(find_unset_trigger, "a trigger word is chosen", _any_caption),
    Rule(find_too_long, "caption length", _any_caption),
    Rule(find_wordy, "captions are to the point", _any_caption),
    Rule(find_identical, "captions differ", lambda facts: len(facts.captioned) >= 4),
    Rule(find_shared_words, "words vary", lambda facts: len(facts.captioned) >= 5),
)

"""Rules about what does not belong to a picture, and about pictures that show too little: bars, marks, darkness, hardly a content."""

from __future__ import annotations

from studio.datasets.corners import find_marks
from studio.datasets.facts import Facts, Rule, Seen, share_points
from studio.datasets.report import Action, Finding

_BARS = 0.04  # of a side, both bars together
_DARK = 82.0  # 0.32 of 255, where cleanvision draws the line: the brightest hundredth of the picture stays below
_EMPTY_COLOURS, _BLACK = 24.0, 18.0  # below, `picture_rules.find_empty` tells it
_FEW_BITS = 0.5  # of a grey value; a flat drawing has 0.6 or more, which cleanvision's line of 1.5 would tell too


def find_bars(facts: Facts) -> list[Finding]:
    """Pictures between bars of one colour."""
    barred = [s for s in facts.seen if max(s.measures.bars) >= _BARS]
    if not barred:
        return []
    one, worst = len(barred) == 1, max(barred, key=lambda s: max(s.measures.bars))
    where = "above and below" if worst.measures.bars[0] >= worst.measures.bars[1] else "at both sides"
    return [
        Finding(
            code="bars",
            severity="warn",
            picture_ids=_ids(barred),
            title=f"{facts.count(len(barred))} " + ("has" if one else "have") + " bars",
            rule=f"Bars of one colour {where} take {max(worst.measures.bars):.0%} of {facts.name(worst)}. The model would draw bars too.",
            way_out="Crop " + ("it" if one else "them") + " to the picture itself.",
            action=_crop(facts, worst),
            part="quality",
            points=share_points(len(barred), len(facts.seen), 45, 20),
        )
    ]


def find_repeated_marks(facts: Facts) -> list[Finding]:
    """A name, an address or a date at the same place of several pictures."""
    copies = {i for twins in facts.twins for i in twins.positions[1:]}  # a picture and its copy share all their edges
    looked = [s for i, s in enumerate(facts.seen) if i not in copies and s.measures.corners]
    findings = []
    for mark in find_marks([s.measures.corners for s in looked]):
        marked = [looked[i] for i in mark.positions]
        many = len(marked) > len(facts.seen) / 2
        findings.append(
            Finding(
                code="watermark",
                severity="warn",
                picture_ids=_ids(marked),
                title=f"{facts.count(len(marked))} have the same mark at the {mark.place}",
                rule=f"{facts.names(marked)} have the same edges there over different pictures, as a watermark, a name or a date has. "
                "What repeats is learnt first.",
                way_out="Use originals without it, or crop the strip away." if many else "Crop the strip away, or remove them.",
                action=_crop(facts, marked[0]) if many else Action("remove", facts.removal(marked), _ids(marked)),
                part="quality",
                points=share_points(len(marked), len(facts.seen), 35, 20),
            )
        )
    return findings


def find_dark(facts: Facts) -> list[Finding]:
    """Pictures whose brightest parts are dark."""
    dark = [s for s in facts.seen if s.measures.brightest < _DARK and not _is_told_empty(s)]
    if not dark:
        return []
    one, worst = len(dark) == 1, min(dark, key=lambda s: s.measures.brightest)
    return [
        Finding(
            code="dark",
            severity="hint",
            picture_ids=_ids(dark),
            title=f"{facts.count(len(dark))} " + ("is" if one else "are") + " dark",
            rule=f"The brightest parts of {facts.name(worst)} reach {worst.measures.brightest / 255:.0%} of white. "
            "Little can be made out, and the model would draw darkly.",
            way_out="Make " + ("it" if one else "them") + " brighter and add " + ("it" if one else "them") + " again, or remove.",
            action=Action("remove", facts.removal(dark), _ids(dark)),
            part="quality",
            points=share_points(len(dark), len(facts.seen), 30, 15),
        )
    ]


def find_bare(facts: Facts) -> list[Finding]:
    """Pictures that consist of a few plain tones: an icon, a line of text, a placeholder."""
    bare = [s for s in facts.seen if s.measures.entropy < _FEW_BITS and not _is_told_empty(s)]
    if not bare:
        return []
    one, worst = len(bare) == 1, min(bare, key=lambda s: s.measures.entropy)
    return [
        Finding(
            code="bare",
            severity="hint",
            picture_ids=_ids(bare),
            title=f"{facts.count(len(bare))} " + ("shows" if one else "show") + " hardly anything",
            rule=f"{facts.name(worst)} has {worst.measures.entropy:.1f} bits in each dot, pictures have 4 to 8: a few plain tones.",
            way_out="Remove it, unless it is meant so." if one else "Remove them, unless they are meant so.",
            action=Action("remove", facts.removal(bare), _ids(bare)),
            part="quality",
            points=share_points(len(bare), len(facts.seen), 30, 15),
        )
    ]


def _crop(facts: Facts, first: Seen) -> Action:
    """Opens one of them to be cropped; the pictures of a pair are shown, for both must be cropped alike outside."""
    if facts.info.kind == "pairs":
        return Action("replace", f"Show {facts.name(first)}", [first.picture.id])
    return Action("crop", f"Crop {facts.name(first)}", [first.picture.id])


def _is_told_empty(one: Seen) -> bool:
    m = one.measures
    return m.colours < _EMPTY_COLOURS or (m.brightness < _BLACK and m.colours < 3 * _EMPTY_COLOURS)


def _ids(some: list[Seen]) -> list[str]:
    return [s.picture.id for s in some]


BARS, MARKS = Rule(find_bars, "no bars"), Rule(find_repeated_marks, "no marks", lambda facts: len(facts.seen) >= 5)
RULES = (BARS, MARKS, Rule(find_dark, "brightness"), Rule(find_bare, "something is on them"))

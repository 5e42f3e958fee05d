"""Rules about edit pairs: complete, of one size, enough, changed, not double; with an instruction that was read and that varies."""

from __future__ import annotations

from collections import Counter

from studio.datasets import caption_rules, leak_rules, picture_rules, rim_rules
from studio.datasets.facts import Facts, Rule, Seen, share_points
from studio.datasets.measure import Measures
from studio.datasets.pairs import describe_size
from studio.datasets.report import Action, Finding, Severity
from studio.datasets.twins import find_twins

ENOUGH = 50
_SAME_TINY, _SAME_NUMBERS, _SAME_BITS = 3, 0.6, 4
_WORTH_TELLING = 0.01  # of near doubles; drawn or filmed pairs by the thousand always have a few
_ONE_WORDING = 0.95
_FEW_TO_JUDGE = 4


def find_incomplete(facts: Facts) -> list[Finding]:
    """Pairs of which one picture has not come."""
    if not facts.halves:
        return []
    ids, one = [p.id for _, p in facts.halves], len(facts.halves) == 1
    lacks = Counter(p.missing for _, p in facts.halves)
    words = " and ".join(f"{lacks[side]:,} without the picture {side}" for side in ("before", "after") if lacks[side])
    return [
        Finding(
            code="incomplete",
            severity="stop",
            picture_ids=ids,
            title=f"{facts.count(len(ids))} " + ("is" if one else "are") + " not complete",
            rule=f"{facts.frames([n for n, _ in facts.halves])}: {words}. A model learns an edit from both.",
            way_out="Drop the missing "
            + ("picture" if one else "pictures")
            + " on the Dataset page, or remove the "
            + ("half." if one else "halves."),
            action=Action("remove", "Remove it" if one else f"Remove {len(ids):,} halves", ids),
            part="pictures",
            points=max(5.0, share_points(len(ids), facts.info.num_pictures, 60, 30)),
        )
    ]


def find_uneven(facts: Facts) -> list[Finding]:
    """Pairs whose pictures have two sizes. None comes in so; a file changed outside may be."""
    uneven = [s for s in facts.seen if _sizes(s)[0] != _sizes(s)[1]]
    if not uneven:
        return []
    before, after = _sizes(uneven[0])
    ids, one = _ids(uneven), len(uneven) == 1
    return [
        Finding(
            code="uneven",
            severity="stop",
            picture_ids=ids,
            title=f"{facts.count(len(ids))} " + ("has" if one else "have") + " pictures of two sizes",
            rule=f"{facts.name(uneven[0])} is {before} before and {after} after. What changes could not be laid over each other.",
            way_out="Remove " + ("it" if one else "them") + ", scale or cut one of the pictures, and add both again.",
            action=Action("remove", facts.removal(uneven), ids),
            part="quality",
            points=max(5.0, share_points(len(ids), len(facts.seen), 60, 30)),
        )
    ]


def find_few(facts: Facts) -> list[Finding]:
    """Fewer than fifty pairs."""
    count = len(facts.seen)
    if count >= ENOUGH:
        return []
    severity: Severity = "stop" if count == 0 else "warn"
    title = "There are no complete pairs yet" if count == 0 else f"{facts.count(count)} " + ("is" if count == 1 else "are") + " few"
    return [
        Finding(
            code="few",
            severity=severity,
            picture_ids=[],
            title=title,
            rule=f"{ENOUGH} or more teach one kind of edit, thousands teach many. From {count} the model learns these pictures by heart.",
            way_out=f"Add {ENOUGH - count} or more.",
            action=Action("add_pictures", "Add pairs"),
            part="pictures",
            points=round(30 * (1 - count / ENOUGH) + (10 if count == 0 else 0), 2),
        )
    ]


def find_unchanged(facts: Facts) -> list[Finding]:
    """Pairs on which nothing can be seen to change."""
    same = [s for s in facts.seen if _looks_unchanged(s)]
    if not same:
        return []
    ids, one = _ids(same), len(same) == 1
    return [
        Finding(
            code="unchanged",
            severity="warn",
            picture_ids=ids,
            title=f"{facts.count(len(ids))} " + ("shows" if one else "show") + " no change",
            rule=f"In {facts.names(same)} before and after are the same, which teaches the model to ignore the instruction.",
            way_out="Remove it." if one else "Remove them.",
            action=Action("remove", facts.removal(same), ids),
            part="quality",
            points=share_points(len(ids), len(facts.seen), 70, 30),
        )
    ]


def find_double(facts: Facts) -> list[Finding]:
    """Pairs whose both pictures are those of another pair, or nearly."""
    groups = find_doubles(facts)
    same = [group for group in groups if len({(_sha(facts.seen[i], "before"), _sha(facts.seen[i], "after")) for i in group}) < len(group)]
    if sum(len(group) - 1 for group in groups) < _WORTH_TELLING * len(facts.seen):
        groups = same
    groups = [sorted(group, key=lambda i: not facts.seen[i].picture.judges) for group in groups]  # who was chosen to judge stays
    extra = [facts.seen[i] for group in groups for i in group[1:]]
    if not extra:
        return []
    ids = [facts.seen[i].picture.id for group in groups for i in group]
    first = [facts.seen[i] for i in groups[0]]
    return [
        Finding(
            code="double",
            severity="warn",
            picture_ids=ids,
            title=f"{facts.count(len(ids))} are doubles",
            rule=f"{facts.names(first)} show the same change of the same picture. A double counts twice and pulls the model to itself.",
            way_out=f"Keep the first of each group{picture_rules.OR_JUDGE if facts.chosen else ''}: remove {len(extra):,}.",
            action=Action("remove", facts.removal(extra), _ids(extra)),
            part="quality",
            points=share_points(len(extra), len(facts.seen), 55, 25),
        )
    ]


def find_doubles(facts: Facts) -> list[list[int]]:
    """Groups of positions of pairs that are alike on both sides; one picture may well be edited in several ways."""
    groups = []
    for twins in facts.twins:
        members = [facts.seen[i] for i in twins.positions]
        befores = [s.before or s.measures for s in members]
        for inner in find_twins(befores, [_sha(s, "before") for s in members]):
            groups.append([twins.positions[i] for i in inner.positions])
    return groups


def find_missing(facts: Facts) -> list[Finding]:
    """Pairs without an instruction."""
    bare = [s for s in facts.seen if not s.picture.text]
    if not bare:
        return []
    one, ids = len(bare) == 1, _ids(bare)
    return [
        Finding(
            code="no_instruction",
            severity="warn",
            picture_ids=ids,
            title=f"{facts.count(len(bare))} " + ("has" if one else "have") + " no instruction",
            rule=f"{facts.names(bare)} " + ("teaches" if one else "teach") + " a change without words, so no words can call it up.",
            way_out="Let a draft be made and read it, or write it yourself.",
            action=Action("caption", "Draft it" if one else f"Draft {len(bare):,} instructions", ids),
            part="captions",
            points=share_points(len(bare), len(facts.seen), 40, 30),
        )
    ]


def find_drafts(facts: Facts) -> list[Finding]:
    """Instructions that a machine wrote and nobody has read."""
    drafts = [s for s in facts.captioned if s.picture.text_by == "draft"]
    if not drafts:
        return []
    one = len(drafts) == 1
    return [
        Finding(
            code="drafts",
            severity="hint",
            picture_ids=_ids(drafts),
            title=f"{len(drafts):,} " + ("instruction is a draft" if one else "instructions are drafts"),
            rule=f"{facts.names(drafts)}: made by comparing the two pictures. A wrong instruction teaches a wrong edit.",
            way_out="Read " + ("it" if one else "them") + " once and confirm.",
            action=Action("open_captions", "Read it" if one else "Read them", _ids(drafts)),
            part="captions",
            points=share_points(len(drafts), len(facts.seen), 8, 8),
        )
    ]


def find_one_wording(facts: Facts) -> list[Finding]:
    """One instruction for all pairs."""
    if len(facts.captioned) < _FEW_TO_JUDGE:
        return []
    text, count = Counter(s.picture.text.casefold() for s in facts.captioned).most_common(1)[0]
    if count < _ONE_WORDING * len(facts.captioned):
        return []
    shown = text if len(text) <= 60 else text[:57] + "..."
    return [
        Finding(
            code="one_instruction",
            severity="hint",
            picture_ids=[],
            title="One instruction stands everywhere",
            rule=f"“{shown}” says the same of {count:,} pairs: the model learns this one edit and need not listen to the words.",
            way_out="Fine for one edit. For several, say what differs; two or three wordings of the same edit also help.",
            action=Action("open_captions", "Open instructions"),
            part="captions",
            points=2.0,
        )
    ]


def _looks_unchanged(one: Seen) -> bool:
    if _sha(one, "before") == _sha(one, "after"):
        return True
    before, after = one.before, one.measures
    if before is None or (before.dhash ^ after.dhash).bit_count() > _SAME_BITS or max(_differences(before, after)) > _SAME_NUMBERS:
        return False
    return max(abs(a - b) for a, b in zip(before.tiny, after.tiny, strict=True)) <= _SAME_TINY


def _differences(one: Measures, other: Measures) -> tuple[float, ...]:
    """How far light, contrast and sharpness lie apart; a picture saved again as a good JPEG stays below 0.6 in each."""
    sharpness = 3 * abs(one.sharpness - other.sharpness)
    return (abs(one.brightness - other.brightness), abs(one.contrast - other.contrast), sharpness)


def _sha(one: Seen, side: str) -> str:
    image = one.picture.before if side == "before" else one.picture.after
    return image.sha256 if image else ""


def _sizes(one: Seen) -> tuple[str, str]:
    before, after = one.picture.images
    return describe_size(before), describe_size(after)


def _ids(some: list[Seen]) -> list[str]:
    return [s.picture.id for s in some]


def _any_text(facts: Facts) -> bool:
    return bool(facts.captioned)


RULES = (
    Rule(picture_rules.find_broken, "file types"),
    Rule(find_incomplete, "both pictures are there"),
    Rule(find_uneven, "equal sizes"),
    Rule(find_few, "number of pairs"),
    Rule(find_unchanged, "every pair changes something"),
    Rule(find_double, "no doubles", lambda facts: len(facts.seen) > 1),
    *leak_rules.RULES,
    Rule(picture_rules.find_small, "sizes"),
    Rule(picture_rules.find_long, "shapes"),
    Rule(picture_rules.find_empty, "light"),
    rim_rules.BARS,
    rim_rules.MARKS,
    Rule(find_missing, "instructions"),
    Rule(find_drafts, "instructions were read", _any_text),
    Rule(caption_rules.find_too_long, "instruction length", _any_text),
    Rule(caption_rules.find_wordy, "instructions are to the point", _any_text),
    Rule(find_one_wording, "instructions vary", lambda facts: len(facts.captioned) >= _FEW_TO_JUDGE),
)

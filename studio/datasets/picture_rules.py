"""Rules about pictures: whole, enough, large enough, different, sharp, not too long, not empty, varied."""

from __future__ import annotations

import numpy as np

from studio.datasets import leak_rules, rim_rules
from studio.datasets.facts import Facts, Rule, Seen, share_points
from studio.datasets.report import Action, Finding, Severity
from studio.datasets.twins import Twins

ENOUGH, FEW = 10, 5
_ENLARGED, _MUCH_ENLARGED = 1.15, 2.0
# Sharp drawings and photos measure 0.37 to 2.0 (`compute_sharpness`); blurred by 0.8 % of their side, 0.04 to 0.10.
_BLURRED, _SOFT, _SOFTER_THAN_MEDIAN = 0.12, 0.20, 0.4
_LOST = 0.25
_DARK, _FLAT_COLOURS = 18.0, 24.0
OR_JUDGE = ", or the one that judges"
_MANY_GROUPS = 6
_ALIKE_BACKGROUND = 10.0


def find_broken(facts: Facts) -> list[Finding]:
    """Files that are gone or no longer decode."""
    if not facts.broken:
        return []
    ids, count = list(facts.broken), len(facts.broken)
    picture, reason = facts.broken[ids[0]]
    return [
        Finding(
            code="broken",
            severity="stop",
            picture_ids=ids,
            title=f"{facts.count(count)} cannot be read",
            rule=f"“{picture.name}”: {reason}",
            way_out="Remove it, then add the file again.",
            action=Action("remove", "Remove it" if count == 1 else f"Remove {count}", ids),
            part="quality",
            points=max(10.0, share_points(count, facts.info.num_pictures, 80, 30)),
        )
    ]


def find_few(facts: Facts) -> list[Finding]:
    """Fewer than ten pictures."""
    count = len(facts.seen)
    if count >= ENOUGH:
        return []
    severity: Severity = "stop" if count == 0 else "warn"
    title = "There are no pictures yet" if count == 0 else f"{facts.count(count)} " + ("is" if count == 1 else "are") + " few"
    return [
        Finding(
            code="few",
            severity=severity,
            picture_ids=[],
            title=title,
            rule=f"10 to 50 are right for one subject. From {count} the model learns these pictures by heart.",
            way_out=f"Add {ENOUGH - count} or more that show something new.",
            action=Action("add_pictures", "Add pictures"),
            part="pictures",
            points=round(40 * (1 - count / ENOUGH), 2),
        )
    ]


def find_small(facts: Facts) -> list[Finding]:
    """Pictures that must be enlarged to fill their bucket."""
    small = sorted((s for s in facts.seen if s.enlargement > _ENLARGED), key=lambda s: -s.enlargement)
    if not small:
        return []
    worst = small[0]
    side = min(worst.picture.width, worst.picture.height)
    return [
        Finding(
            code="small",
            severity="warn" if worst.enlargement > _MUCH_ENLARGED else "hint",
            picture_ids=[s.picture.id for s in small],
            title=f"{facts.count(len(small))} " + ("is" if len(small) == 1 else "are") + " small",
            rule=f"{facts.name(worst)} is {side:,} px on its short side; training works at {facts.resolution:,} px. "
            f"It would be enlarged {worst.enlargement:.1f} times.",
            way_out="Replace it by a larger original, or train at a lower resolution.",
            action=Action("replace", "Replace it" if len(small) == 1 else "Replace them", [s.picture.id for s in small]),
            part="quality",
            points=share_points(len(small), len(facts.seen), 45 if worst.enlargement > _MUCH_ENLARGED else 25, 25),
        )
    ]


def find_alike(facts: Facts) -> list[Finding]:
    """Pictures that are the same, nearly the same, or mirror images."""
    groups = facts.twins
    if len(groups) <= _MANY_GROUPS:
        return [_twin_finding(facts, group) for group in groups]
    members = [[facts.seen[i] for i in group.positions] for group in groups]
    ids = [s.picture.id for group in members for s in group]
    extra = [s.picture.id for group in members for s in _without_best(group)]
    return [
        Finding(
            code="alike",
            severity="warn",
            picture_ids=ids,
            title=f"{facts.count(len(ids))} have a twin",
            rule=f"They form {len(groups):,} groups of nearly the same picture. A twin counts twice and pulls the model towards itself.",
            way_out=f"Keep the largest of each group{OR_JUDGE if facts.chosen else ''}: remove {len(extra):,}.",
            action=Action("remove", f"Remove {len(extra):,} twins", extra),
            part="quality",
            points=share_points(len(extra), len(facts.seen), 55, 25),
            groups=[len(group) for group in members],
        )
    ]


def _without_best(group: list[Seen]) -> list[Seen]:
    best = max(group, key=lambda s: (s.picture.judges, _pixels(s), bool(s.picture.text), -s.number))  # who was chosen stays
    return [s for s in group if s is not best]


def _twin_finding(facts: Facts, twins: Twins) -> Finding:
    group = [facts.seen[i] for i in twins.positions]
    extra = _without_best(group)
    best = next(s for s in group if s not in extra)
    is_largest = any(_pixels(s) < _pixels(best) for s in extra)
    how = "the same" if twins.exact else "mirror images" if twins.mirrored else "nearly the same"
    same = "the same picture" if twins.exact else f"{twins.alike} % alike" + (" when one is turned round" if twins.mirrored else "")
    return Finding(
        code="twin",
        severity="warn",
        picture_ids=[s.picture.id for s in group],
        title=f"{facts.count(len(group))} are {how}",
        rule=f"{facts.names(group)} are {same}. A twin counts twice and pulls the model towards itself.",
        way_out=f"Keep {facts.name(best)}{', which judges' if best.picture.judges else ', the largest' if is_largest else ''}.",
        action=Action("remove", facts.removal(extra), [s.picture.id for s in extra]),
        part="quality",
        points=share_points(len(extra), len(facts.seen), 55, 25),
    )


def _pixels(one: Seen) -> int:
    return one.picture.width * one.picture.height


def find_blurred(facts: Facts) -> list[Finding]:
    """Pictures without one sharp edge, or much softer than the others."""
    typical = float(np.median([s.measures.sharpness for s in facts.seen])) if facts.seen else 0.0
    blurred = [s for s in facts.seen if _is_blurred(s, typical) and not _is_empty(s)]
    if not blurred:
        return []
    one = len(blurred) == 1
    return [
        Finding(
            code="blurred",
            severity="warn",
            picture_ids=[s.picture.id for s in blurred],
            title=f"{facts.count(len(blurred))} " + ("is" if one else "are") + " blurred",
            rule=f"{facts.names(blurred)} " + ("has" if one else "have") + " no sharp edge. The model would learn the blur too.",
            way_out="Remove it, or replace it by a sharper one." if one else "Remove them, or replace them by sharper ones.",
            action=Action("remove", facts.removal(blurred), [s.picture.id for s in blurred]),
            part="quality",
            points=share_points(len(blurred), len(facts.seen), 55, 25),
        )
    ]


def _is_blurred(one: Seen, typical: float) -> bool:
    sharpness = one.measures.sharpness
    return sharpness < _BLURRED or (sharpness < _SOFT and sharpness < _SOFTER_THAN_MEDIAN * typical)


def find_long(facts: Facts) -> list[Finding]:
    """Pictures so long or tall that the nearest bucket cuts a good part away."""
    cut = sorted((s for s in facts.seen if s.lost > _LOST), key=lambda s: -s.lost)
    if not cut:
        return []
    worst, one = cut[0], len(cut) == 1
    size = f"{worst.picture.width:,} x {worst.picture.height:,} px"
    return [
        Finding(
            code="long",
            severity="hint",
            picture_ids=[s.picture.id for s in cut],
            title=f"{facts.count(len(cut))} " + ("is" if one else "are") + " too long to fit",
            rule=f"{facts.name(worst)} is {size}; sides of up to 2 to 1 fit. {worst.lost:.0%} of it would be cut away.",
            way_out="Crop it to what matters, or remove it." if one else "Crop them to what matters, or remove them.",
            action=Action("crop", f"Crop {facts.name(worst)}", [worst.picture.id]),
            part="quality",
            points=share_points(len(cut), len(facts.seen), 30, 15),
        )
    ]


def find_empty(facts: Facts) -> list[Finding]:
    """Pictures that are almost black or of one colour."""
    empty = [s for s in facts.seen if _is_empty(s)]
    if not empty:
        return []
    one = len(empty) == 1
    dark = all(s.measures.brightness < _DARK for s in empty)
    what = "almost black" if dark else "of one colour"
    return [
        Finding(
            code="empty",
            severity="warn",
            picture_ids=[s.picture.id for s in empty],
            title=f"{facts.count(len(empty))} " + ("is " if one else "are ") + what,
            rule=f"In {facts.names(empty)} nothing can be made out, so nothing can be learnt.",
            way_out="Remove it." if one else "Remove them.",
            action=Action("remove", facts.removal(empty), [s.picture.id for s in empty]),
            part="quality",
            points=share_points(len(empty), len(facts.seen), 55, 25),
        )
    ]


def _is_empty(one: Seen) -> bool:
    return one.measures.colours < _FLAT_COLOURS or (one.measures.brightness < _DARK and one.measures.colours < 3 * _FLAT_COLOURS)


def find_monotony(facts: Facts) -> list[Finding]:
    """Pictures that all have nearly the same surroundings."""
    if len(facts.seen) < FEW or compute_background_difference(facts) >= _ALIKE_BACKGROUND:
        return []
    return [
        Finding(
            code="monotony",
            severity="hint",
            picture_ids=[],
            title="The backgrounds are all alike",
            rule="The rims of the pictures hardly differ in colour. The model will take the background for a part of the subject.",
            way_out="Add pictures taken in other places and other light.",
            action=Action("add_pictures", "Add pictures"),
            part="pictures",
            points=10.0,
        )
    ]


def compute_background_difference(facts: Facts) -> float:
    """How much the rims of the pictures differ, 0-255: the median over pairs of the mean difference of 28 rim cells."""
    if len(facts.seen) < 2:
        return 0.0
    rim = np.ones((8, 8), bool)
    rim[1:-1, 1:-1] = False
    cells = np.frombuffer(b"".join(s.measures.tiny for s in facts.seen[:200]), np.uint8)
    tiny = cells.astype(np.float32).reshape(-1, 8, 8, 3)[:, rim].mean(axis=1)
    one, other = np.triu_indices(len(tiny), 1)
    return float(np.median(np.abs(tiny[one] - tiny[other]).mean(axis=1)))


RULES = (
    Rule(find_broken, "file types"),
    Rule(find_few, "number of pictures"),
    Rule(find_small, "sizes"),
    Rule(find_alike, "no twins", lambda facts: len(facts.seen) > 1),
    *leak_rules.RULES,
    Rule(find_blurred, "sharpness"),
    Rule(find_long, "shapes"),
    Rule(find_empty, "light"),
    *rim_rules.RULES,
    Rule(find_monotony, "backgrounds", lambda facts: len(facts.seen) >= FEW),
)

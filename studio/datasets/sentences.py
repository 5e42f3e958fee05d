"""A report in three sentences, as a friend would say them."""

from __future__ import annotations

from studio.datasets.facts import Facts
from studio.datasets.picture_rules import compute_background_difference
from studio.datasets.report import Report, compute_score

_VARIED_BACKGROUND = 30.0


def compute_sentences(report: Report, facts: Facts) -> list[str]:
    """How it stands; what is good; what would help."""
    pairs = facts.info.kind == "pairs"
    if not report.num_pictures and pairs:
        return ["There are no pairs yet.", "50 or more teach one kind of edit.", "Add some on the Dataset page."]
    if not report.num_pictures:
        return ["There are no pictures yet.", "10 to 50 are right for one subject.", "Add some on the Dataset page."]
    return [_headline(report), _praise_pairs(report, facts) if pairs else _praise(report, facts), _advice(report)]


def _headline(report: Report) -> str:
    problems = [_small_start(f.title) for f in report.findings]
    if not problems:
        return "Ready: nothing stands in the way."
    told = problems[0] if len(problems) == 1 else f"{problems[0]} and {problems[1]}"
    if not report.ready:
        return f"Not ready yet: {told}."
    lead = "Ready, but" if report.score >= 60 else "It would train, but"
    return f"{lead} {told}."


def _praise(report: Report, facts: Facts) -> str:
    found = {f.code for f in report.findings}
    subject = facts.info.trigger_word or "the subject"
    difference = compute_background_difference(facts)
    if "monotony" not in found and len(facts.seen) > 2 and difference >= _VARIED_BACKGROUND:
        return f"The backgrounds differ well, so it will learn {subject} and not the colour behind it."
    if facts.captioned and not found & {"no_caption", "no_trigger_word", "caption_too_long"}:
        return f"All {len(facts.captioned):,} captions are there and fit the base model."
    if not found & {"small", "blurred", "broken"}:
        return f"The pictures are sharp and large enough for {report.resolution:,} px."
    return f"{len(facts.seen):,} pictures can be used."


def _praise_pairs(report: Report, facts: Facts) -> str:
    found = {f.code for f in report.findings}
    wordings = len({s.picture.text.casefold() for s in facts.captioned})
    if not found & {"no_instruction", "drafts", "one_instruction"} and wordings > 1:
        return f"{wordings:,} different instructions, so it will learn to listen to the words."
    if not found & {"incomplete", "uneven", "broken", "unchanged"}:
        return f"All {len(facts.seen):,} pairs are complete, of one size, and show a change."
    return f"{len(facts.seen):,} pairs can be used."


def _advice(report: Report) -> str:
    if not report.findings:
        return "Go on and train."
    rest = report.findings[1:]
    reachable = compute_score(rest)
    if not rest:
        return f"Mend the finding below and you reach {reachable} %."
    if reachable <= report.score:
        return f"Look at the {len(report.findings)} findings below before you train."
    return f"The first of the {len(report.findings)} findings below is worth most: mend it and you reach {reachable} %."


def _small_start(title: str) -> str:
    first, _, rest = title.partition(" ")
    return f"{first.lower()} {rest}" if rest else title

"""The rules about who judges: something is left to learn from, and no picture that judges a run is learnt from in a near copy."""

from __future__ import annotations

from studio.datasets.facts import Facts, Rule, share_points
from studio.datasets.report import Action, Finding


def find_leaks(facts: Facts) -> list[Finding]:
    """Pictures that would judge a run although a near copy of them teaches; left where all are copies of each other."""
    leaks = facts.split.leaks
    if not leaks:
        return []
    by_content = {s.picture.content: s for s in facts.seen}
    judges = [by_content[leak.judge] for leak in leaks]
    teachers = [by_content[i] for i in dict.fromkeys(i for leak in leaks for i in leak.teachers)]
    first, copies = judges[0], [by_content[i] for i in leaks[0].teachers]
    noun = "pair" if facts.info.kind == "pairs" else "picture"
    both = [s.picture.id for s in (*judges, *teachers)]
    return [
        Finding(
            code="leak",
            severity="warn",
            picture_ids=both,
            title=f"{facts.count(len(judges))} would judge what the model knows by heart",
            rule=f"{facts.name(first)} is held out to judge, and {facts.names(copies)}, nearly the same {noun}, "
            + ("teaches" if len(copies) == 1 else "teach")
            + ". The held-out loss would look better than it is.",
            way_out=f"Remove the copies that teach, or add {noun}s that are not copies: then copies stay on one side by themselves.",
            action=Action("remove", facts.removal(teachers), [s.picture.id for s in teachers]),
            part="pictures",
            points=share_points(len(judges), facts.split.held_out, 20, 20),
        )
    ]


def find_no_teachers(facts: Facts) -> list[Finding]:
    """Rows that a person chose to judge, where nothing is left to learn from."""
    split = facts.split
    if not split.chosen or split.training:
        return []
    chosen = [s.picture.id for s in facts.seen if s.picture.judges]
    noun = "pair" if facts.info.kind == "pairs" else "picture"
    return [
        Finding(
            code="all_judge",
            severity="stop",
            picture_ids=chosen,
            title="Nothing is left to learn from",
            rule=f"All {split.held_out:,} {noun}s judge ({split.say_chosen()}), and what judges is never learnt from.",
            way_out=f"Let some of them teach on the Dataset page, under Judges, or add {noun}s that are no copies of them.",
            action=Action("teach", "Let all teach again", chosen),
            part="pictures",
            points=40,
        )
    ]


RULES = (
    Rule(find_no_teachers, "something is left to learn from", lambda facts: facts.split.chosen > 0),
    Rule(find_leaks, "nothing that judges is learnt from", lambda facts: len(facts.seen) > 1),
)

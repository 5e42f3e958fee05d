"""Rules about captions that do not fit their pictures: where somebody had them scored, or the captioner guessed (see `caption_notes`)."""

from __future__ import annotations

from backends.contract.captioning import CAPTIONERS
from studio.datasets.caption_notes import DOUBTFUL
from studio.datasets.facts import Facts, Rule, share_points
from studio.datasets.report import Action, Finding


def find_misfits(facts: Facts) -> list[Finding]:
    """Captions whose score says that they fit other pictures as well, or better."""
    doubtful = [s for s in facts.captioned if facts.scores.get(s.picture.id, 1.0) < DOUBTFUL]
    if not doubtful:
        return []
    doubtful.sort(key=lambda s: facts.scores[s.picture.id])
    ids, worst, one = [s.picture.id for s in doubtful], doubtful[0], len(doubtful) == 1
    return [
        Finding(
            code="caption_misfit",
            severity="warn",
            picture_ids=ids,
            title=f"{len(doubtful):,} caption" + (" does" if one else "s do") + " not seem to fit",
            rule=f"{facts.names(doubtful)}: the caption of {facts.name(worst)} scores {facts.scores[worst.picture.id]:.2f}; "
            f"below {DOUBTFUL:g} words fit other pictures as well. A wrong caption teaches the wrong thing.",
            way_out="Read " + ("it" if one else "them") + " beside the picture; a score is a hint, your eye decides.",
            action=Action("open_captions", "Read it" if one else f"Read the {len(doubtful):,}", ids),
            part="captions",
            points=share_points(len(doubtful), len(facts.captioned), 20, 12),
        )
    ]


def find_guesses(facts: Facts) -> list[Finding]:
    """Captions by a captioner that learnt from nothing like their pictures."""
    guessed = [s for s in facts.captioned if s.picture.id in facts.guesses]
    if not guessed:
        return []
    one, captioner = len(guessed) == 1, facts.guesses[guessed[0].picture.id]
    name = CAPTIONERS[captioner].name if captioner in CAPTIONERS else captioner
    return [
        Finding(
            code="caption_guessed",
            severity="warn",
            picture_ids=[s.picture.id for s in guessed],
            title=f"{len(guessed):,} caption" + (" is a guess" if one else "s are guesses"),
            rule=f"{facts.names(guessed)}: {name} learnt from drawings, and "
            + ("this looks like a photograph." if one else "these look like photographs.")
            + " A wrong caption teaches the wrong thing.",
            way_out="Let a captioner that knows photographs write anew, such as BLIP base (1 GB, fetched once), or write "
            + ("it" if one else "them")
            + " yourself.",
            action=Action("open_captions", "Choose another captioner", [s.picture.id for s in guessed]),
            part="captions",
            points=share_points(len(guessed), len(facts.seen), 40, 25),
        )
    ]


RULES = (
    Rule(find_guesses, "no captioner guessed", lambda facts: any(s.picture.text_by == "captioner" for s in facts.captioned)),
    Rule(find_misfits, "captions fit their pictures", lambda facts: bool(facts.scores)),
)

"""Words that more than one page uses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PageText:
    """A page's address, its name, and the sentence under its title where that is always the same.

    A page with a title of its own (`own`) says by it what stands there: a data set's name, how a run goes.
    """

    path: str
    title: str
    sentence: str = ""
    own: bool = False


PAGES = {
    p.path: p
    for p in (
        PageText("", "Home", own=True),
        PageText("dataset", "Dataset", own=True),
        PageText("captions", "Captions", "Say what is in each picture. The trigger word carries what is special."),
        PageText("check", "Check", "What the trainer will see, and what would make it better. Nothing changes without you."),
        PageText("train", "Train", "Choose what it should learn. Everything else has a good value already."),
        PageText("monitor", "Monitor", own=True),
        PageText("compare", "Compare", "One seed, one scale. Only the checkpoint changes."),
        PageText("generate", "Generate"),
    )
}

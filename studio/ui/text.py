"""Words that more than one page uses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PageText:
    """A page's address, its name, and the sentence under its title."""

    path: str
    title: str
    sentence: str


PAGES = {
    p.path: p
    for p in (
        PageText("", "Home", "Recent work, and the way to begin."),
        PageText("dataset", "Dataset", "The pictures that a model will learn from."),
        PageText("captions", "Captions", "Say what is in each picture. The trigger word carries what is special."),
        PageText("check", "Check", "What is good about these pictures, and what to mend before training."),
        PageText("train", "Train", "Choose what it should learn. Everything else has a good value already."),
        PageText("monitor", "Monitor", "Watch a model develop."),
        PageText("compare", "Compare", "One seed, one scale. Only the checkpoint changes."),
        PageText("generate", "Generate", "Draw with the models that you trained."),
    )
}

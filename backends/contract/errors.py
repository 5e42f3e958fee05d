"""The one exception that is meant for a person: what is wrong, the rule, and the way out."""

from __future__ import annotations


class DarkroomError(Exception):
    """A fault that a person can mend; its text is shown as it stands, without a traceback.

    Args:
        text: What is wrong with its value, the rule and the way out, as plain sentences.
        field: Name of the setting that it belongs to, if there is one.
    """

    def __init__(self, text: str, *, field: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.field = field


def list_causes(error: BaseException) -> list[BaseException]:
    """The exception and those that led to it."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    return chain

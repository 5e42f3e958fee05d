"""Which rows stand together on a light table: those that lack something, drafts, excluded ones, judges. Counted and found by the table."""

from __future__ import annotations

from studio.datasets.index import JUDGES, SILENT, PictureIndex

_HALF = "missing IN ('before', 'after')"
# Of rows of which a picture is there.
KINDS = {
    "text": SILENT,
    "before": "missing = 'before'",
    "after": "missing = 'after'",
    "half": _HALF,
    "draft": "text_by = 'draft' AND text <> '' AND missing <> 'both'",
    "needy": f"({_HALF} OR {SILENT})",
    "excluded": "excluded AND missing <> 'both'",
    "judges": JUDGES,
}
_MOSTLY = 0.6  # of all instructions; then the few others are asked about
_SAID = "SELECT text, count(*) AS times FROM rows WHERE text <> '' AND missing <> 'both' GROUP BY text ORDER BY times DESC LIMIT 1"


def count_kinds(index: PictureIndex) -> dict[str, int]:
    """How many rows there are of each of `KINDS`."""
    with index.read() as table:
        return {kind: table.execute(f"SELECT count(*) FROM rows WHERE {where}").fetchone()[0] for kind, where in KINDS.items()}


def find_common_words(index: PictureIndex, rows: int) -> tuple[str, int] | None:
    """The words that most of so many rows have, and how many; None where all have them, or only few or fewer than three."""
    with index.read() as table:
        text, times = table.execute(_SAID).fetchone() or ("", 0)
    return (text, times) if max(3, _MOSTLY * rows) <= times < rows else None

"""Which captions are looked for: without words, too long, with a word, a tag, a text, by whom. The table narrows, Python decides."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

import regex
from pydantic import BaseModel, Field

from backends.contract.caption_reading import split_tags
from backends.contract.errors import DarkroomError
from studio.datasets.index import SILENT, PictureIndex
from studio.datasets.places import Runs, from_runs
from studio.datasets.tokens import Counter
from studio.datasets.trigger import with_trigger_word
from studio.datasets.words import find_phrases

REGEX_S = 2.0
_SCORED = "EXISTS (SELECT 1 FROM caption_scores s WHERE s.id = rows.id AND s.text = rows.text"
Test = Callable[[str], bool]
Short = Annotated[str, Field(max_length=500)]


class Wanted(BaseModel):
    """What a caption must be like; all that is given must hold, and nothing given means all captions.

    `text` stands in it somewhere, in any case of letters, or fits as an expression; or does not, with `absent`. `tag` is one of
    the parts between its commas, `word` one of the words that `words` counts. `tokens_min` and `tokens_max` bound its length;
    `by` says who wrote it; `score_max` how well it fits its picture at most (0 to 1), of those that a scorer has looked at as
    they read now; `misplaced` is a trigger word and its place, which the caption has not; `among` are the only places that are
    looked at.
    """

    state: Literal["", "missing", "written"] = ""
    by: Literal["", "person", "file", "captioner", "draft"] = ""
    text: Short = ""
    expression: bool = False
    absent: bool = False
    tag: Short = ""
    word: Short = ""
    tokens_min: Annotated[int | None, Field(ge=0, le=100_000)] = None
    tokens_max: Annotated[int | None, Field(ge=0, le=100_000)] = None
    score_max: Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False)] = None
    misplaced: tuple[Short, Literal["start", "subject", "end", "remove"]] | None = None
    among: Runs | None = None


def find_places(index: PictureIndex, wanted: Wanted, counter: Counter | None = None) -> list[int]:
    """Where the rows stand whose captions are as wanted, in their order. Halves of pairs, which have nothing to say yet, are left out.

    Args:
        index: The rows.
        wanted: What is looked for.
        counter: Counts tokens; needed where a length is asked for.

    Raises:
        DarkroomError: When an expression is none, or takes more than 2 s.
    """
    where, values = _condition(wanted)
    if wanted.score_max is not None:
        if not has_scores(index):
            raise DarkroomError("No caption has a score yet. Let a scorer look at them first.", field="score_max")
        where += f" AND {_SCORED} AND s.score <= ?)"
        values.append(wanted.score_max)
    tests = _tests(wanted, counter)
    among = None if wanted.among is None else set(from_runs(wanted.among))
    if not tests:
        found = index.places(where, values)
        return found if among is None else [place for place in found if place in among]
    texts = index.texts(where, values)
    return [place for place, text in texts if (among is None or place in among) and all(test(text) for test in tests)]


def has_scores(index: PictureIndex) -> bool:
    """Whether a scorer has looked at captions of this data set."""
    with index.read() as table:
        there = table.execute("SELECT 1 FROM sqlite_master WHERE name = 'caption_scores'").fetchone() is not None
        return there and table.execute("SELECT 1 FROM caption_scores LIMIT 1").fetchone() is not None


def build_pattern(find: str, *, is_regex: bool, match_case: bool = False) -> regex.Pattern[str]:
    """What is looked for, as an expression.

    Raises:
        DarkroomError: When it is empty or not a regular expression; says where it breaks.
    """
    if not find:
        raise DarkroomError("Write what is to be found.", field="find")
    flags = regex.V1 | (0 if match_case else regex.IGNORECASE)
    try:
        return regex.compile(find if is_regex else regex.escape(find), flags)
    except regex.error as error:
        raise DarkroomError(
            f"“{find}” is not a regular expression: {error}. Switch it off to find the text as it stands.", field="find"
        ) from None


def _condition(wanted: Wanted) -> tuple[str, list[Any]]:
    where: list[str] = ["missing = ''"]
    values: list[Any] = []
    if wanted.state:
        where.append(SILENT if wanted.state == "missing" else "text <> ''")
    if wanted.by:
        where.append("text_by = ?")
        values.append(wanted.by)
    text = "" if wanted.expression or wanted.absent else wanted.text
    for needle in (text, *(many.split(" ")[0] for many in (wanted.tag, wanted.word))):
        if needle and needle.isascii():  # SQLite knows the small letters of these only
            where.append("text LIKE ? ESCAPE '\\'")
            values.append("%" + regex.sub(r"([\\%_])", r"\\\1", needle) + "%")
    if wanted.tokens_min:
        where.append("length(CAST(text AS BLOB)) >= ?")  # a token is a byte at least
        values.append(wanted.tokens_min)
    return " AND ".join(where), values


def _tests(wanted: Wanted, counter: Counter | None) -> list[Test]:
    tests: list[Test] = []
    if wanted.text:
        found = _text_test(wanted)
        tests.append((lambda text: not found(text)) if wanted.absent else found)
    if wanted.tag:
        tag = wanted.tag.casefold()
        tests.append(lambda text: tag in (part.casefold() for part in split_tags(text)))
    if wanted.word:
        tests.append(lambda text: wanted.word in find_phrases(text))
    if wanted.misplaced:
        word, place = wanted.misplaced
        tests.append(lambda text: bool(text) and with_trigger_word(text, word, place) != text)
    least, most = wanted.tokens_min, wanted.tokens_max
    if counter is not None and (least is not None or most is not None):
        tests.append(lambda text: (least or 0) <= counter.count(text) <= (10**9 if most is None else most))
    return tests


def _text_test(wanted: Wanted) -> Test:
    if not wanted.expression:
        needle = wanted.text.casefold()
        return lambda text: needle in text.casefold()
    pattern = build_pattern(wanted.text, is_regex=True)
    spent = 0.0

    def fits(text: str) -> bool:
        nonlocal spent
        begun = time.thread_time()  # of this thread alone: a busy machine is no fault of the expression
        try:
            return pattern.search(text, timeout=max(0.01, REGEX_S - spent)) is not None
        except TimeoutError:
            raise too_slow(pattern) from None
        finally:
            spent += time.thread_time() - begun

    return fits


def too_slow(pattern: regex.Pattern[str]) -> DarkroomError:
    """What is said of an expression that does not end."""
    return DarkroomError(f"“{pattern.pattern}” takes more than {REGEX_S:g} s on these captions. Write it simpler.", field="find")

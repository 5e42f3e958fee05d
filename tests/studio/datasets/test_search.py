"""Which captions are found, by what, and that the words and tags that are counted are those that stand there."""

from __future__ import annotations

from collections import Counter as Counts

import pytest

from backends.contract.caption_reading import split_tags
from backends.contract.errors import DarkroomError
from studio.datasets import captions, search
from studio.datasets.captions import set_caption
from studio.datasets.history import Cause
from studio.datasets.search import Wanted, find_places
from studio.datasets.tokens import Counter
from studio.datasets.words import WordCounts, find_phrases
from tests.studio.datasets.many import caption, create_many

COUNT = 200
COUNTER = Counter(limit=75, tokenizer=None)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    from studio.datasets.store import DatasetStore  # noqa: PLC0415
    from studio.workspace import open_workspace  # noqa: PLC0415

    store = DatasetStore(open_workspace(tmp_path_factory.mktemp("workspace")))
    return store.index(create_many(store, COUNT))


def numbers(test):
    return [n + 1 for n in range(COUNT) if test(caption(n))]


ASKED = {
    "all": (Wanted(), lambda t: True),
    "missing": (Wanted(state="missing"), lambda t: not t),
    "written": (Wanted(state="written"), bool),
    "text": (Wanted(text="RED background"), lambda t: "red background" in t),
    "text with signs": (Wanted(text="100%_"), lambda t: False),
    "without text": (Wanted(text="beach", absent=True), lambda t: "beach" not in t),
    "expression": (
        Wanted(text=r"number \d*5\b.*(beach|wall)$", expression=True),
        lambda t: t.split(",")[0][-1:] == "5" and t[-4:] in ("each", "wall"),
    ),
    "tag": (Wanted(tag="wooden table"), lambda t: "wooden table" in split_tags(t)),
    "part of a tag": (Wanted(tag="wooden"), lambda t: False),
    "word": (Wanted(word="beach"), lambda t: "beach" in find_phrases(t)),
    "long": (Wanted(tokens_min=30), lambda t: COUNTER.count(t) >= 30),
    "short": (Wanted(tokens_max=16), lambda t: COUNTER.count(t) <= 16),
    "among": (Wanted(text="zog", among=[[3, 4], [100, 1]]), lambda t: t in {caption(n) for n in (2, 3, 4, 5)}),
    "misplaced": (Wanted(misplaced=("zog", "end")), bool),
    "in place": (Wanted(misplaced=("zog", "start")), lambda t: False),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_found_is_what_was_asked_for(index, name):
    wanted, test = ASKED[name]
    assert find_places(index, wanted, COUNTER) == numbers(test)


def test_who_wrote_it_is_asked_of_the_table(index):
    by = {row.place: row.text_by for row in index.rows()}
    assert find_places(index, Wanted(by="person")) == [place for place, writer in by.items() if writer == "person"]


def test_a_wrong_expression_says_what_is_wrong_and_one_that_never_ends_is_stopped(store, monkeypatch):
    dataset = create_many(store, 1)
    index = store.index(dataset)
    captions.change_captions(store, dataset, {row.id: "a" * 1500 + "!" for row in index.rows()})
    with pytest.raises(DarkroomError, match="not a regular expression") as wrong:
        find_places(index, Wanted(text="zog(", expression=True))
    assert wrong.value.field == "find"
    monkeypatch.setattr(search, "REGEX_S", 0.02)
    with pytest.raises(DarkroomError, match="takes more than"):
        find_places(index, Wanted(text=r"(a|a|aa)+$", expression=True))


def count_anew(index):
    words, tags = Counts(), Counts()
    for row in index.rows():
        words.update(find_phrases(row.text))
        tags.update({tag.casefold() for tag in split_tags(row.text)})
    return words, tags


def test_counted_words_follow_every_kind_of_change(store):
    dataset = create_many(store, 60)
    index, counts = store.index(dataset), WordCounts()

    def agrees():
        return (counts.words(index), counts.tags(index)) == count_anew(index)

    def write(text, writer="one"):
        row = next(index.rows())
        set_caption(store, dataset, row.id, text, row.version, cause=Cause("hand", writer=writer))

    assert agrees()
    for text in ("zog, waving", "zog, waving hello", "", "zog, new"):  # typed: the history keeps only what stood before
        write(text)
        assert agrees()
    token = captions.replace(store, dataset, "wooden", "iron")
    assert agrees()
    write("again", writer="two")
    captions.undo(store, dataset, token)
    assert agrees()
    removed = store.remove(dataset, [row.id for row in index.rows(limit=5)])
    assert agrees()
    store.undo(dataset, removed)
    assert agrees()


def test_words_of_another_data_set_in_the_same_place_are_counted_anew(store):
    counts = WordCounts()
    for text in ("red", "blue"):
        dataset = create_many(store, 3)
        captions.change_captions(store, dataset, {row.id: text for row in store.index(dataset).rows()})
        assert counts.words(store.index(dataset)) == {text: 3}
        store.delete(dataset)

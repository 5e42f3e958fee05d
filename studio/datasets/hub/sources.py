"""Names of data sets on the hub, and what the names of their files tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from backends.contract.errors import DarkroomError

PREFIX = "hub:"
_NAME = re.compile(r"[\w][\w.-]{0,95}/[\w][\w.-]{0,95}")
_SPLITS = ("train", "test", "validation", "valid", "val", "dev", "eval")
_PART = re.compile(r"([A-Za-z]\w*?)-\d+-of-\d+\.\w+")
_NO_SPLIT = ("data", "default")


@dataclass(frozen=True)
class Source:
    """What is to be fetched. An empty revision is the newest, an empty split `train`, or all where there is none of this name."""

    repo: str
    revision: str = ""
    split: str = ""


def parse_source(text: str) -> Source:
    """`hub:owner/name`, with `@revision` and `#split` where they are wanted.

    Raises:
        DarkroomError: When it is no name of the hub.
    """
    rest, _, split = text.removeprefix(PREFIX).partition("#")
    repo, _, revision = rest.partition("@")
    repo = repo.strip().removeprefix("https://huggingface.co/").removeprefix("datasets/").strip("/")
    if not _NAME.fullmatch(repo):
        raise DarkroomError(f"“{repo or text}” cannot be a data set of the hub. Give its name as owner/name.")
    return Source(repo, revision.strip(), split.strip())


def split_of(path: str) -> str:
    """The split that a file's name or folder tells: `data/train-00000-of-00002.parquet` -> train; nothing where it does not."""
    words = re.split(r"[/._-]+", path.lower())
    known = next((word for word in words if word in _SPLITS), "")
    part = _PART.fullmatch(PurePosixPath(path).name)
    folder = PurePosixPath(path).parent.name
    found = known or (part[1] if part else folder)
    return "" if found in _NO_SPLIT else found


def name_of(source: Source) -> str:
    """What the data set is called here."""
    return PurePosixPath(source.repo).name.replace("-", " ").replace("_", " ").strip()[:80] or source.repo[:80]

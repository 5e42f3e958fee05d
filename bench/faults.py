"""What the check finds in pictures of your own: `python -m bench.faults FOLDER` puts faults into copies of them and counts.

First the pictures as they are: whatever the check calls a fault there is an alarm, or a real fault, so they are named. Then a third of
them gets a copy, a third is blurred, and a quarter each gets bars, a mark, or darkness, in turns, until each picture had each fault once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image

from studio.datasets.checks import check_dataset
from studio.datasets.ingest import ingest_folder
from studio.datasets.store import DatasetStore
from studio.workspace import open_workspace
from tests.studio.datasets.drawing import encode
from tests.studio.datasets.faults import copy, darken, soften, with_bars, with_mark

LONGEST = 1024  # px: larger ones are brought down to it first
FAULTS: dict[str, Callable[[Image.Image, int], Image.Image]] = {
    "blurred": soften,
    "bars": with_bars,
    "watermark": lambda image, number: with_mark(image),
    "dark": lambda image, number: darken(image),
}
TURNS = (("twin", "blurred", ""), ("bars", "watermark", "dark", ""))
SAME = {"alike": "twin"}  # both rules tell copies; nearly black pictures are told as empty


def say(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def put_faults(paths: list[Path], folder: Path, turn: tuple[str, ...], shift: int) -> dict[str, set[str]]:
    """Writes the pictures into `folder`, each with the fault whose turn it is; the names by fault."""
    put: dict[str, set[str]] = {fault: set() for fault in turn if fault}
    for number, path in enumerate(paths):
        fault, name = turn[(number + shift) % len(turn)], f"{number:04d} {path.stem[:30]}.jpg"
        with Image.open(path) as file:
            image = file.convert("RGB")
        image.thumbnail((LONGEST, LONGEST))
        if fault == "twin":
            (folder / f"copy {name}.png").write_bytes(copy(image, number // len(turn)))
            put[fault].add(f"copy {name}.png")
        elif fault:
            image = FAULTS[fault](image, number // len(turn))
        if fault:
            put[fault].add(name)
        (folder / name).write_bytes(encode(image, "JPEG", quality=85))
    return put


def find_faults(folder: Path, workspace: Path) -> dict[str, set[str]]:
    """What the check says of the pictures of a folder: names by code."""
    store = DatasetStore(open_workspace(workspace))
    made = store.create("Faults", "pictures").id
    ingest_folder(store, made, folder)
    names = {row.id: row.name for row in store.pictures(made)}
    found: dict[str, set[str]] = {}
    for finding in check_dataset(store, made).findings:
        found.setdefault(SAME.get(finding.code, finding.code), set()).update(names[i] for i in finding.picture_ids)
    return found


def count(paths: list[Path], turn: tuple[str, ...], shift: int) -> Counter[tuple[str, str]]:
    """Of one turn: put in, missed and alarms by fault; what was missed is named."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "in"
        folder.mkdir()
        put = put_faults(paths, folder, turn, shift)
        found = find_faults(folder, Path(scratch) / "workspace")
    counts: Counter[tuple[str, str]] = Counter()
    for fault, names in put.items():
        missed = names - found.get(fault, set()) - (found.get("empty", set()) if fault == "dark" else set())
        counts[fault, "put in"], counts[fault, "missed"] = len(names), len(missed)
        counts[fault, "called so besides"] = len(found.get(fault, set()) - names)
        say(f"  missed, {fault}: {name}" for name in sorted(missed))
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, help="good pictures, fifty or more")
    paths = sorted(p for p in parser.parse_args().folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "in"
        folder.mkdir()
        put_faults(paths, folder, ("",), 0)
        called = find_faults(folder, Path(scratch) / "workspace")
    say([f"{len(paths)} pictures as they are:"])
    say(f"  called {code}: {name}" for code in sorted(called) if code != "no_caption" for name in sorted(called[code]))
    total: Counter[tuple[str, str]] = Counter()
    for turn in TURNS:
        for shift in range(len(turn)):
            total += count(paths, turn, shift)
    for fault in ("twin", *FAULTS):
        say([f"{fault}: " + ", ".join(f"{total[fault, what]} {what}" for what in ("put in", "missed", "called so besides"))])


if __name__ == "__main__":
    main()

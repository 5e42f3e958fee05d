"""The documents name only what there is: files, headings, commands, options, settings, presets, and the memory that presets ask for."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.main

from backends.contract.launch import LaunchSettings
from backends.registry import BACKENDS, REFUSED
from docs.tools import calibrate
from studio.cli.root import app
from studio.runs.cost import compute_memory_parts
from studio.runs.hardware import Gpu, Hardware
from studio.runs.levers import list_levers
from studio.runs.presets import find_preset, load_presets
from tests.rules.source import ROOT, for_each

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "assets").rglob("*.md")])
METHODS = ("text_to_image", "dreambooth", "text_to_image_full", "instruct_pix2pix", "ai_toolkit")
LEVERS = {"gradient_checkpointing": "Save memory", "train_batch_size": "Batch size", "resolution": "Resolution", "use_8bit_adam": "8-bit"}
OURS = ("studio", "backends", "assets", "bench", "docs", "tests")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_MODULE = re.compile(r"(?<!\S)-m ([\w.]+)")


@cache
def read(path: Path) -> str:
    return path.read_text("utf-8")


def headings(path: Path) -> set[str]:
    """The anchors of a document, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", read(path)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def code_lines(path: Path) -> Iterator[str]:
    """Every line of code in a document, and everything that stands between single backquotes."""
    for block in _FENCE.findall(read(path)):
        yield from block.replace("\\\n", " ").splitlines()[1:-1]
    yield from re.findall(r"`([^`]+)`", _FENCE.sub("", read(path)))


def commands(path: Path, beginning: str) -> Iterator[list[str]]:
    """The words behind `beginning` in every command of a document, its comment left out."""
    start = re.compile(rf"\s*(?:[A-Z_]+=\S+ |\S+/)*{beginning}(?!\S)")
    for line in code_lines(path):
        for part in re.split(r"&&|;|\|", line.replace("\n", " ")):
            found = start.match(part)
            if found:
                yield shlex.split(part[found.end() :], comments=True)


@for_each(DOCUMENTS)
def test_every_link_leads_somewhere(path):
    assert not [link for link in _LINK.findall(_FENCE.sub("", read(path))) if not leads_somewhere(path, link)]


def leads_somewhere(path: Path, link: str) -> bool:
    """Whether a document's link is one of the web, or names a file that is there and a heading that it has."""
    if link.startswith(("https://", "mailto:")):
        return True
    place, _, anchor = link.partition("#")
    target = (path.parent / place).resolve() if place else path
    return target.exists() and (not anchor or anchor in headings(target))


@for_each(DOCUMENTS)
def test_every_target_of_make_exists(path):
    targets = set(re.findall(r"^([\w-]+):", read(ROOT / "Makefile"), re.MULTILINE))
    for words in commands(path, "make"):
        named = words[0] if words else ""
        assert not re.fullmatch(r"[a-z-]+", named) or named in targets, named


@for_each(DOCUMENTS)
def test_every_module_of_ours_that_is_run_exists(path):
    for line in code_lines(path):
        for module in _MODULE.findall(line):
            place = ROOT.joinpath(*module.split("."))
            assert module.split(".")[0] not in OURS or place.is_dir() or place.with_suffix(".py").is_file(), line


@for_each(DOCUMENTS)
def test_every_command_of_the_studio_has_what_is_written_of_it(path):
    for words in commands(path, "python -m studio"):
        check_command(words)


def check_command(words: list[str]) -> None:
    """Follows the words through the commands; every option, setting and preset must be there."""
    command = typer.main.get_command(app)
    while words and not words[0].startswith("-") and hasattr(command, "commands") and words[0] != "...":
        assert words[0] in command.commands, words
        command, words = command.commands[words[0]], words[1:]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    given = list(itertools.zip_longest(words, words[1:], fillvalue=""))
    preset = next((value for option, value in given if option == "--preset" and value != "..."), "text_to_image/pocket_subject")
    fields = BACKENDS[find_preset(preset).backend].config.model_fields
    for option, value in given:
        assert not option.startswith("-") or option in known, (option, words)
        if option in ("--set", "-s") and command.name == "train":
            assert value.partition("=")[0] in fields, value
        if option == "--launch":
            assert value.partition("=")[0] in LaunchSettings.model_fields, value


def table_row(title: str) -> dict[str, str]:
    """Method -> what the README's table of trainings says in the row of this base."""
    (row,) = [line for line in read(ROOT / "README.md").splitlines() if line.startswith(f"| **{title}**")]
    return dict(zip(METHODS, [cell.strip() for cell in row.strip("| ").split("|")[1:]], strict=True))


@pytest.mark.parametrize(("family", "title"), [("sd15", "SD 1.5"), ("sdxl", "SDXL"), ("flux", "Flux")])
def test_the_table_of_trainings_names_the_smallest_gpu_of_the_presets(family, title):
    for method, told in table_row(title).items():
        name = f"{family}/{method}"
        sizes = [p.gpu_memory_gb for p in load_presets() if p.backend == name and p.gpu_memory_gb]
        assert told == (f"{min(sizes):g} GB" if sizes else "refused" if name in REFUSED else "–"), name


def test_the_table_of_trainings_names_the_minutes_of_the_pocket_presets():
    for method, told in table_row("Pocket").items():
        minutes = [p.minutes for p in load_presets() if p.backend.endswith(f"/{method}") and not p.gpu_memory_gb]
        span = dict.fromkeys(f"{m:g}" for m in (min(minutes, default=0), max(minutes, default=0)))
        assert told == (f"no GPU, {' to '.join(span)} min" if minutes else "–"), method


def test_the_guide_tells_what_each_way_to_need_less_memory_saves():
    rows = {line.split("|")[1].strip(" *"): line.split("|")[2:4] for line in read(ROOT / "docs" / "guide.md").splitlines() if "|" in line}
    card = Hardware(gpus=[Gpu("RTX 4090", 24.0, 24.0)], name="RTX 4090")
    common = {"resolution": 1024, "rank": 16, "mixed_precision": "bf16"}
    for column, (name, base, batch) in enumerate((("sdxl", "sdxl", 4), ("flux", "flux-dev", 1))):
        kind = BACKENDS[f"{name}/text_to_image"].config
        config = kind(**common, pretrained_model_name_or_path=base, train_batch_size=batch)
        need = sum(size for _, size in compute_memory_parts(config, card))
        assert rows["setting"][column].endswith(f": {need:.1f} GB "), need
        for lever in list_levers(config, card):
            change, value = next(iter(lever.changes.items()))
            if change != "rank":
                told = next(cells for title, cells in rows.items() if title.startswith(LEVERS.get(change, value)))
                assert told[column].strip().startswith(f"{lever.saves_gb:.1f} GB less"), lever


def test_the_page_of_learning_says_what_its_figures_say():
    """`make calibrate ARGS=--write` writes it anew."""
    assert read(calibrate.OUT) == calibrate.describe(json.loads(read(calibrate.FIGURES)))


def test_each_decision_has_a_number_of_its_own():
    found = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(path.name[:4]) for path in found]
    assert len(set(numbers)) == len(numbers)
    for number, path in zip(numbers, found, strict=True):
        assert read(path).startswith(f"# {number}. "), path.name

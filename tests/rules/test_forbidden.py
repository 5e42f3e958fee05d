"""Calls and words that never stand in the project."""

from __future__ import annotations

import ast
import re
import subprocess

import pytest

from tests.rules.source import ROOT, for_each, imported_modules, parse, python_files, relative

PRODUCT = python_files("app.py", "studio", "backends", "assets/build", "bench", "docs/tools")


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


@for_each(PRODUCT)
def test_no_code_is_run_from_data(path):
    assert not imported_modules(path) & {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
    for node in ast.walk(parse(path)):
        if not isinstance(node, ast.Call):
            continue
        assert called(node) not in {"eval", "exec", "os.system", "os.popen", "torch.load", "yaml.load", "yaml.unsafe_load"}
        for keyword in node.keywords:
            switched_on = isinstance(keyword.value, ast.Constant) and keyword.value.value is True
            assert not (keyword.arg in {"shell", "trust_remote_code"} and switched_on)


@for_each(python_files("tests"))
def test_tests_never_sleep(path):
    calls = {called(n) for n in ast.walk(parse(path)) if isinstance(n, ast.Call)}
    assert not calls & {"time.sleep", "sleep", "asyncio.sleep"}


def test_nothing_tracked_names_this_machine_or_how_the_work_was_done():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    own = relative(__import__("pathlib").Path(__file__))
    pattern = re.compile(r"/work/(main|shared)|\.\./shared|farm-(studio|bench)|/root/\.pyenv|/tmp/setup")
    suffixes = {".py", ".md", ".js", ".css", ".yaml", ".yml", ".toml", ".txt", ".html", ".json", ""}
    found = []
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if name and name != own and path.suffix in suffixes and path.is_file() and path.stat().st_size < 1_000_000:
            text = path.read_text("utf-8", errors="ignore")
            found += [f"{name}: {m.group()}" for m in pattern.finditer(text)]
    assert not found


def test_the_tracked_tree_stays_under_60_mib():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / n for n in listed.stdout.decode().split("\0") if n]
    assert sum(p.lstat().st_size for p in files if p.is_file()) < 60 * 2**20

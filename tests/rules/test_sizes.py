"""Small modules, short functions, few parameters: the sizes that docs/architecture.md promises."""

from __future__ import annotations

import ast

from tests.rules.source import ROOT, for_each, parse, python_files, relative

MAX_FILE, MAX_FUNCTION, MAX_LONG_FUNCTION, MAX_PARAMETERS, MAX_SCRIPT = 400, 80, 120, 8, 300
# The loop reads as one story, and a page's build lists what stands on it.
LONG_FUNCTIONS = {
    ("backends/engine/loop.py", "train"),
    *((f"studio/ui/pages/{p.stem}.py", "build") for p in python_files("studio/ui/pages")),
}


@for_each(python_files())
def test_a_file_stays_under_400_lines(path):
    assert len(path.read_text("utf-8").splitlines()) <= MAX_FILE


@for_each(python_files())
def test_functions_stay_short_and_take_few_parameters(path):
    for node in ast.walk(parse(path)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        limit = MAX_LONG_FUNCTION if (relative(path), node.name) in LONG_FUNCTIONS else MAX_FUNCTION
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        assert lines <= limit, f"{node.name} has {lines} lines; at most {limit}"
        names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs) if a.arg not in ("self", "cls")]
        if not relative(path).startswith("tests/"):
            assert len(names) <= MAX_PARAMETERS, f"{node.name} takes {len(names)} parameters; at most {MAX_PARAMETERS}"


@for_each(sorted((ROOT / "assets" / "brand" / "js").glob("*.js")))
def test_a_widget_script_stays_under_300_lines(path):
    assert len(path.read_text("utf-8").splitlines()) <= MAX_SCRIPT

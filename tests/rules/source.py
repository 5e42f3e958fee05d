"""The project's own Python files, parsed once for the rule tests."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("app.py", "studio", "backends", "assets/build", "bench", "docs/tools", "tests")


@cache
def python_files(*parts: str) -> tuple[Path, ...]:
    """Python files below the given parts of the project (all parts without arguments)."""
    found: list[Path] = []
    for part in parts or PARTS:
        path = ROOT / part
        found += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return tuple(found)


@cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def imported_modules(path: Path) -> set[str]:
    """Dotted names of everything that a file imports, at any depth (`from a import b` gives `a` and `a.b`)."""
    names: set[str] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def relative(path: Path) -> str:
    """A file's path inside the project."""
    return path.relative_to(ROOT).as_posix()


def for_each(paths: Iterable[Path]) -> Callable[[Callable[[Path], None]], Callable[[], None]]:
    """Makes one test of a check on many files; it names all that fail."""

    def make(check: Callable[[Path], None]) -> Callable[[], None]:
        def test() -> None:
            failed = []
            for path in paths:
                try:
                    check(path)
                except AssertionError as error:
                    failed.append(f"{relative(path)}: {error}")
            assert not failed, "\n".join(failed)

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return make

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.backends import toys


@pytest.fixture(scope="session")
def toy_base(tmp_path_factory) -> Callable[[str], Path]:
    """A random base model of a family, made once for all tests."""
    folder, made = tmp_path_factory.mktemp("bases"), {}

    def build(family: str) -> Path:
        if family not in made:
            made[family] = toys.build_base(folder / f"toy-{family}", family)
        return made[family]

    return build

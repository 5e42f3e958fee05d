from __future__ import annotations

from tests.backends.conftest import toy_base

__all__ = ["toy_base"]

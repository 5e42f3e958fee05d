"""What a column `held_out` may say."""

from __future__ import annotations

import pytest

from backends.contract.errors import DarkroomError
from backends.contract.judging import read_mark


@pytest.mark.parametrize("value", [True, 1, 1.0, "1", "true", " True ", "yes"])
def test_what_judges(value):
    assert read_mark(value) is True


@pytest.mark.parametrize("value", [None, False, 0, 0.0, "", "0", "False", "no", "none", "null"])
def test_what_is_learnt_from(value):
    assert read_mark(value) is False


@pytest.mark.parametrize("value", ["perhaps", 2, [True], {"a": 1}])
def test_anything_else_is_refused_with_its_value(value):
    with pytest.raises(DarkroomError, match="held_out is “.*”; it must be true"):
        read_mark(value)

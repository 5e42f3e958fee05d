"""The token comes from the environment or a private file, and only the place of it is ever spoken of."""

from __future__ import annotations

import pytest

from backends.contract.errors import DarkroomError
from backends.contract.hub_token import find_token, use_token_file

TOKEN = "hf_secret"


def write_token(folder, mode=0o600):
    path = folder / "hf_token"
    path.write_text(TOKEN)
    path.chmod(mode)
    return path


def test_the_workspaces_file_is_handed_on_by_its_path(tmp_path):
    path, environment = write_token(tmp_path), {}
    use_token_file(tmp_path, environment)
    assert environment == {"HF_TOKEN_PATH": str(path)}
    assert find_token(environment) == str(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_may_read_is_refused_with_the_command_that_mends_it(mode, tmp_path):
    path = write_token(tmp_path, mode)
    with pytest.raises(DarkroomError, match=f"chmod 600 {path}") as caught:
        use_token_file(tmp_path, {})
    assert TOKEN not in caught.value.text


def test_the_environment_goes_before_the_file(tmp_path):
    write_token(tmp_path)
    for name in ("HF_TOKEN", "HF_TOKEN_PATH"):
        environment = {name: "elsewhere"}
        use_token_file(tmp_path, environment)
        assert environment == {name: "elsewhere"}


def test_without_a_token_there_is_none(tmp_path):
    environment = {"HF_HOME": str(tmp_path)}
    use_token_file(tmp_path, environment)
    assert find_token(environment) == "" and environment == {"HF_HOME": str(tmp_path)}
    (tmp_path / "token").write_text("\n")
    assert find_token(environment) == ""


def test_where_a_token_lies_is_said_and_never_the_token(tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    assert find_token({"HF_HOME": str(tmp_path)}) == str(tmp_path / "token")
    assert find_token({"HF_TOKEN": TOKEN}) == "HF_TOKEN"

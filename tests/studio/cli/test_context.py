"""What a command starts from: a token for the hub that lies in the workspace reaches the trainers by its path only."""

from __future__ import annotations

import os

import pytest

from backends.contract.errors import DarkroomError
from studio.cli.context import open_studio
from studio.web.launch import Launch, launch


@pytest.fixture
def token_file(tmp_path, monkeypatch):
    for name in ("HF_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    path = tmp_path / "hf_token"
    path.write_text("hf_secret")
    return path


def test_a_private_token_file_is_named_to_what_is_started(token_file):
    token_file.chmod(0o600)
    open_studio(token_file.parent)
    assert os.environ["HF_TOKEN_PATH"] == str(token_file)
    assert "hf_secret" not in os.environ.values()


@pytest.mark.parametrize("start", [open_studio, lambda root: launch(Launch(workspace=root, port=0, open_browser=False))])
def test_a_token_file_that_others_may_read_is_refused_at_the_start(start, token_file):
    token_file.chmod(0o644)
    with pytest.raises(DarkroomError, match="chmod 600"):
        start(token_file.parent)
    assert "HF_TOKEN_PATH" not in os.environ

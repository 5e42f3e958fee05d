"""One command at a time, as a person types it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from studio.cli.root import app


@pytest.fixture
def studio(tmp_path):
    """Runs one command on a workspace of its own; (exit code, JSON value)."""

    def run(*arguments):
        done = CliRunner().invoke(app, [*map(str, arguments), "--workspace", str(tmp_path / "workspace"), "--json"])
        assert "Traceback" not in done.output
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, json.loads(done.stdout)

    return run

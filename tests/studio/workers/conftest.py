from __future__ import annotations

import pytest

from studio.workers.generator import Generator
from studio.workspace import open_workspace
from tests.adapters import write_adapter
from tests.run_folders import RunWriter


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return open_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def generator(workspace):
    """A real generator; its process is shared by a file's tests."""
    made = Generator(workspace)
    yield made
    made.release()


@pytest.fixture(scope="module")
def make_run(workspace):
    """A run that was stopped at step 200, with real LoRAs at 80 and 160."""

    def make(run_id: str, *, prompts: list[str] | None = None) -> RunWriter:
        writer = RunWriter(workspace, run_id, **({"prompts": prompts} if prompts else {}))
        writer.begin()
        writer.train(1, 200)
        for step in (80, 160):
            write_adapter(writer.run.weights(step), step)
        write_adapter(writer.run.result, 200)
        writer.end("stopped", step=200)
        return writer

    return make

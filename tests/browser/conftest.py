"""What several page tests share: a run that was really trained, once for all of them."""

from __future__ import annotations

import pytest

from studio.runs.control import start_run
from studio.runs.store import RunStore
from tests.browser.trained import create_small_run
from tests.waiting import wait_until


@pytest.fixture(scope="session")
def trained_run(server):
    """A finished run of 40 steps with two checkpoints and its LoRA."""
    store = RunStore(server.workspace)
    run = create_small_run(server.workspace, "zog-trained")
    start_run(server.workspace, run.id)
    wait_until(lambda: store.get(run.id).state not in ("starting", "running"), limit_s=400, pause_s=0.5)
    done = store.get(run.id)
    assert done.state == "finished", done.reason
    return done

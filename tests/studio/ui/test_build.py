"""What the mounted application leaves off."""

from __future__ import annotations

from fastapi import FastAPI

from studio.ui import build
from studio.web.context import Settings, build_context
from studio.workspace import open_workspace


def test_the_queue_that_nothing_uses_sleeps(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(build.gr, "mount_gradio_app", lambda app, demo, **options: seen.append(demo) or app)
    build.mount_pages(FastAPI(), build_context(open_workspace(tmp_path), Settings()))
    (demo,) = seen
    assert demo._queue.sleep_when_free == demo._queue.progress_update_sleep_when_free == build.QUEUE_SLEEP_S
    assert [fn for fn in demo.fns.values() if fn.queue and fn.fn is not None] == []

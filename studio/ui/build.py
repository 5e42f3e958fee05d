"""The Gradio application: one route a page, mounted at the root of the server."""

from __future__ import annotations

import importlib

import gradio as gr
from fastapi import FastAPI

from studio.ui.text import PAGES
from studio.ui.theme import build_theme
from studio.web.context import Context

QUEUE_SLEEP_S = 0.25


def build_blocks(context: Context) -> gr.Blocks:
    """All pages. Home stands at the root; `?dataset=` and `?run=` travel in the address."""
    with gr.Blocks(title="Darkroom", analytics_enabled=False) as demo:
        importlib.import_module("studio.ui.pages.home").build(context)
    for path, text in PAGES.items():
        if path:
            with demo.route(text.title, "/" + path):
                importlib.import_module(f"studio.ui.pages.{path}").build(context)
    return demo


def mount_pages(app: FastAPI, context: Context) -> FastAPI:
    """Mounts the pages at the root of `app`, everything off that we do not use."""
    demo = build_blocks(context)
    demo.queue(default_concurrency_limit=8, max_size=64)
    _let_the_queue_sleep(demo)
    return gr.mount_gradio_app(
        app,
        demo,
        path="",
        theme=build_theme(),
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        allowed_paths=[],
        show_error=True,
        max_file_size="1kb",  # uploads go through our own checked routes, never through Gradio's
    )


def _let_the_queue_sleep(demo: gr.Blocks) -> None:
    """Gradio looks for queued events 1,000 times a second, 6 % of a core on an idle laptop. None of our events is queued."""
    for name in ("sleep_when_free", "progress_update_sleep_when_free"):
        if not hasattr(demo._queue, name):
            raise AttributeError(f"gradio {gr.__version__} has no Queue.{name}; look for what its idle queue costs now.")
        setattr(demo._queue, name, QUEUE_SLEEP_S)

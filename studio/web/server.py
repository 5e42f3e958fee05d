"""The one server: guard, data and media routes, and the pages mounted behind them."""

from __future__ import annotations

import importlib

from fastapi import FastAPI, HTTPException
from starlette.middleware.gzip import GZipMiddleware

from studio.ui.build import mount_pages
from studio.ui.text import PAGES
from studio.web import brand, errors, login_routes
from studio.web.context import Settings, build_context
from studio.web.middleware import Guard
from studio.web.session import Sessions
from studio.workspace import Workspace

_SHUT = ("/openapi.json", "/docs", "/redoc", "/monitoring", "/monitoring/summary")  # Gradio brings them along; nobody needs them here

_ROUTES = (
    "rail",
    "media",
    "home",
    "dataset",
    "edit",
    "mask",
    "many",
    "captions",
    "machine",
    "check",
    "train",
    "monitor",
    "compare",
    "generate",
    "input",
    "arranging",
    "jobs",
    "hub",
    "export",
)


def build_app(workspace: Workspace, settings: Settings) -> FastAPI:
    """The whole application. Building it starts no worker and no run."""
    context = build_context(workspace, settings)
    app = FastAPI(title="Darkroom", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.context = context
    sessions = Sessions(workspace.root / "session.key", settings.password) if settings.password else None
    app.state.sessions = sessions
    errors.add_error_handlers(app)
    # The last one added stands outermost: guard first, then compression, then the completed head.
    app.add_middleware(brand.Head, titles={t.path: None if t.own else (t.title, t.sentence) for t in PAGES.values()})
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    app.add_middleware(Guard, settings=settings, sessions=sessions)
    brand.serve_brand(app)
    if sessions:
        app.include_router(login_routes.router(sessions))
    for name in _ROUTES:
        app.include_router(importlib.import_module(f"studio.web.{name}_routes").router(context))
    for path in _SHUT:
        app.add_api_route(path, _no_such_page, include_in_schema=False)
    return mount_pages(app, context)


def _no_such_page() -> None:
    raise HTTPException(404, "There is no such page.")

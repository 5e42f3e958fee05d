"""What the look is made of, served from our own machine: styles, fonts, scripts, and the page's completed head."""

from __future__ import annotations

import hashlib
import re
from html import escape
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "brand"
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def _compute_version() -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in FOLDER.rglob("*") if p.is_file()):
        digest.update(path.relative_to(FOLDER).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:10]


# The version is a folder in the address: relative imports, fonts and url() inside a stylesheet carry it too,
# so everything may be kept by the browser for ever and is still new after an update.
VERSION = _compute_version()
BRAND = f"/brand/{VERSION}"

_FIRST = f"""<script>document.documentElement.classList.add("p-"+(location.pathname.split("/")[1]||"home"))</script>
<link rel="icon" href="{BRAND}/favicon.svg" type="image/svg+xml">
<link rel="modulepreload" href="{BRAND}/js/core.js"><script type="module" fetchpriority="high" src="{BRAND}/js/rail.js"></script>
<link rel="preload" href="{BRAND}/fonts/geist-latin-wght-normal.woff2" as="font" type="font/woff2" crossorigin>"""
_STYLES = f'<link rel="stylesheet" href="{BRAND}/darkroom.css"><link rel="stylesheet" href="{BRAND}/gradio.css">'

_BODY = re.compile(rb"<body[^>]*>")


def lifted_css() -> str:
    """Our stylesheet with every class written twice (`.d-x.d-x`): the same meaning, more weight.

    Gradio's reset is one class and one element (`.gradio-container-6-31-0 h2`) and would beat our one-class rules.
    """
    return re.sub(r"\.([dp]-[a-z][\w-]*)", r".\1.\1", (FOLDER / "darkroom.css").read_text("utf-8"))


class _Immutable(StaticFiles):
    """Files whose address changes when they change."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(FOREVER)
        return response


def serve_brand(app: FastAPI) -> None:
    """Adds the addresses under `/brand/<version>/` and the icon."""

    def stylesheet() -> Response:
        return Response(lifted_css(), media_type="text/css", headers=FOREVER)

    def icon() -> Response:
        return FileResponse(FOLDER / "favicon.svg", media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})

    app.add_api_route(f"{BRAND}/darkroom.css", stylesheet, include_in_schema=False)
    app.add_api_route("/favicon.ico", icon, include_in_schema=False)
    app.mount(BRAND, _Immutable(directory=FOLDER))


def _page_style(page: str) -> str:
    """The link to what only this page needs (`pages/<page>.css`), where there is such a file."""
    return f'<link rel="stylesheet" href="{BRAND}/pages/{page}.css">' if (FOLDER / "pages" / f"{page}.css").is_file() else ""


def _first_title(title: tuple[str, str] | None) -> bytes:
    """What is read while Gradio's client is on its way; its own title then takes the same place, and a stylesheet hides this one."""
    if not title:
        return b""
    name, sentence = (escape(t) for t in title)
    return f'<div class="d-head d-first" aria-hidden="true"><div><b>{name}</b><p>{sentence}</p></div></div>'.encode()


class Head:
    """Completes the pages' HTML: our scripts come first in the head, our styles last, the title first in the body.

    Gradio's own `head=` only puts the text into the page's JSON; the client adds it after the first paint, so that
    the rail would come late and everything would jump.
    """

    def __init__(self, app: ASGIApp, *, titles: dict[str, tuple[str, str] | None]) -> None:
        self._app = app
        self._titles = {path: _first_title(title) for path, title in titles.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; only answers to a page's address are changed."""
        if scope["type"] != "http" or scope["path"].strip("/") not in self._titles:
            return await self._app(scope, receive, send)
        start: Message = {}
        body = b""

        async def complete(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            if message["type"] != "http.response.body":
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            page = scope["path"].strip("/")
            styles = _STYLES + _page_style(page or "home")
            body = body.replace(b"<head>", b"<head>" + _FIRST.encode(), 1).replace(b"</head>", styles.encode() + b"</head>", 1)
            body = _BODY.sub(lambda found: found[0] + self._titles[page], body, count=1)
            headers = [h for h in start["headers"] if h[0] != b"content-length"] + [(b"content-length", b"%d" % len(body))]
            await send({**start, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        return await self._app(scope, receive, complete)

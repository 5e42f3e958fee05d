"""Who may talk to the app: the Host and Origin checks, and the login.

A page of another site can send requests to 127.0.0.1 from the person's own browser. So the Host must be ours (else a
foreign name could be pointed at this machine), and whatever changes something must come from our own pages.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio.web.context import LOOPBACK, Settings
from studio.web.errors import error_response
from studio.web.session import COOKIE, Sessions

_SAFE = ("GET", "HEAD", "OPTIONS")
_OPEN = ("/login", "/favicon.ico")  # besides our fonts and styles under /brand/, which hold nothing of a person
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", b"frame-ancestors 'self'; object-src 'none'; base-uri 'self'"),
)


class Guard:
    """Refuses foreign hosts and origins, and everybody without a login where a password is set."""

    def __init__(self, app: ASGIApp, *, settings: Settings, sessions: Sessions | None) -> None:
        self._app, self._settings, self._sessions = app, settings, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or websocket."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        refusal = self._refuse(scope)
        if refusal is None:
            return await self._app(scope, receive, _with_headers(send))
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        return await refusal(scope, receive, send)

    def _refuse(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._known_host(host):
            return error_response(f"This address ({host[:80]}) is not one of Darkroom’s. Open http://127.0.0.1:{self._settings.port}.", 403)
        method = scope.get("method", "GET")
        if (method not in _SAFE or scope["type"] == "websocket") and _is_foreign(headers, host):
            return error_response("This request comes from another site. Darkroom only takes them from its own pages.", 403)
        if self._sessions is None or scope["path"] in _OPEN or scope["path"].startswith("/brand/"):
            return None
        if self._sessions.valid(_cookie(scope)):
            return None
        if method in _SAFE and "text/html" in headers.get("accept", ""):
            there = scope["path"] + ("?" + scope["query_string"].decode("latin-1") if scope.get("query_string") else "")
            return RedirectResponse("/login?next=" + quote(there, safe=""), 303, headers={"Cache-Control": "no-store"})
        return error_response("Sign in first.", 401)

    def _known_host(self, host: str) -> bool:
        """On loopback only our own names. Beyond it any name may lead here; the login stands before everything there."""
        name = (urlsplit("//" + host).hostname or "") if _well_formed(host) else ""
        return bool(name) if not self._settings.loopback else name in LOOPBACK


def _well_formed(host: str) -> bool:
    try:
        return urlsplit("//" + host).port is None or True
    except ValueError:
        return False


def _is_foreign(headers: Headers, host: str) -> bool:
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
    try:
        return urlsplit(origin).netloc.lower() != host.lower()
    except ValueError:
        return True


def _cookie(scope: Scope) -> str:
    return Request({**scope, "type": "http"}).cookies.get(COOKIE, "")


def _with_headers(send: Send) -> Send:
    async def complete(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            message = {**message, "headers": [*message["headers"], *(h for h in _HEADERS if h[0] not in present)]}
        await send(message)

    return complete

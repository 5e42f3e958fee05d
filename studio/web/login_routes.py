"""The one page that is shown before the login."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from studio.web.brand import BRAND
from studio.web.session import COOKIE, LASTS_S, Sessions

_BODY_LIMIT = 4096
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Sign in · Darkroom</title><link rel="icon" href="{brand}/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{brand}/darkroom.css"><link rel="stylesheet" href="{brand}/login.css">
<script src="{brand}/js/login.js"></script></head><body class="p-login">
<main class="d-card"><img src="{brand}/favicon.svg" alt="" width="40" height="40"><h1>Darkroom</h1>
<p class="d-sub">This studio is reached from other machines, so it asks who is there.</p>
<form method="post" action="/login"><input type="hidden" name="next" value="{next}">
<label class="d-field{err}"><b>Password</b>
<input class="d-in" type="password" name="password" autocomplete="current-password" required autofocus{aria}></label>
{fault}<button class="d-btn pri" type="submit">Sign in</button></form>
<p class="d-small d-sub">It was given where Darkroom was started, with <code class="d-num">--password</code> or DARKROOM_PASSWORD.</p>
</main></body></html>"""


def router(sessions: Sessions) -> APIRouter:
    """`GET` and `POST /login`."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/login")
    def show(next: str = "/") -> Response:
        return _page(next)

    @routes.post("/login")
    async def sign_in(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _BODY_LIMIT:
                return _page("/", "That is too long for a password.", 413)
        form = {k: v[0] for k, v in parse_qs(body.decode("utf-8", "replace")).items()}
        target, address = _inside(form.get("next", "/")), request.client.host if request.client else ""
        wait = sessions.seconds_to_wait(address)
        if wait:
            return _page(target, f"Too many wrong passwords. Wait {wait} s, then try again.", 429, {"Retry-After": str(wait)})
        cookie = sessions.sign_in(form.get("password", ""), address)
        if cookie is None:
            return _page(target, "That is not the password. Try again.", 401)
        response = RedirectResponse(target, 303)
        secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        response.set_cookie(COOKIE, cookie, max_age=LASTS_S, httponly=True, samesite="lax", secure=secure)
        return response

    return routes


def _inside(target: str) -> str:
    """Only an address of ours; one that would leave (two slashes, a backslash) becomes the home page."""
    ours = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable() and "\\" not in target
    return target if ours else "/"


def _page(target: str, fault: str = "", status: int = 200, headers: dict[str, str] | None = None) -> HTMLResponse:
    text = _PAGE.format(
        brand=BRAND,
        next=escape(_inside(target)),
        err=" err" if fault else "",
        aria=' aria-invalid="true" aria-describedby="fault"' if fault else "",
        fault=f'<p class="d-err" id="fault" role="alert">{escape(fault)}</p>' if fault else "",
    )
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store", **(headers or {})})

"""With a password nothing is shown or done without it, guessing is slow, and the cookie cannot be made by others."""

from __future__ import annotations

import importlib
import re
import time

import pytest

from studio.web.context import Settings
from studio.web.session import COOKIE, Sessions
from tests.conftest import ROOT
from tests.studio.web.conftest import make_client

PASSWORD = "silver halide"
HTML = {"Accept": "text/html"}
PATHS = ["/", "/dataset", "/train", "/api/rail", "/api/home", "/config", "/gradio_api/info", "/gradio_api/queue/join", "/theme.css"]
PATHS += ["/gradio_api/file=/etc/passwd", "/media/thumb/a/b/192.webp", "/gradio_api/upload", "/nothing"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    with make_client(tmp_path_factory.mktemp("guarded"), PASSWORD) as made:
        yield made


@pytest.fixture
def clean(guarded):
    guarded.cookies.clear()
    guarded.app.state.sessions.forget()
    return guarded


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_served_without_the_password(clean, path):
    assert clean.get(path).status_code == 401
    assert clean.post(path).status_code == 401
    page = clean.get(path, headers=HTML)
    assert page.status_code == 303
    assert page.headers["location"].startswith("/login?next=")


def test_every_route_of_the_app_and_of_gradio_asks_for_the_password(clean):
    context, ours, gradios = clean.app.state.context, [], clean.app.routes[-1].app.routes
    for path in sorted((ROOT / "studio" / "web").glob("*_routes.py")):
        if path.stem != "login_routes":
            ours += importlib.import_module(f"studio.web.{path.stem}").router(context).routes
    paths = {re.sub(r"{[^}]*}", "x", route.path) for route in [*ours, *gradios] if getattr(route, "path", "")}
    paths -= {"/login", "/login/", "/favicon.ico"}
    assert len(paths) > 50
    assert {path: clean.get(path).status_code for path in paths} == dict.fromkeys(paths, 401)


def test_the_right_password_leads_back_to_where_one_was_going(clean):
    answer = clean.post("/login", data={"password": PASSWORD, "next": "/train?dataset=zog"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/train?dataset=zog"
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert clean.get("/api/rail").status_code == 200


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/a\r\nSet-Cookie: x=1"]
)
def test_the_login_never_leads_away(clean, target):
    assert clean.post("/login", data={"password": PASSWORD, "next": target}).headers["location"] == "/"


def test_the_login_page_shows_nothing_of_the_address_as_html(clean):
    assert "<script>alert" not in clean.get("/login", params={"next": '/"><script>alert(1)</script>'}).text


def test_guessing_is_stopped_after_six_wrong_passwords_even_for_the_right_one(clean):
    for _ in range(6):
        assert clean.post("/login", data={"password": "wrong"}).status_code == 401
    answer = clean.post("/login", data={"password": PASSWORD})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60


def test_an_endless_password_is_refused_unread(clean):
    assert clean.post("/login", data={"password": "x" * 10_000}).status_code == 413


@pytest.mark.parametrize("cookie", ["", "x", "9999999999.abc.0", "9999999999.abc." + "0" * 64, "é.é", "...."])
def test_a_forged_cookie_is_refused(clean, cookie):
    assert clean.get("/api/rail", headers={"Cookie": f"{COOKIE}={cookie}".encode("latin-1")}).status_code == 401


def test_a_cookie_dies_with_its_time_and_with_another_password(tmp_path, monkeypatch):
    sessions = Sessions(tmp_path / "key", PASSWORD)
    cookie = sessions.sign_in(PASSWORD, "here")
    assert sessions.valid(cookie)
    assert Sessions(tmp_path / "key", PASSWORD).valid(cookie), "a restart keeps people signed in"
    assert not Sessions(tmp_path / "key", "another one").valid(cookie)
    later = time.time() + 31 * 24 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert not sessions.valid(cookie)


def test_the_key_is_for_its_owner_only(tmp_path):
    Sessions(tmp_path / "key", PASSWORD)
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0


def test_the_password_is_not_in_the_settings_printed(tmp_path):
    assert PASSWORD not in repr(Settings(password=PASSWORD))

"""Only our own pages, under our own names, may talk to the app."""

from __future__ import annotations

import pytest

OURS = "http://127.0.0.1:7860"


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "127.0.0.1", "[::1]:7860", "localhost:8000"])
def test_our_own_names_are_served(client, host):
    assert client.get("/api/rail", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "localhost.evil.example", "a:b:c", "", "10.0.0.1"]
)
@pytest.mark.parametrize("path", ["/", "/api/rail", "/gradio_api/info", "/login", "/brand/x"])
def test_a_foreign_host_is_refused_everywhere(client, host, path):
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 403
    assert "Darkroom" in answer.json()["error"]["text"]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:7861", "http://localhost:7860", "https://127.0.0.1.evil.example", "x"]
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_another_site_cannot_change_anything(client, origin, method):
    assert client.request(method, "/api/datasets", headers={"Origin": origin}, json={"name": "stolen"}).status_code == 403


def test_a_cross_site_form_without_origin_is_refused(client):
    assert client.post("/api/datasets", headers={"Sec-Fetch-Site": "cross-site"}, json={"name": "stolen"}).status_code == 403


def test_our_own_origin_passes(client):
    headers = {"Origin": OURS, "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/datasets", headers=headers, json={"name": "ours"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/train", "/api/rail", "/nothing"])
def test_every_answer_forbids_sniffing_and_framing(client, path):
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'self'" in headers["content-security-policy"]


def test_what_we_do_not_use_of_gradio_is_shut(client):
    assert client.get("/monitoring/summary").status_code in (403, 404)
    assert client.get("/docs").status_code == 404
    assert client.get("/openapi.json").status_code == 404

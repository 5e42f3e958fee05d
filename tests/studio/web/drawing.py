"""Drawing by the routes, with the real worker."""

from __future__ import annotations

from typing import Any

from tests.waiting import wait_until


def draw(client: Any, values: dict[str, Any], strip: bool = False) -> dict[str, Any]:
    """A drawing, waited for to its end; its status then."""
    started = client.post("/api/generate", json={"values": values, "strip": strip})
    assert started.status_code == 200, started.text

    def over():
        status = client.get(f"/api/generate/jobs/{started.json()['id']}").json()
        return status if status["state"] != "running" else None

    return wait_until(over)

"""Drawing by the routes, with the real worker."""

from __future__ import annotations

from typing import Any

from tests.waiting import wait_for_end


def draw(client: Any, values: dict[str, Any], strip: bool = False) -> dict[str, Any]:
    """A drawing, waited for to its end; its status then."""
    started = client.post("/api/generate", json={"values": values, "strip": strip})
    assert started.status_code == 200, started.text
    return wait_for_end(lambda: client.get(f"/api/generate/jobs/{started.json()['id']}").json())

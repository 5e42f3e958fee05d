"""A data set exported by the routes, as a page does it."""

from __future__ import annotations

from typing import Any


def begin_export(client: Any, dataset: str, form: str = "zip", **more: Any) -> dict[str, Any]:
    """The job of an export, waited for to its end."""
    answer = client.post(f"/api/datasets/{dataset}/export", json={"form": form, **more})
    assert answer.status_code == 200, answer.text
    assert client.app.state.context.work.get(answer.json()["id"]).over.wait(60)
    return dict(client.get(f"/api/jobs/{answer.json()['id']}").json())


def exported(client: Any, dataset: str, form: str = "zip", **more: Any) -> bytes:
    """The bytes of the file; the job is put away."""
    job = begin_export(client, dataset, form, **more)
    assert job["state"] == "done", job["sentence"]
    answer = client.get(f"/api/jobs/{job['id']}/file?then=close")
    assert answer.status_code == 200
    return bytes(answer.content)

"""Faults as JSON: `{"error": {"text": ..., "field": ...}}`, in plain words; a traceback goes to the log only."""

from __future__ import annotations

import logging

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from backends.contract.config import ConfigFaults
from backends.contract.errors import DarkroomError

log = logging.getLogger(__name__)


def error_response(text: str, status: int, field: str | None = None) -> JSONResponse:
    """One fault as every page expects it."""
    return JSONResponse({"error": {"text": text, "field": field}}, status, headers={"Cache-Control": "no-store"})


def add_error_handlers(app: FastAPI) -> None:
    """Every fault of a route becomes an answer that a page can show."""

    @app.exception_handler(DarkroomError)
    def on_fault(_: Request, error: DarkroomError) -> JSONResponse:
        if isinstance(error, ConfigFaults):
            faults = [{"field": f.field, "text": f.text} for f in error.faults]
            return JSONResponse({"error": {"text": error.text, "field": error.field, "faults": faults}}, 400)
        status = getattr(error, "status", 404 if error.text.startswith("There is no ") else 400)
        return error_response(error.text, status, error.field)

    @app.exception_handler(HTTPException)
    def on_refusal(_: Request, error: HTTPException) -> JSONResponse:
        return error_response(str(error.detail), error.status_code)

    @app.exception_handler(RequestValidationError)
    def on_wrong_request(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
        return error_response(f"The request is not right at “{place or 'its body'}”: {first['msg']}.", 422, place or None)

    @app.exception_handler(Exception)
    def on_surprise(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return error_response(
            "Something went wrong inside Darkroom. Nothing was lost; the details are in the log. Try again, or restart Darkroom.", 500
        )

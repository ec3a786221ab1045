"""How a simulated server says no."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response

if TYPE_CHECKING:
    from starlette.exceptions import HTTPException
    from starlette.requests import Request


class Refusal(Exception):
    """The server refuses a request; the vendor's module gives it the vendor's shape.

    Args:
        status: The HTTP status.
        message: What the server says of it.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


async def web_page(_: Request, error: HTTPException) -> Response:
    """Answer what is not the API's the way the web server before it does."""
    return HTMLResponse(f"<html><body><h1>HTTP Status {error.status_code}</h1></body></html>", error.status_code)

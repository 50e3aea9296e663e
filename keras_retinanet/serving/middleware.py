"""ASGI middleware: the checks of every request before its route."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import math
import time
from typing import Any

from starlette.requests import ClientDisconnect

from .limits import Limits, Refused
from .metrics import Metrics

LEFT = 499  # the status of a request whose client left before its answer
OPEN = ("/", "/healthz", "/readyz")  # need no token


class Gate:
    """Let requests with the token pass, and count the answers."""

    def __init__(self, app: Any, metrics: Metrics, token: str | None) -> None:
        self.app = app
        self.metrics = metrics
        self.expected = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), LEFT

        async def counted(message: dict) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            if scope["path"] in OPEN or self.passes(scope):
                await self.app(scope, receive, counted)
            else:
                needed = {"WWW-Authenticate": "Bearer"}
                await answer(Refused(401, "A bearer token is needed.", needed), counted)
        except Exception:
            status = 500
            raise
        finally:
            route = scope.get("route")
            path = "unknown" if route is None else route.path
            self.metrics.answer(path, status, time.perf_counter() - start)

    def passes(self, scope: dict) -> bool:
        """Return True if a request has the token, in a time that does not depend on its text."""
        given = dict(scope["headers"]).get(b"authorization", b"")
        return self.expected is None or hmac.compare_digest(given, self.expected)


class BodyLimit:
    """Bound the size of a body and the time that it takes to arrive."""

    def __init__(self, app: Any, limits: Limits) -> None:
        self.app = app
        self.limits = limits

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most, got = math.ceil(self.limits.megabytes * 1e6), 0
        too_large = Refused(413, f"A body may have at most {self.limits.megabytes:g} MB.")
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        until = asyncio.get_running_loop().time() + self.limits.seconds
        complete = False

        async def bounded() -> dict:
            nonlocal got, complete
            if complete:  # only a disconnection is left to wait for
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise Refused(
                    408, f"The body took more than {self.limits.seconds:g} s to arrive."
                ) from None
            got += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if got > most:
                raise too_large
            return message

        if declared.isdigit() and int(declared[:20]) > most:
            await answer(too_large, send)
            return
        with contextlib.suppress(ClientDisconnect):  # in the middle of its body
            await self.app(scope, bounded, send)


async def answer(refused: Refused, send: Any) -> None:
    """Send a refusal from outside the application, and close the connection."""
    body = json.dumps({"error": refused.sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    headers.append((b"content-length", str(len(body)).encode()))
    headers += [(name.lower().encode(), text.encode()) for name, text in refused.headers.items()]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

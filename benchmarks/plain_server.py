"""A server that answers every request alike, after a while, at next to no cost; for the other benchmarks.

It runs in a process of its own and notes when requests came. `PlainServer(delay)` starts it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

BODY = json.dumps({"id": 1, "status": "running", "repository": "Samples", "workspace": "x.fmw"}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n"


class PlainServer:
    """The process, from outside.

    Args:
        delay: seconds after which a request is answered.
        refused: which request, counted from 1, is answered with 429 and a `Retry-After` of two seconds; 0 for none.

    Attributes:
        base_url: its address.
    """

    def __init__(self, delay: float, refused: int = 0) -> None:
        command = [sys.executable, __file__, str(delay), str(refused)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.base_url = f"http://127.0.0.1:{self._process.stdout.readline().strip()}"

    def came(self) -> list[float]:
        """When each request came, in seconds; the process ends with that."""
        return list(json.loads(self._process.communicate("\n")[0]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


class _Connection(asyncio.Protocol):
    def __init__(self, delay: float, refused: int, came: list[float]) -> None:
        self._delay, self._refused, self._came = delay, refused, came
        self._loop = asyncio.get_running_loop()
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self._received = (self._received + data).split(b"\r\n\r\n")  # no request here has a body
        for _ in heads:
            self._came.append(time.monotonic())
            answer = REFUSAL if len(self._came) == self._refused else ANSWER
            if self._delay:
                self._loop.call_later(self._delay, self._transport.write, answer)
            else:
                self._transport.write(answer)


async def serve(delay: float, refused: int) -> None:
    """Serve until a line comes in, and then say when requests came."""
    came: list[float] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(delay, refused, came), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps(came), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), int(sys.argv[2])))

# A server of Python's websockets.
import asyncio
import http
import sys

import websockets
from peer import play, report


async def handle(ws):
    path = (ws.path if hasattr(ws, "path") else ws.request.path)[1:]
    report(path, await play(ws, path))


async def refuse(first, second):
    """Refuses requests for one path. The arguments are path and header, or since version 14 connection and request."""
    path = first if isinstance(first, str) else second.path
    if path != "/refusal":
        return None
    report("refusal", "pass")
    if isinstance(first, str):
        return http.HTTPStatus.FORBIDDEN, [], b"refused"
    return first.respond(http.HTTPStatus.FORBIDDEN, "refused")


async def main():
    server = await websockets.serve(
        handle,
        "127.0.0.1",
        0,
        process_request=refuse,
        subprotocols=["a.example"],
        max_size=None,
    )
    port = server.sockets[0].getsockname()[1]
    print(f"listening: 127.0.0.1:{port}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())

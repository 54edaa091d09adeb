# A client of Python's websockets: client.py URL
import asyncio
import sys

import websockets
from peer import PATHS, play, report


async def connect(base, path):
    url = base.replace("http", "ws") + "/" + path
    subprotocols = ["b.example", "a.example"] if path == "subprotocol" else None
    try:
        async with websockets.connect(url, subprotocols=subprotocols, max_size=None) as ws:
            return await play(ws, path)
    except Exception as error:
        if path == "refusal" and "HTTP 403" in str(error):
            return "pass"
        return f"fail: {error!r}"


async def main():
    for path in PATHS:
        report(path, await connect(sys.argv[1], path))


asyncio.run(main())

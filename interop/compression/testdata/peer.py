# An echo by websockets. Each line of the input is a JSON object that starts a server
# or a client; each line of the output says what has come of it.
import asyncio
import json
import logging
import sys

import websockets
from websockets.extensions import permessage_deflate as deflate

logging.disable(logging.CRITICAL)


def say(**event):
    print(json.dumps(event), flush=True)


async def parts(ws, data):
    """Yields the fragments of a message, and sends a ping between them."""
    third = len(data) // 3
    yield data[:third]
    await ws.ping("between")
    yield data[third : 2 * third]
    yield data[2 * third :]


async def echo(ws, fragmented):
    try:
        async for data in ws:
            if data == "close":
                await ws.close(1000, "done")
            else:
                await ws.send(parts(ws, data) if fragmented else data)
    except websockets.exceptions.ConnectionClosed:
        pass
    await ws.wait_closed()
    say(code=ws.close_code)


async def serve(options, fragmented):
    async def handle(ws):
        await echo(ws, fragmented)

    server = await websockets.serve(
        handle,
        "127.0.0.1",
        0,
        compression=None,
        extensions=options and [deflate.ServerPerMessageDeflateFactory(**options)],
        max_size=None,
    )
    say(port=server.sockets[0].getsockname()[1])
    return server


async def dial(url, options, fragmented):
    try:
        ws = await websockets.connect(
            url,
            compression=None,
            extensions=[deflate.ClientPerMessageDeflateFactory(**options)],
            max_size=None,
        )
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}")
        return
    await echo(ws, fragmented)


async def main():
    loop = asyncio.get_running_loop()
    tasks = []
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        request = json.loads(line)
        options, fragmented = request["options"], request["fragmented"]
        if "dial" in request:
            tasks.append(loop.create_task(dial(request["dial"], options, fragmented)))
        else:
            tasks.append(await serve(options, fragmented))


asyncio.run(main())

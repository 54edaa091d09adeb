# What Python's websockets does in the scenarios, as a client or as a server.
import asyncio
import logging

from websockets.exceptions import ConnectionClosed

logging.disable(logging.CRITICAL)

PATHS = [
    "echo", "empty", "large", "read-fragments", "send-fragments", "answer-ping", "send-ping",
    "read-close", "send-close", "subprotocol", "read-compressed", "send-compressed", "refusal",
]


def report(path, result):
    print(f"{path}: {result}", flush=True)


async def thirds(data):
    n = len(data) // 3
    for part in data[:n], data[n : 2 * n], data[2 * n :]:
        yield part


async def ping(ws):
    """Sends a ping, waits for its pong, and says so."""
    pong = await ws.ping("from the peer")
    await pong
    await ws.send("pong")


async def answer(ws, path, data, tasks):
    if path == "send-fragments":
        await ws.send(thirds(data))
    elif path == "send-ping":
        tasks.append(asyncio.create_task(ping(ws)))
    elif path == "send-close":
        await ws.close(4002, "done")
    else:
        await ws.send(data)


async def play(ws, path):
    """Plays a scenario, and returns its result when the connection has ended."""
    tasks = []
    async for data in ignore_close(ws):
        await answer(ws, path, data, tasks)
    await asyncio.gather(*tasks)
    await ws.wait_closed()
    if path == "subprotocol" and ws.subprotocol != "a.example":
        return f"fail: got the subprotocol {ws.subprotocol}"
    want = {"read-close": (4001, "bye"), "send-close": (4002, "")}.get(path, (1000, ""))
    got = (ws.close_code, ws.close_reason)
    return "pass" if got == want else f"fail: was closed with {got}"


async def ignore_close(ws):
    """Yields messages until the connection is closed, with whatever code."""
    try:
        async for data in ws:
            yield data
    except ConnectionClosed:
        pass

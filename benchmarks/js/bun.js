// The servers on Bun's own WebSocket, which is uWebSockets.

import { control, option } from "./control.js";

const pattern = option("pattern");
const room = "all";

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    if (!server.upgrade(request)) return new Response("", { status: 400 });
  },
  websocket: {
    maxPayloadLength: 16 << 20,
    backpressureLimit: 64 << 20,
    idleTimeout: 0,
    perMessageDeflate: pattern === "deflate",
    open(ws) {
      if (pattern === "broadcast") ws.subscribe(room);
    },
    message(ws, message) {
      if (pattern === "broadcast") server.publish(room, message);
      else ws.send(message, pattern === "deflate");
    },
  },
});

console.log(`127.0.0.1:${server.port}`);
control(() => Bun.gc(true));

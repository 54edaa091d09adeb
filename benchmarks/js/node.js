// The servers on node with the package ws.

import { WebSocketServer } from "ws";
import { control, option } from "./control.js";

const pattern = option("pattern");

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  perMessageDeflate: pattern === "deflate",
});

server.on("connection", (ws) => {
  ws.on("error", () => {});
  ws.on("message", (data, binary) => {
    if (pattern === "broadcast") {
      for (const other of server.clients) other.send(data, { binary });
    } else {
      ws.send(data, { binary });
    }
  });
});

server.on("listening", () => console.log(`127.0.0.1:${server.address().port}`));
control(() => globalThis.gc());

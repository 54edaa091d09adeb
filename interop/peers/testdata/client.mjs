// A client in node or Bun: of the runtime itself, or of the package ws.
//
//	client.mjs URL [ws]
import { playAll } from './play.mjs';

const [base, ws] = process.argv.slice(2);
const bun = 'Bun' in globalThis;
const WebSocket = ws ? (await import('ws')).WebSocket : globalThis.WebSocket;
await playAll(WebSocket, base, { fragments: Boolean(ws), pings: Boolean(ws) || bun }, (path, result) => {
	console.log(`${path}: ${result}`);
});

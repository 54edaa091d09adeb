// A server of Bun.
import { cannot, paths, play } from './play.mjs';

// A Socket gives a connection of Bun's server the API of browsers.
class Socket extends EventTarget {
	constructor(ws, protocol) {
		super();
		this.ws = ws;
		this.protocol = protocol;
	}
	dispatch(type, properties) {
		this.dispatchEvent(Object.assign(new Event(type), properties));
	}
	send(data) {
		this.ws.send(data, true); // compressed, if that was negotiated
	}
	ping(data) {
		this.ws.ping(data);
	}
	close(code, reason) {
		this.ws.close(code, reason);
	}
}

for (const path of paths) {
	const why = cannot(path, { fragments: false, pings: true });
	if (why) console.log(`${path}: ${why}`);
}
const server = Bun.serve({
	hostname: '127.0.0.1',
	port: 0,
	fetch(request, server) {
		const path = new URL(request.url).pathname.slice(1);
		if (path === 'refusal') {
			console.log('refusal: pass');
			return new Response('refused', { status: 403 });
		}
		const protocol = path === 'subprotocol' ? 'a.example' : '';
		const headers = protocol ? { 'Sec-WebSocket-Protocol': protocol } : {};
		server.upgrade(request, { data: { path, protocol }, headers });
	},
	websocket: {
		perMessageDeflate: true,
		async open(ws) {
			ws.data.socket = new Socket(ws, ws.data.protocol);
			console.log(`${ws.data.path}: ${await play(ws.data.socket, ws.data.path)}`);
		},
		message: (ws, data) => ws.data.socket.dispatch('message', { data }),
		pong: (ws, data) => ws.data.socket.dispatch('pong', { data }),
		close: (ws, code, reason) => ws.data.socket.dispatch('close', { code, reason }),
	},
});
console.log(`listening: 127.0.0.1:${server.port}`);
process.stdin.on('end', () => process.exit()).resume();

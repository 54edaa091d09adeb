// What a peer with the WebSocket API of browsers does in the scenarios. Browsers, node and Bun run this as clients, and
// node and Bun as servers.

export const paths = [
	'echo', 'empty', 'large', 'read-fragments', 'send-fragments', 'answer-ping', 'send-ping',
	'read-close', 'send-close', 'subprotocol', 'read-compressed', 'send-compressed', 'refusal',
];

// cannot returns why sockets of a kind cannot play a scenario, or undefined.
export function cannot(path, { fragments, pings }) {
	if (path === 'send-fragments' && !fragments) return 'cannot: The API of the peer sends each message in one frame.';
	if (path === 'send-ping' && !pings) return 'cannot: The API of the peer sends no pings.';
}

// play plays a scenario on a socket. It resolves to the result when the connection has ended.
export function play(socket, path) {
	return new Promise((resolve) => {
		socket.binaryType = 'arraybuffer';
		socket.addEventListener('message', ({ data }) => answer(socket, path, data));
		socket.addEventListener('close', ({ code, reason }) => resolve(result(socket, path, code, reason)));
		if (path === 'send-ping') onPong(socket, () => socket.send('pong'));
	});
}

// onPong calls f for the pong of our ping. The package ws has events of its own for that.
function onPong(socket, f) {
	const check = (data) => {
		if (new TextDecoder().decode(data) === 'from the peer') f();
	};
	if (socket.on) socket.on('pong', check);
	else socket.addEventListener('pong', ({ data }) => check(data));
}

function answer(socket, path, data) {
	switch (path) {
	case 'send-fragments': {
		const third = Math.floor(data.byteLength / 3);
		socket.send(data.slice(0, third), { fin: false });
		socket.send(data.slice(third, 2 * third), { fin: false });
		socket.send(data.slice(2 * third), { fin: true });
		break;
	}
	case 'send-ping':
		socket.ping('from the peer');
		break;
	case 'send-close':
		socket.close(4002, 'done');
		break;
	default:
		socket.send(data);
	}
}

// result returns the result of a scenario from how its connection was closed.
function result(socket, path, code, reason) {
	if (path === 'subprotocol' && socket.protocol !== 'a.example') {
		return `fail: got the subprotocol "${socket.protocol}"`;
	}
	switch (path) {
	case 'read-close':
		return code === 4001 && reason === 'bye' ? 'pass' : `fail: was closed with ${code} "${reason}"`;
	case 'send-close':
		return code === 4002 ? 'pass' : `fail: got ${code} in answer to its Close frame`;
	default:
		return code === 1000 ? 'pass' : `fail: was closed with ${code} "${reason}"`;
	}
}

// connect plays a scenario as a client.
export function connect(WebSocket, base, path) {
	const url = base.replace('http', 'ws') + '/' + path;
	const socket = path === 'subprotocol' ? new WebSocket(url, ['b.example', 'a.example']) : new WebSocket(url);
	if (path !== 'refusal') {
		socket.addEventListener('error', () => {}); // the close event follows
		return play(socket, path);
	}
	return new Promise((resolve) => {
		socket.addEventListener('open', () => resolve('fail: the connection is open'));
		socket.addEventListener('error', () => resolve('pass'));
	});
}

// playAll plays all scenarios as a client, one after the other, and calls report with the result of each.
export async function playAll(WebSocket, base, abilities, report) {
	for (const path of paths) {
		report(path, cannot(path, abilities) ?? await connect(WebSocket, base, path));
	}
}

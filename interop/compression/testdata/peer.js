// An echo by ws. Each line of the input is a JSON object that starts a server or
// a client; each line of the output says what has come of it.
'use strict';
const readline = require('node:readline');
const { WebSocket, WebSocketServer } = require('ws');

function say(event) {
	process.stdout.write(JSON.stringify(event) + '\n');
}

// In fragments, with a ping between them.
function sendParts(ws, data, binary) {
	const third = Math.floor(data.length / 3);
	ws.send(data.subarray(0, third), { binary, fin: false });
	ws.ping('between');
	ws.send(data.subarray(third, 2 * third), { binary, fin: false });
	ws.send(data.subarray(2 * third), { binary, fin: true });
}

function echo(ws, fragmented) {
	ws.on('message', (data, binary) => {
		if (data.toString('latin1') === 'close') {
			ws.close(1000, 'done');
		} else if (fragmented) {
			sendParts(ws, data, binary);
		} else {
			ws.send(data, { binary });
		}
	});
	ws.on('error', (error) => say({ error: error.message }));
	ws.on('close', (code) => say({ code }));
}

const servers = [];

readline
	.createInterface({ input: process.stdin })
	.on('line', (line) => {
		const { dial, fragmented, options } = JSON.parse(line);
		if (dial) {
			echo(new WebSocket(dial, { perMessageDeflate: options }), fragmented);
			return;
		}
		const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: options });
		server.on('listening', () => say({ port: server.address().port }));
		server.on('connection', (ws) => echo(ws, fragmented));
		servers.push(server);
	})
	.on('close', () => process.exit());

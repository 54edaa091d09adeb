// A server of the package ws.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { play } from './play.mjs';

const servers = new WebSocketServer({
	noServer: true,
	perMessageDeflate: true,
	handleProtocols: (offered) => offered.has('a.example') ? 'a.example' : false,
});
const server = createServer();
server.on('upgrade', (request, socket, head) => {
	const path = request.url.slice(1);
	if (path === 'refusal') {
		socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
		console.log('refusal: pass');
		return;
	}
	servers.handleUpgrade(request, socket, head, async (ws) => console.log(`${path}: ${await play(ws, path)}`));
});
server.listen(0, '127.0.0.1', () => console.log(`listening: 127.0.0.1:${server.address().port}`));
process.stdin.on('end', () => process.exit()).resume();

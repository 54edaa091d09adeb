// Package websocket implements WebSocket (RFC 6455), with compression (RFC 7692), for
// net/http: a server and a client.
//
// # Overview
//
// A server wraps an [Upgrader] in a handler. [Upgrader.HandlerFunc] answers the request
// and runs a function with the [Conn]. This program sends every message back:
//
//	package main
//
//	import (
//		"log"
//		"net/http"
//
//		"github.com/switching-protocols/websocket"
//	)
//
//	func main() {
//		var upgrader websocket.Upgrader
//		http.Handle("/ws", upgrader.HandlerFunc(echo))
//		log.Fatal(http.ListenAndServe("127.0.0.1:8080", nil))
//	}
//
//	func echo(c *websocket.Conn, r *http.Request) {
//		for {
//			messageType, p, err := c.ReadMessage()
//			if err != nil {
//				return // HandlerFunc closes the connection
//			}
//			if err := c.WriteMessage(messageType, p); err != nil {
//				return
//			}
//		}
//	}
//
// [Upgrader.Upgrade] is for a handler that has more to do, such as to check the request
// first. The handler may return and leave the Conn to another goroutine.
//
// A client calls [Dialer.DialContext] with a ws or wss URL, for instance that of
// [DefaultDialer], and gets the same kind of Conn.
//
// # Messages
//
// A message is text, which must be UTF-8, or binary. [Conn.ReadMessage] and
// [Conn.WriteMessage] handle it as a slice of bytes, and [Conn.AppendMessage] reads it into
// the caller's memory; [Conn.NextReader] and [Conn.NextWriter] handle it as a stream of
// bytes, and [Conn.ReadJSON] and [Conn.WriteJSON] as JSON. A [PreparedMessage] is encoded
// once and sent to many connections. [NewStream] turns a Conn into a net.Conn, to tunnel
// another protocol; as with TCP, its Write returns when the bytes are in a buffer of the
// connection.
//
// Control messages (pings, pongs and Close frames) are handled by the goroutine that
// reads, while it reads: a ping is answered with a pong, and a Close frame with a Close
// frame. [Conn.SetPingHandler], [Conn.SetPongHandler] and [Conn.SetCloseHandler] replace
// this. The reader does not wait for writers: if the network is busy, an answer is sent when
// the network accepts it; if another goroutine is writing, after that goroutine's frame.
//
// So a connection must be read even if no messages are expected. [Conn.CloseRead] does
// that, and returns a context that ends with the reading.
//
// Answers to a burst are sent together: while received messages wait to be read, messages
// that the program writes wait, too, for at most 200 microseconds, and are sent in one
// system call. A connection does this if the program has handled the last burst quickly,
// in 50 microseconds for each message. [Conn.Cork] and [Conn.Flush] do the same for a program
// that has many messages to send. Goroutines that write to a connection at the same time
// also share system calls. Upgrader.WriteThrough turns the waiting off.
//
// # Concurrency
//
// One goroutine at a time may read from a Conn. Any number may write to it: each message is
// sent as a whole, and those of a goroutine in the order of its calls. Close, Shutdown, Ping
// and the methods that set deadlines may be called by any goroutine at any time. NextWriter
// and its writers are for one goroutine at a time; while such a writer is open, messages
// of other goroutines wait, and control messages are sent between its fragments.
//
// The package keeps no goroutine for a connection, except those in which HandlerFunc runs
// the program's function and CloseRead reads.
//
// A write waits for the network, and so for a peer that reads slowly. A program that sends
// the same messages to many peers must not let one of them delay the others:
//
//   - give each connection a goroutine that writes, and a bounded queue;
//   - when a queue is full, drop messages or disconnect: [Conn.Shutdown] with
//     [CloseTryAgainLater], in a goroutine of its own and with a context that ends;
//   - set a write deadline before every message, and call Close after a timeout;
//   - let PingInterval detect peers that are gone, and a [Group] close the others.
//
// The directory examples/hub contains such a program.
//
// # Deadlines and contexts
//
// [Conn.SetReadDeadline] bounds reads, including one in progress, and the context of
// [Conn.ReadMessageContext] bounds that call. A read that ends in this way has lost
// nothing, even in the middle of a message or of a frame's header: call it, or another
// method that reads, again. Every other error of a read is final, and every later read
// returns it:
//
//   - a *[CloseError], if the peer has closed the connection, or if the connection has ended
//     without a Close frame (1006);
//   - [ErrReadLimit], if a message is longer than the limit;
//   - an error whose text says which rule the peer has broken;
//   - an error that says that the peer is silent, see Keepalive;
//   - an error that says that messages waiting to be sent are lost, or that Shutdown has
//     discarded messages;
//   - the error of a handler of the program;
//   - an error that wraps net.ErrClosed, after Close;
//   - an error of the network.
//
// After ErrReadLimit, and after an error for a broken rule, the peer was sent a Close frame
// with the matching code.
//
// [Conn.SetWriteDeadline] bounds writes, and the context of [Conn.WriteMessageContext]
// bounds that call. If a write ends before any byte of its frame was sent, because others
// were writing or the network was busy, it has had no effect; its error is
// "websocket: write timeout" or the context's. If it ends within a frame, the connection can
// no longer be written, and every later write returns the same error. Over TLS, which cannot
// continue after a timeout, that is so as soon as the write has waited for the network. After
// a Close frame was sent, every write returns [ErrCloseSent], and after Close an error that
// wraps net.ErrClosed.
//
// Frames that no call waits for have no deadline: answers to pings, corked messages, the
// bytes of a stream. Close waits up to a second until they were sent, Flush until the write
// deadline, and Shutdown until its context ends.
//
// # Closing
//
// [Conn.Shutdown] closes the connection in an orderly way (RFC 6455, 7): it sends a Close
// frame, waits for the peer's, and closes the network connection, bounded by a context.
// Messages that the peer has sent before its Close frame go to the goroutine that reads. If
// the program does not read, Shutdown does, without calling the program's handlers: clean up
// after the loop that reads, not in a close handler.
//
// [Conn.Close] closes the network connection and sends no Close frame. Blocked reads return
// at once, blocked writes within a second, and frames accepted before have that second to be
// sent. If a Close frame was sent
// and not answered, the network connection is half-closed first, so that the frame reaches
// the peer, and closed in the background when the peer has closed its side, or after a second.
// Every connection must be closed by one of the two, whatever the error was; HandlerFunc does
// it when its function returns.
//
// http.Server.Shutdown does not know about upgraded connections. A [Group] closes all
// connections of a server, and waits for the functions of HandlerFunc; [Group.Len] counts
// the connections.
//
// # Keepalive
//
// Upgrader.PingInterval and PongTimeout, and the same fields of Dialer, detect peers that are
// gone without a Close frame: after an interval without a frame the peer is sent a ping, and
// if no frame is received within the timeout either, the connection fails. This takes one timer
// for a connection. The connection must be read; the timeout does not run while it is not.
//
// A peer that accepts messages, however slowly, is alive: progress of a write that has had to
// wait for the network counts like a received frame. A write without progress for
// PingInterval and PongTimeout together fails the connection, even if the connection is not
// read. Progress is noticed for each 256 KiB of a large message, or 64 KiB of a client's, so
// the two together must exceed the time in which a peer receives that and the data in the
// kernel's buffers. After a Close frame was sent there are no more pings, and only the
// silence counts.
//
// [Conn.Ping] measures the round-trip time.
//
// # Origin
//
// A browser lets any page open a WebSocket connection to any host, with that host's
// cookies, and names the page's site in the Origin header; CORS does not apply. So a server
// that authenticates by cookies must check Origin (RFC 6455, 10.2). By default an Upgrader
// accepts pages of the server's own host, which is the Host of the request, and requests
// without an Origin, which come from programs other than browsers. Upgrader.OriginPatterns
// accepts pages of further hosts, and Upgrader.CheckOrigin replaces the check. A proxy in
// front of the server must pass the Host header on.
//
// # Refused requests
//
// A request that cannot be upgraded is answered with a status and a text that says why;
// Upgrader.Error replaces the answer, and Upgrade returns a [HandshakeError]:
//
//	400  the client breaks a rule of the handshake, or speaks HTTP/1.0, as some
//	     proxies do unless they are configured to speak HTTP/1.1
//	400  no 'upgrade' in Connection: a proxy passes Upgrade on, but not Connection
//	403  the Origin is not accepted: set OriginPatterns, or have the proxy pass Host on
//	405  the method is not GET
//	426  not a WebSocket request: a URL opened in a browser, or a proxy that drops
//	     Upgrade and Connection; or a version other than 13
//	500  a mistake in this server: invalid fields of the Upgrader, or middleware whose
//	     ResponseWriter hides http.Hijacker and needs an Unwrap method
//	501  WebSocket over HTTP/2 (RFC 8441): the client must use HTTP/1.1
//	503  the Group is shutting down
//	505  any other request over HTTP/2: the client must use HTTP/1.1
//
// A client gets [ErrBadHandshake] together with the response, whose Body has the first
// kilobyte of the text.
//
// # Authentication
//
// The handshake is an HTTP request: authenticate it like any other, before Upgrade is called,
// and answer 401 or 403 if it is not authorized. A browser sends cookies, but a page cannot
// set headers, except the subprotocols: a page without cookies sends its token as one of two
// subprotocols, and the server selects the other one; or it sends the token in the first
// message. A token in the URL ends up in logs. Other clients set Authorization, or user
// information in the URL, which is sent as Basic authentication.
//
// # Compression
//
// Upgrader.EnableCompression and the same field of Dialer negotiate permessage-deflate
// (RFC 7692), with the options in [CompressionOptions]. A message is then compressed if that
// makes it shorter. [Conn.EnableWriteCompression] turns this off for data that is
// compressed already, and [Conn.SetCompressionLevel] sets the level, both for the following
// messages. Several levels are the same: 1 is the fastest, 2 to 5 make messages some 10 %
// shorter, 6 to 9 and -1 search for repetitions much longer, and -2 does not search. At 0
// nothing is compressed; CompressionOptions.Level 0 means 1, or 2 with context takeover.
// [Conn.CompressionState] returns the result of the negotiation.
//
// Without context takeover each message is compressed on its own, by a compressor from a pool.
// With it, messages that resemble earlier ones become much smaller, and a connection keeps,
// from its first compressed message on, the window of received messages, and the window and
// the tables for sent messages. Bytes of heap that compression adds to an idle connection, on
// linux/amd64 with Go 1.26 and 1.27:
//
//	takeover        15 bits each way    12 bits    15 bits, levels 6 to 9
//	none                          96         96                        96
//	receiving                 32,896      4,224                    32,896
//	sending                   49,408     20,736                   131,328
//	both                      82,208     24,864                   164,128
//
// A server with many connections does well with ContextTakeover and 12 bits in both
// directions: chat messages of 256 bytes are then compressed to 48 % of their size, with
// 15 bits to 46 %, and without takeover to 75 %; JSON of 2 KiB to 24, 22 and 31 %, and of
// 32 KiB to 22, 20 and 23 %. The default is nevertheless 15 bits, since some peers do not
// negotiate less. For the time to compress and decompress, see benchmarks/CODEC.md.
//
// A compressed message is decompressed as it is received. Until its end was read, it takes
// about 6 KiB and, with [Conn.NextReader], a window of at most the negotiated size. The
// read limit counts decompressed bytes, so a small message that expands beyond the limit is
// refused. A corrupt message ends the connection with [CloseInvalidFramePayloadData]; bytes
// before the error may have been delivered.
//
// # Testing
//
// Test a handler over a real connection: httptest.NewServer starts a server, and
// [Dialer.Dial] accepts its URL as it is. An httptest.NewRecorder cannot be hijacked. In a
// testing/synctest bubble, use a net.Pipe as the network: Dialer.NetDialContext returns one
// end of it, and the Accept method of a net.Listener, for http.Server.Serve, the other.
//
// # Limits and memory
//
// A message of more than 32 MiB is refused, unless Upgrader.ReadLimit, Dialer.ReadLimit or
// [Conn.SetReadLimit] sets another limit. The memory for a message being read follows the
// bytes received, not the length announced by the peer: it is at most sixteen times the
// received bytes plus a kilobyte, or four times if there are more than 16 KiB of them; for a
// compressed message it is at most twice the decompressed bytes. A program that queues
// messages must bound its queues.
//
// A message is sent in one frame, whatever its size, unless it is written with NextWriter.
// Upgrader.MaxFrameSize is for peers and gateways that do not accept large frames.
//
// A handshake takes at most a few kilobytes in addition to the header that net/http has read,
// which http.Server bounds by MaxHeaderBytes: a request with more than 64 subprotocols, or
// extensions and parameters, is refused. Dial reads at most 64 KiB of the head of an answer,
// from the server and from a proxy.
//
// An idle TCP or Unix connection holds no buffer on unix, and its goroutine needs no more than
// its initial stack. Over TLS it holds 256 bytes; on other systems, and if a listener or a dial
// function wraps the network connection in a type of its own, a kilobyte. Let the handler return
// while another goroutine reads, as HandlerFunc does if it can: net/http keeps some 10 KB for a
// handler that does not return.
//
// # Go releases
//
// Go 1.26 and 1.27 are supported and tested. The package should compile with Go 1.23 to 1.25,
// but is not tested with them.
package websocket

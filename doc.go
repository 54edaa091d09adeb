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
// [Upgrader.Upgrade] does the same by hand, for a handler that has to look at the request
// first. The handler may return and leave the Conn to another goroutine.
//
// A client calls [Dialer.DialContext] with a ws or wss URL, [DefaultDialer] for instance,
// and gets the same kind of Conn.
//
// # Messages
//
// A message is text, which must be UTF-8, or binary. [Conn.ReadMessage] and
// [Conn.WriteMessage] take it whole, as a slice of bytes, and [Conn.AppendMessage] reads
// it into memory of the caller; [Conn.NextReader] and [Conn.NextWriter] take it as a
// stream of bytes; [Conn.ReadJSON] and [Conn.WriteJSON] as JSON. A [PreparedMessage] is
// encoded once and sent to many connections. [NewStream] makes a net.Conn of a Conn, to
// tunnel another protocol; as over TCP, its Write returns when the bytes lie in a buffer
// of the connection.
//
// Control messages (pings, pongs and Close frames) are dealt with by the goroutine that
// reads, while it reads: a ping is answered by a pong, and a Close frame by a Close frame.
// [Conn.SetPingHandler], [Conn.SetPongHandler] and [Conn.SetCloseHandler] replace that.
// The reader does not wait for writers: an answer that finds the network busy leaves when
// the network takes it or, if another goroutine is writing, after its frame.
//
// A connection must therefore be read even if no messages are expected. [Conn.CloseRead]
// does that, and returns a context that ends with the connection.
//
// Messages that answer a burst leave together: while more messages of the peer have come
// and are still to be read, what is written waits, at most 200 microseconds, and leaves in
// one system call. A connection begins to do so when the program has handled a burst
// quickly, in 50 microseconds a message, and stops when it has not. [Conn.Cork] and
// [Conn.Flush] do the same for a program that has many messages to send. Goroutines that
// write to a connection at the same time share system calls, too. Upgrader.WriteThrough
// turns the waiting off.
//
// # Concurrency
//
// One goroutine at a time may read from a Conn. Any number may write to it: a message is
// sent as a whole, and each goroutine's in the order of its calls. Close, Shutdown, Ping
// and the methods that set deadlines may be called by any goroutine at any time. NextWriter
// and its writers are for one goroutine at a time; while such a writer is open, messages
// of other goroutines wait, and control messages pass between its fragments.
//
// The package keeps no goroutine for a connection, except the one in which HandlerFunc
// runs the program's function, unless its handler does.
//
// A write waits for the network, and so for a peer that reads slowly. A program that sends
// the same to many must not let one of them hold up the others:
//
//   - give each connection a goroutine that writes, and a bounded queue;
//   - when a queue is full, drop messages or disconnect: [Conn.Shutdown] with
//     [CloseTryAgainLater], in a goroutine of its own and with a context that ends;
//   - set a write deadline before every message, and call Close when one has passed;
//   - let PingInterval find the peers that are gone, and a [Group] close the rest.
//
// The directory examples/hub has such a program.
//
// # Deadlines and contexts
//
// [Conn.SetReadDeadline] bounds reads, including one that is already waiting, and the
// context of [Conn.ReadMessageContext] bounds that call. A read that is ended in this way
// has lost nothing, even in the middle of a message or of a frame's header: call it, or
// another method that reads, again. Every other error of a read is final, and every later
// read returns it:
//
//   - a *[CloseError], if the peer has closed the connection, or if the connection has ended
//     without a Close frame (1006);
//   - [ErrReadLimit], if a message is longer than the limit;
//   - an error whose text says which rule the peer has broken;
//   - an error that says that the peer is silent, see Keepalive;
//   - an error that says that messages waiting to be sent are lost;
//   - an error of the network.
//
// In the second and third case the peer was sent a Close frame with the matching code.
//
// [Conn.SetWriteDeadline] bounds writes, and the context of [Conn.WriteMessageContext]
// bounds that call. A write that is ended before any byte of its frame has left, because
// others were writing or the network was busy, has done nothing; its error is
// "websocket: write timeout" or the context's. A write that is ended within a frame has
// ended all writing, and every later write returns its error. Over TLS, which cannot
// continue after a write has timed out, that is so once the write has waited for the
// network. After a Close frame was sent, every write returns [ErrCloseSent], and after
// Close an error that is net.ErrClosed.
//
// Frames that no call waits for have no deadline: answers to pings, messages that wait for
// others, the bytes of a stream. Close gives these a second to leave, and Flush and
// Shutdown wait for them.
//
// # Closing
//
// [Conn.Shutdown] closes the connection in an orderly way (RFC 6455, 7): it sends a Close
// frame, waits for the peer's, and closes the network connection, bounded by a context.
// Messages that the peer has sent before go to the goroutine that reads. If the program
// does not read, Shutdown does, and runs no handlers of the program: clean up after the
// loop that reads, not in a close handler.
//
// [Conn.Close] ends the network connection and sends no Close frame. Calls that wait
// return at once, and what was accepted before has a second to leave. A Close frame that
// was sent arrives: if the peer has not answered it, the network connection is half-closed
// first, and closed in the background when the peer has ended its side, or after a second.
// Every connection must be closed by one of the two in the end, whatever the error was;
// HandlerFunc does it when its function returns.
//
// http.Server.Shutdown does not know of upgraded connections. A [Group] closes all
// connections of a server, and waits for the functions of HandlerFunc; [Group.Len] counts
// them.
//
// # Keepalive
//
// Upgrader.PingInterval and PongTimeout, and the same fields of Dialer, find peers that are
// gone without a word: after an interval without any frame the peer is sent a ping, and if
// nothing comes within the timeout either, the connection fails. A connection takes one
// timer for that. It must be read; the time in which nobody reads does not count.
//
// A peer that accepts what it is sent, however slowly, is alive: while a write that has had to
// wait for the network makes progress, the time begins anew. A write that makes none for
// PingInterval and PongTimeout together fails the connection, whether or not somebody
// reads. Progress is seen for each 256 KiB of a large message, or 64 KiB of a client's, so
// the two together must exceed the time in which a peer takes that and what the kernel has
// buffered before it. After a Close frame was sent there are no pings, and the silence
// alone counts.
//
// [Conn.Ping] measures the time to the peer and back.
//
// # Origin
//
// A browser lets any page open a WebSocket connection to any host, sends that host's
// cookies along, and says in the Origin header which page it was; CORS does not apply. So a
// server that authenticates by cookies must check Origin (RFC 6455, 10.2). By default an
// Upgrader accepts pages of the server's own host, which is the Host of the request, and
// requests without an Origin, which come from programs that are no browsers.
// Upgrader.OriginPatterns lets pages of other hosts in, and Upgrader.CheckOrigin decides
// instead. A proxy in front of the server must pass Host on.
//
// # Refused requests
//
// A request that cannot be upgraded is answered with a status and a text that says why;
// Upgrader.Error replaces the answer, and Upgrade returns a [HandshakeError]:
//
//	400  broken rules of the handshake: the client is no WebSocket client, or wrong
//	400  no 'upgrade' in Connection: a proxy on the way does not pass Upgrade on
//	403  an Origin that is not accepted: OriginPatterns, or a proxy that changes Host
//	405  a method other than GET
//	426  no WebSocket request, such as a page that was opened in a browser; or a
//	     version other than 13
//	500  a mistake of this server: fields of the Upgrader that contradict each other, or
//	     middleware whose ResponseWriter hides http.Hijacker; it needs an Unwrap method
//	501  WebSocket over HTTP/2 (RFC 8441): serve HTTP/1.1, too
//	505  any other request over HTTP/2: the same; over HTTP/1.0 it is 400, and comes
//	     from a proxy that must be told to speak HTTP/1.1
//	503  the Group is shutting down
//
// A client gets [ErrBadHandshake] together with the response, whose Body has the first
// kilobyte of the text.
//
// # Authentication
//
// The handshake is an HTTP request: authenticate it as any other, before Upgrade is called,
// and answer 401 or 403 to whoever is not allowed in. A browser sends cookies, but no header
// that a page chooses, except the subprotocols: a page without cookies sends its token as one
// of two subprotocols, and the server selects the other one; or it sends the token in the
// first message. A token in the URL ends up in logs. A client that is a program sets
// Authorization, or user information in the URL, which becomes Basic authentication.
//
// # Compression
//
// Upgrader.EnableCompression and the same field of Dialer negotiate permessage-deflate
// (RFC 7692); [CompressionOptions] say how. What is written is then compressed where that
// makes it shorter. [Conn.EnableWriteCompression] turns this off for data that is
// compressed already, and [Conn.SetCompressionLevel] sets the level, both from one message
// to the next. Several levels are the same: 1 is the fastest, 2 to 5 make messages some
// 10 % shorter, 6 to 9 and -1 search for repetitions much longer, and -2 does not search.
// At 0 nothing is compressed; CompressionOptions.Level 0 stands for 1, or for 2 with
// context takeover. [Conn.CompressionState] tells what was agreed on.
//
// Without context takeover each message is compressed on its own, compressors come from a
// pool, and a connection keeps none. With it, what resembles earlier messages becomes much
// smaller, and a connection keeps, from its first compressed message on, the window of
// what it receives, and the window and the tables of what it sends. Bytes of heap that
// compression adds to a connection that waits, on linux/amd64 with Go 1.26 and 1.27:
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
// 32 KiB to 22, 20 and 23 %. The default is 15 bits all the same, since some peers do not
// negotiate less. Time to compress and decompress is in benchmarks/CODEC.md.
//
// A compressed message is decompressed as it arrives. Until its end has been read it holds
// about 6 KiB and, with [Conn.NextReader], a window of at most the negotiated size. The
// read limit counts decompressed bytes, so a small message that becomes a very large one
// is refused. A message that is corrupt ends the connection with
// [CloseInvalidFramePayloadData]; bytes before the error may have been delivered.
//
// # Testing
//
// A handler is tested over a real connection: httptest.NewServer starts a server, and
// [Dialer.Dial] accepts its URL with ws in place of http. httptest.NewRecorder cannot be
// hijacked. In a testing/synctest bubble the network is a net.Pipe: Dialer.NetDialContext
// returns one end of it, and the Accept method of a net.Listener the other, for
// http.Server.Serve.
//
// # Limits and memory
//
// A message of more than 32 MiB is refused, unless Upgrader.ReadLimit, Dialer.ReadLimit or
// [Conn.SetReadLimit] says otherwise. A message that is being read takes memory for what
// has come of it, not for what the peer has announced: at most sixteen times what has come
// and a kilobyte, or four times what has come if that is more than 16 KiB; a compressed
// message takes at most twice what it has become so far. A program that queues messages
// must bound its queues.
//
// A message is sent in one frame, whatever its size, unless it is written with NextWriter.
// Upgrader.MaxFrameSize is for peers and gateways that accept no large frames.
//
// A handshake takes no more than a few kilobytes beside the header that net/http has read,
// which http.Server bounds by MaxHeaderBytes: a request with more than 64 subprotocols, or
// extensions and their parameters, is refused. Dial reads at most 64 KiB of the head of an
// answer, from the server and from a proxy.
//
// A connection that waits for data holds no buffer, and its goroutine needs no more stack
// than Go gives it first. Let the handler return while another goroutine reads, as HandlerFunc
// does where it can: net/http keeps some 10 KB for a handler that does not return.
//
// # Go releases
//
// Go 1.26 and 1.27 are supported, and the tests are run with both. The package should
// compile with Go 1.23 to 1.25, with which they are not run.
package websocket

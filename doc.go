// Package websocket is WebSocket (RFC 6455), with compression (RFC 7692), for net/http:
// a server and a client.
//
// # Overview
//
// A server wraps an [Upgrader] in a handler. [Upgrader.HandlerFunc] answers the
// request, and runs a function with the [Conn]. This program sends every message back:
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
// [Upgrader.Upgrade] does the same by hand, for a handler that has to look at the
// request first. By default it accepts pages of the server's own host only, and
// programs that are no browsers; Upgrader.OriginPatterns and Upgrader.CheckOrigin
// let others in.
//
// A client calls [Dialer.DialContext] with a ws or wss URL, [DefaultDialer] for
// instance, and gets the same kind of Conn.
//
// A message is text, which is UTF-8, or binary. [Conn.ReadMessage] and
// [Conn.WriteMessage] take it whole, as a slice of bytes, and [Conn.AppendMessage]
// into memory of the caller; [Conn.NextReader] and [Conn.NextWriter] as a stream.
//
// # Concurrency
//
// One goroutine at a time may read from a Conn. Any number may write to it: a
// message is sent as a whole, and each goroutine's in the order of its calls. Close,
// Shutdown, Ping and the deadlines may be used by any goroutine at any time. Only
// NextWriter and its writers are for one goroutine at a time; while such a writer is
// open, messages of other goroutines wait, and control messages pass between its
// fragments.
//
// The package keeps no goroutine for a connection, except for that in which
// HandlerFunc runs a program's function.
//
// # Control messages
//
// Pings, pongs and Close frames are dealt with by the goroutine that reads, while it
// reads. A program that expects no messages must read all the same, and may discard
// what it reads. By default a ping is answered by a pong and a Close frame by a
// Close frame; [Conn.SetPingHandler], [Conn.SetPongHandler] and
// [Conn.SetCloseHandler] replace that, except while Shutdown reads because the program does
// not. The reader does not wait for writers: an
// answer that finds the network busy leaves when the network takes it, or, if another goroutine is
// writing, after its frame.
//
// # Deadlines and contexts
//
// [Conn.SetReadDeadline] bounds reads, the one that is waiting too, and the context
// of [Conn.ReadMessageContext] that call. A read that was ended so has lost nothing, in
// the middle of a message or of a frame's header either: call it, or another one,
// again. Every other error of a read is final, and every later read returns it:
//
//   - a *[CloseError], where the peer has closed the connection, or it has ended
//     without a word (1006);
//   - [ErrReadLimit], where a message is longer than the limit;
//   - an error whose text says which rule the peer has broken;
//   - an error that says that the peer is silent, see Keepalive;
//   - an error that says that messages that waited to be sent are lost, see Messages
//     sent at once;
//   - an error of the network.
//
// In the second and third case the peer was sent a Close frame that says so.
//
// [Conn.SetWriteDeadline] bounds writes, and the context of
// [Conn.WriteMessageContext] that call. A write that was ended before any of its frame has
// left, because others were writing or the network was busy, has done nothing; its error is
// "websocket: write timeout" or the context's. A write that was ended within a frame has
// ended all writing, and every later write returns its error. Over TLS, which cannot go on
// after a write has timed out, that is so as soon as the network is waited for. After a Close
// frame was sent, every write returns [ErrCloseSent], and after Close one that is net.ErrClosed.
//
// A frame that no call waits for has no deadline: an answer to a ping, a message that
// waits for others, see Messages sent at once, and the bytes of a stream. Close gives these a
// second, and Flush and Shutdown wait for them.
//
// # Closing
//
// [Conn.Shutdown] closes the connection in an orderly way (RFC 6455, 7): it sends a
// Close frame, waits for the peer's, and closes the network connection, bounded by a
// context. Messages that the peer has sent before go to the goroutine that reads. If the
// program does not read, Shutdown does, and runs no handlers of the program: clean up behind
// the loop that reads, not in a close handler.
// [Conn.Close] ends the network connection and sends no Close frame. Whatever waits returns
// at once, and what was accepted before has a second to leave. A Close frame that was sent
// arrives: if the peer has not answered it, the network connection is half-closed first, and
// closed in the background when the peer has ended its side, or after a second. A connection
// must be closed by one of the two in the end, whatever the error was; where HandlerFunc runs
// the function that uses it, that is done when the function returns.
//
// A program that only sends must read all the same, so that pings are answered and the end is
// seen: [Conn.CloseRead] does, and returns a context that ends with the connection.
//
// A [Group] closes all connections of a server, since http.Server.Shutdown does not know of
// them, and waits for the functions of HandlerFunc. Group.Len counts the connections that have
// been upgraded and not been closed.
//
// # Keepalive
//
// Upgrader.PingInterval and PongTimeout, and the same of Dialer, find peers that are
// gone without a word: after an interval without any frame the peer is sent a ping,
// and when then nothing comes either, the connection fails. It takes one timer for
// each connection. The connection must be read for that; the time in which nobody
// reads does not count. A peer that takes what it is sent, however slowly, is alive: where a
// write has had to wait for the network and goes on, the time begins anew, and only a
// write that waits for PingInterval and PongTimeout without that fails the connection, whether
// or not somebody reads. This is seen for each 256 KiB of a large message, or 64 KiB of a
// client's, so the two together must exceed the time in which a peer takes that and what
// the kernel has buffered before it. After a Close frame was sent there are no pings, and the
// silence alone counts. [Conn.Ping] measures the time to the peer and back.
//
// # Slow peers
//
// A write waits for the network, and that for a peer that reads slowly. A program
// that sends the same to many must not let one of them hold up the others:
//
//   - give each connection a goroutine that writes, and a queue with a bound;
//   - where a queue is full, drop messages, or disconnect: [Conn.Shutdown] with
//     [CloseTryAgainLater], in a goroutine of its own and with a context that ends;
//   - set a write deadline before every message, and Close when one has timed out;
//   - let PingInterval find the peers that are gone, and a [Group] close the rest.
//
// A [PreparedMessage] is encoded once, and all queues share it: see examples/hub.
//
// # Messages sent at once
//
// A peer that has sent several messages at once gets the answers at once: what is
// written while others of its messages are still to be read waits until these have been
// handled, at most 200 microseconds, and all leave in one system call; see
// [Conn.WriteMessage]. A connection begins to do so when the program has handled a burst
// quickly, in 50 microseconds a message, and ends when it has not. [Conn.Cork] and
// [Conn.Flush] do the same for a program that has many messages to send. Goroutines that
// write to a connection at the same time share system calls, too.
//
// # Compression
//
// Upgrader.EnableCompression and the same of Dialer negotiate permessage-deflate (RFC
// 7692); [CompressionOptions] say how. What is written is then compressed where that
// makes it shorter. [Conn.EnableWriteCompression] turns this off for what is compressed
// already, and [Conn.SetCompressionLevel] sets the level, both from one message to the
// next. Several levels are the same: 1 is the fastest, 2 to 5 make messages some 10 %
// shorter, 6 to 9 and -1 search for repetitions much longer, and -2 does not search. At 0
// nothing is compressed; CompressionOptions.Level 0 stands for 1, or for 2 with context
// takeover. [Conn.CompressionState] tells what was agreed on.
//
// Without context takeover each message is compressed on its own, compressors come from
// a pool, and a connection keeps none. With it, what resembles earlier messages becomes
// much smaller, and a connection keeps, from its first compressed message on, the window
// of what it receives, and the window and the tables of what it sends. Bytes of heap that
// compression adds to a connection that waits, measured on linux/amd64 with Go 1.26 and 1.27:
//
//	takeover        15 bits each way    12 bits    15 bits, levels 6 to 9
//	none                          96         96                        96
//	receiving                 32,896      4,224                    32,896
//	sending                   49,408     20,736                   131,328
//	both                      82,208     24,864                   164,128
//
// A server with many connections does well with ContextTakeover and 12 bits in both directions:
// chat messages of 256 bytes are then compressed to 48 % of their size, with 15 bits to 46 %,
// and without takeover to 75 %; JSON of 2 KiB to 24, 22 and 31 %, and of 32 KiB to 22, 20 and
// 23 %. The default is 15 bits all the same, since some peers do not negotiate less. Time to
// compress and decompress is in benchmarks/CODEC.md.
//
// A compressed message is decompressed as it arrives. Until its end has been read it holds
// about 6 KiB and, with [Conn.NextReader], a window of at most the negotiated size. The read
// limit counts decompressed bytes, so a small message that becomes a very large one is
// refused. A message that is corrupt ends the connection with
// [CloseInvalidFramePayloadData]; bytes before the error may have been delivered.
//
// # Streams
//
// [NewStream] makes a net.Conn of a Conn, to tunnel another protocol. Its deadlines
// can pass, for reads and writes, and the stream goes on. As over a TCP connection, a Write
// returns when its bytes lie in a buffer of the connection.
//
// # Limits and memory
//
// A message of more than 32 MiB is refused, unless ReadLimit or
// [Conn.SetReadLimit] says otherwise. A message that is being read takes memory for
// what has come of it, not for what the peer has announced. What comes after all
// reads is bounded by the speed of the peer: a program that queues messages must
// bound its queues. The memory for a message is at most sixteen times what has come of it and
// a kilobyte, or four times what has come where that is more than 16 KiB; a compressed message
// takes at most twice what it has become so far.
//
// A message is sent in one frame, whatever its size, unless it is written with NextWriter.
// [Upgrader.MaxFrameSize] is for peers and gateways that accept no large frames.
//
// A handshake takes no more than a few kilobytes beside the header that net/http has read,
// which http.Server bounds by MaxHeaderBytes: a request with more than 64 subprotocols, or
// extensions and their parameters, is refused. Dial reads at most 64 KiB of the head of an
// answer, from the server and from a proxy.
//
// A connection that waits for data holds no buffer, and its goroutine needs no more
// stack than Go gives it first. Let the handler return while another goroutine reads, as
// HandlerFunc does: net/http keeps some 10 KB for a handler that does not.
//
// # Go releases
//
// Go 1.26 and 1.27 are supported, and the tests are run with both. The package should
// compile with Go 1.23 to 1.25, with which they are not run.
package websocket

package gorilla

// Writing.

var _ = differ(waitsForWriter, asClient, `
- client: WriteMessage text "x": ok
+ client: WriteMessage text "x": error "websocket: write timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- client: writer.Close: error "websocket: write closed"
+ client: writer.Close: ok
- client sends: text masked "x"`,
	"a message while a writer is open")

var _ = differ(waitsForWriter, asClient, `
- client: WritePreparedMessage: ok
+ client: WritePreparedMessage: error "websocket: write timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- server: ReadMessage: text "prepared", ok
- client sends: text masked "prepared"`,
	"a prepared message while a writer is open")

var _ = differ(oneFrame, asClient, `
- client sends: binary masked 4097 bytes, in fragments
- client sends: binary masked 65535 bytes, in fragments
- client sends: binary masked 65536 bytes, in fragments
- client sends: binary masked 1048576 bytes, in fragments
+ client sends: binary masked 4097 bytes
+ client sends: binary masked 65535 bytes
+ client sends: binary masked 65536 bytes
+ client sends: binary masked 1048576 bytes`,
	"messages of more than 4096 bytes")

var _ = differ(oneFrame, asClient, `
- client sends: text masked 40000 bytes, in fragments
+ client sends: text masked 40000 bytes`,
	"messages with buffers of 16 KiB")

var _ = differ(oneFrame, asClient, `
- client sends: binary masked "abcdefghijklmnopqrstuvwxyz0123456789\nabc", in fragments
+ client sends: binary masked "abcdefghijklmnopqrstuvwxyz0123456789\nabc"`,
	"messages with buffers of 16 bytes")

var _ = differ(oneFrame, asClient, `
- client sends: binary masked 10000 bytes, in fragments
+ client sends: binary masked 10000 bytes`,
	"a large prepared message")

var _ = differ(oneFrame, asClient, `
- client sends: text masked 10273 bytes, in fragments
+ client sends: text masked 10273 bytes`,
	"a large JSON value")

var _ = differ(oneFrame, asServer, `
- server sends: text 10273 bytes, in fragments
+ server sends: text 10273 bytes`,
	"a large JSON value")

var _ = differ(fragmentSizes, asClient, `
- client sends: text masked 10022 bytes, in fragments
+ client sends: text masked 10022 bytes`,
	"a message writer that reads")

var _ = differ(fragmentSizes, asServer, `
- server sends: text 10022 bytes, in fragments
+ server sends: text 10022 bytes`,
	"a message writer that reads")

var _ = differ(fragmentSizes, asClient, `
- client sends: text masked unfinished 4096 bytes
- client sends: continuation masked unfinished 4096 bytes
- client sends: continuation masked 3808 bytes
+ client sends: text masked unfinished 4082 bytes
+ client sends: continuation masked unfinished 4082 bytes
+ client sends: continuation masked 3836 bytes`,
	"a message writer of more than its buffer")

var _ = differ(fragmentSizes, asClient, `
- client sends: binary masked unfinished 4096 bytes
- client sends: continuation masked unfinished 4096 bytes
- client sends: continuation masked unfinished 4096 bytes
- client sends: continuation masked unfinished 4096 bytes
- client sends: continuation masked 3632 bytes
+ client sends: binary masked unfinished "a little"
+ client sends: continuation masked unfinished 20000 bytes
+ client sends: continuation masked "a little"`,
	"a message writer that is given much at once")

var _ = differ(fragmentSizes, asServer, `
- server sends: binary unfinished 20008 bytes
+ server sends: binary unfinished "a little"
+ server sends: continuation unfinished 20000 bytes`,
	"a message writer that is given much at once")

var _ = differ(controlTooLong, asClient, `
- client: writer.Write 1000 bytes with the checksum 2b70aae3: 1000, ok
+ client: writer.Write 1000 bytes with the checksum 2b70aae3: 126, error "websocket: invalid control frame"
- client: writer.ReadFrom: 127, ok
+ client: writer.ReadFrom: 126, error "websocket: invalid control frame"`,
	"a control message by a writer, long")

var _ = differ(nothingHappened, asClient, `
- client: WriteMessage text "x": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ client: WriteMessage text "x": error "websocket: write timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- client: WriteMessage text "x": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ client: WriteMessage text "x": ok`,
	"deadlines over TLS")

var _ = differ(nothingHappened, asClient, `
- client: WriteMessage text "too late": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ client: WriteMessage text "too late": error "websocket: write timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- client: WriteMessage text "x": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- client: WriteMessage ping "x": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- client: WriteMessage close "": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- client: WriteControl ping "x": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- client: WriteControl close "": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- client: NextWriter: error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- client: NextWriter ping: error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- client: WriteJSON: error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ client: WriteMessage text "x": ok
+ client: WriteMessage ping "x": ok
+ client: WriteMessage close "": ok
+ client: WriteControl ping "x": error "websocket: close sent" (ErrCloseSent)
+ client: WriteControl close "": error "websocket: close sent" (ErrCloseSent)
+ client: NextWriter: error "websocket: close sent" (ErrCloseSent)
+ client: NextWriter ping: error "websocket: close sent" (ErrCloseSent)
+ client: WriteJSON: error "websocket: close sent" (ErrCloseSent)
- client: WritePreparedMessage: error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ client: WritePreparedMessage: error "websocket: close sent" (ErrCloseSent)
+ client sends: text masked "x"
+ client sends: ping masked "x"
+ client sends: close masked ""`,
	"write deadline")

var _ = differ(nothingHappened, asServer, `
- server: WriteMessage text "x": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ server: WriteMessage text "x": error "websocket: write timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- server: WriteMessage text "x": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ server: WriteMessage text "x": ok`,
	"deadlines over TLS")

var _ = differ(nothingHappened, asServer, `
- server: WriteMessage text "too late": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ server: WriteMessage text "too late": error "websocket: write timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- server: WriteMessage text "x": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- server: WriteMessage ping "x": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- server: WriteMessage close "": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- server: WriteControl ping "x": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- server: WriteControl close "": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- server: NextWriter: error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- server: NextWriter ping: error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- server: WriteJSON: error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ server: WriteMessage text "x": ok
+ server: WriteMessage ping "x": ok
+ server: WriteMessage close "": ok
+ server: WriteControl ping "x": error "websocket: close sent" (ErrCloseSent)
+ server: WriteControl close "": error "websocket: close sent" (ErrCloseSent)
+ server: NextWriter: error "websocket: close sent" (ErrCloseSent)
+ server: NextWriter ping: error "websocket: close sent" (ErrCloseSent)
+ server: WriteJSON: error "websocket: close sent" (ErrCloseSent)
- server: WritePreparedMessage: error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ server: WritePreparedMessage: error "websocket: close sent" (ErrCloseSent)
+ server sends: text "x"
+ server sends: ping "x"
+ server sends: close ""`,
	"write deadline")

var _ = differ(nothingHappened, asClient, `
- client: writer.Close: error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- client: writer.Close: error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- client: writer.Write "x": 0, error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- client: WriteMessage text "x": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ client: writer.Close: error "websocket: write timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ client: writer.Close: error "websocket: write timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ client: writer.Write "x": 0, error "websocket: write timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ client: WriteMessage text "x": error "websocket: write timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)`,
	"write deadline of a message writer")

var _ = differ(countsBuffered, asClient, `
- client: writer.Write 5000 bytes with the checksum a6cbd601: 0, error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- client: writer.Write "x": 0, error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- client: writer.Close: error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- client: writer.Close: error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- client: WriteMessage text "x": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ client: writer.Write 5000 bytes with the checksum a6cbd601: 4082, error "websocket: write timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ client: writer.Write "x": 0, error "websocket: write timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ client: writer.Close: error "websocket: write timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ client: writer.Close: error "websocket: write timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ client: WriteMessage text "x": error "websocket: write timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)`,
	"write deadline of a fragment")

var _ = differ(countsBuffered, asClient, `
- client: writer.Write 5000 bytes with the checksum a6cbd601: 0, error "websocket: close sent" (ErrCloseSent)
+ client: writer.Write 5000 bytes with the checksum a6cbd601: 4060, error "websocket: close sent" (ErrCloseSent)`,
	"writes after a Close frame")

var _ = differ(closedWriter, asClient, `
- client: writer.Write " and stopped": 12, ok
- client: writer.Close: error "write tcp ADDR->ADDR: use of closed network connection" (is net.ErrClosed, net.Error)
+ client: writer.Write " and stopped": 0, error "use of closed network connection" (is net.ErrClosed, net.Error)
+ client: writer.Close: error "use of closed network connection" (is net.ErrClosed, net.Error)`,
	"writes after Close")

var _ = differ(unencodableJSON, asClient, `
- server: ReadMessage: text "", ok
+ server: ReadMessage: text "1", ok
- client sends: text masked ""
- client sends: text masked ""`,
	"a value that has no JSON")

// Reading.

var _ = differ(closedReads, asServer, `
- server: ReadMessage: text "two", ok
+ server: ReadMessage: none "", error "read tcp ADDR->ADDR: use of closed network connection" (is net.ErrClosed, net.Error)`,
	"a read after Close, behind a message that has come")

var _ = differ(readsGoOn, asServer, `
- server: ReadMessage: none "", error "read tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ server: ReadMessage: text "hello", ok`,
	"read deadline that passes and is lifted")

var _ = differ(readsGoOn, asServer, `
- server: reader to the end: "", error "read tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ server: reader to the end: ", world", ok`,
	"read deadline that passes during a message")

var _ = differ(readsGoOn, asServer, `
- server: ReadMessage: text "hello", error "read tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ server: ReadMessage: text "hello, world", ok`,
	"ReadMessage and a deadline that passes during a message")

var _ = differ(noPanic, asServer, `
- server: panic: repeated read on failed websocket connection
+ server: panic: <nil>
+ server: ReadMessage 1999: error "websocket: close 1006 (abnormal closure): unexpected EOF" (CloseError 1006 "unexpected EOF")`,
	"reading on after an error")

var _ = differ(checksUTF8, asServer, `
- server: ReadMessage: text "\xff", ok
- server: ReadMessage: text "good", ok
+ server: ReadMessage: text "", error "websocket: text is not valid UTF-8"
+ server: ReadMessage: none "", error "websocket: text is not valid UTF-8"
+ server sends: close 1007 "text is not valid UTF-8"`,
	"text that is not UTF-8")

var _ = differAlike(checksUTF8, `
- server: ReadMessage: text "\xe2\x82", ok
- server: ReadMessage: none "", error "websocket: close 1005 (no status)" (CloseError 1005 "")
+ server: ReadMessage: text "", error "websocket: text is not valid UTF-8"
- server sends: close ""
+ server sends: close 1007 "text is not valid UTF-8"`,
	"a text that ends in a character")

var _ = differAlike(checksUTF8, `
- server: ReadMessage: text "\xe2\x82x", ok
- server: ReadMessage: none "", error "websocket: close 1006 (abnormal closure): unexpected EOF" (CloseError 1006 "unexpected EOF")
- server: WriteMessage text "x": ok
+ server: ReadMessage: text "\xe2\x82", error "websocket: text is not valid UTF-8"
+ server: WriteMessage text "x": error "websocket: close sent" (ErrCloseSent)
- server sends: text "x"
+ server sends: close 1007 "text is not valid UTF-8"`,
	"a text that is not UTF-8 over fragments")

var _ = differAlike(checksReason, `
- server: ReadMessage: none "", error "websocket: invalid utf8 payload in close frame"
+ server: ReadMessage: none "", error "websocket: reason of a close frame is not valid UTF-8"
- server sends: close 1002 "invalid utf8 payload in close frame"
+ server sends: close 1007 "reason of a close frame is not valid UTF-8"`,
	"a close with a reason that is not UTF-8")

var _ = differAlike(oneByteClose, `
- server: ReadMessage: none "", error "websocket: close 1005 (no status)" (CloseError 1005 "")
+ server: ReadMessage: none "", error "websocket: payload of a close frame is 1 byte long"
- server sends: close ""
+ server sends: close 1002 "payload of a close frame is 1 byte long"`,
	"a close of 1 byte")

var _ = differ(registeredCode, asServer, `
- server: ReadMessage: none "", error "websocket: bad close code 1014"
+ server: ReadMessage: none "", error "websocket: close 1014: reason" (CloseError 1014 "reason")
- server sends: close 1002 "bad close code 1014"
+ server sends: close 1014 ""
- client: ReadMessage: none "", error "websocket: close 1002 (protocol error): bad close code 1014" (CloseError 1002 "bad close code 1014")`,
	"close code 1014")

var _ = differ(registeredCode, ourServer, `
+ client: ReadMessage: none "", error "websocket: bad close code 1014"`,
	"close code 1014")

var _ = differ(registeredCode, ourBoth, `
+ client: ReadMessage: none "", error "websocket: close 1014" (CloseError 1014 "")`,
	"close code 1014")

var _ = differ(limitByDefault, asServer, `
- server: ReadMessage: binary "\x00", error "websocket: close 1006 (abnormal closure): unexpected EOF" (CloseError 1006 "unexpected EOF")
+ server: ReadMessage: none "", error "websocket: read limit exceeded" (ErrReadLimit)
+ server sends: close 1009 ""`,
	"read limit where the program has not set one")

var _ = differ(limitOfDiscarded, asServer, `
- server: ReadMessage: none "", error "websocket: close 1006 (abnormal closure): unexpected EOF" (CloseError 1006 "unexpected EOF")
+ server: ReadMessage: none "", error "websocket: read limit exceeded" (ErrReadLimit)
+ server sends: close 1009 ""`,
	"read limit of what is discarded")

var _ = differ(limitOfNothing, asServer, `
- server: ReadMessage: binary "\x00\x00", error "websocket: read limit exceeded" (ErrReadLimit)
+ server: ReadMessage: binary "\x00\x00\x00", error "websocket: close 1006 (abnormal closure): unexpected EOF" (CloseError 1006 "unexpected EOF")`,
	"a frame with the length 2^63-1 in two fragments")

var _ = differ(shortestLength, asServer, `
- server: ReadMessage: text "hello", ok
- server: ReadMessage: none "", error "websocket: close 1006 (abnormal closure): unexpected EOF" (CloseError 1006 "unexpected EOF")
+ server: ReadMessage: none "", error "websocket: length 5 is not encoded in the fewest bytes"
+ server sends: close 1002 "length 5 is not encoded in the fewest bytes"`,
	"a frame with the length 5 in two bytes", "a frame with the length 5 in eight bytes")

var _ = differ(shortestLength, asServer, `
- server: ReadMessage: binary "", error "websocket: close 1006 (abnormal closure): unexpected EOF" (CloseError 1006 "unexpected EOF")
+ server: ReadMessage: none "", error "websocket: length 1000 is not encoded in the fewest bytes"
+ server sends: close 1002 "length 1000 is not encoded in the fewest bytes"`,
	"a frame with the length 1000 in eight bytes")

var _ = differ(negativeLength, asServer, `
- server: ReadMessage: none "", error "websocket: read limit exceeded" (ErrReadLimit)
+ server: ReadMessage: none "", error "websocket: the most significant bit of the length 0x8000000000000000 is set"
+ server sends: close 1002 "the most significant bit of the length 0x8000000000000000 is set"`,
	"a frame with the length 2^63")

var _ = differ(negativeLength, asServer, `
- server: ReadMessage: none "", error "websocket: read limit exceeded" (ErrReadLimit)
+ server: ReadMessage: none "", error "websocket: the most significant bit of the length 0xffffffffffffffff is set"
+ server sends: close 1002 "the most significant bit of the length 0xffffffffffffffff is set"`,
	"a frame with the length 2^64-1")

var _ = differAlike(emptyFragments, `
- server: ReadMessage: binary "", ok
- server: ReadMessage: none "", error "websocket: close 1005 (no status)" (CloseError 1005 "")
+ server: ReadMessage: binary "", error "websocket: too many empty fragments in a message"
- server sends: close ""
+ server sends: close 1008 "too many empty fragments in a message"`,
	"1001 empty fragments")

var _ = differ(alwaysAbnormal, asServer, `
- server: ReadMessage: none "", error "EOF" (io.EOF)
+ server: ReadMessage: none "", error "websocket: close 1006 (abnormal closure): unexpected EOF" (CloseError 1006 "unexpected EOF")`,
	"the end of the peer in what is discarded")

var _ = differ(nothingHappened, asServer, `
- server: WriteMessage text "too late": error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
- server: ReadMessage: none "", error "write tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ server: WriteMessage text "too late": error "websocket: write timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ server: ReadMessage: text "hello", ok
+ server: ReadMessage: none "", error "websocket: close 1000 (normal)" (CloseError 1000 "")
+ server sends: pong "cannot be answered"
+ server sends: close 1000 ""`,
	"reading after a write deadline")

var _ = differ(pongIsBestEffort, asClient, `
- client: PingHandler: error "write tcp ADDR->ADDR: use of closed network connection" (is net.ErrClosed, net.Error)
+ client: PingHandler: ok`,
	"default handlers after Close")

var _ = differAlike(wording, `
- server: ReadMessage: none "", error "websocket: reserved bit RSV1 is set, reserved bit RSV2 is set, reserved bit RSV3 is set"
+ server: ReadMessage: none "", error "websocket: reserved bit RSV1 is set"
- server sends: close 1002 "reserved bit RSV1 is set, reserved bit RSV2 is set, reserved bit RSV3 is set"
+ server sends: close 1002 "reserved bit RSV1 is set"`,
	"all reserved bits")

var _ = differ(wording, asServer, `
- server: ReadMessage: none "", error "websocket: reserved bit RSV1 is set, bad MASK"
+ server: ReadMessage: none "", error "websocket: reserved bit RSV1 is set"
- server sends: close 1002 "reserved bit RSV1 is set, bad MASK"
+ server sends: close 1002 "reserved bit RSV1 is set"`,
	"a frame with no mask and a reserved bit")

var _ = differ(wording, asServer, `
- server: ReadMessage: none "", error "websocket: bad MASK"
+ server: ReadMessage: none "", error "websocket: frame from a client is not masked"
- server sends: close 1002 "bad MASK"
+ server sends: close 1002 "frame from a client is not masked"`,
	"a frame with no mask", "a frame with no mask on a ping")

var _ = differ(wording, asClient, `
- client: ReadMessage: none "", error "websocket: bad MASK"
+ client: ReadMessage: none "", error "websocket: frame from a server is masked"
- client sends: close masked 1002 "bad MASK"
+ client sends: close masked 1002 "frame from a server is masked"`,
	"a masked frame to a client")

package gorilla

// Sending.

var _ = differ(growsUncompressed, asClient, `
- client sends: binary masked rsv1 ""
+ client sends: binary masked ""`,
	"compression")

var _ = differ(growsUncompressed, asServer, `
- server sends: binary rsv1 ""
+ server sends: binary ""`,
	"compression")

var _ = differ(growsUncompressed, asClient, `
- client sends: text masked rsv1 "a"
- client sends: text masked rsv1 "hello"
+ client sends: text masked "a"
+ client sends: text masked "hello"`,
	"compression of short messages")

var _ = differ(growsUncompressed, asServer, `
- server sends: text rsv1 "a"
- server sends: text rsv1 "hello"
+ server sends: text "a"
+ server sends: text "hello"`,
	"compression of short messages")

var _ = differ(levelZero, asClient, `
- client sends: text masked rsv1 1000 bytes
+ client sends: text masked 1000 bytes`,
	"compression at every level")

var _ = differ(levelZero, asServer, `
- server sends: text rsv1 1000 bytes
+ server sends: text 1000 bytes`,
	"compression at every level")

// Reading.

var _ = differ(limitOfInflated, asServer, `
- client: ReadMessage: none "", error "websocket: close 1000 (normal)" (CloseError 1000 "")
+ client: ReadMessage: none "", error "websocket: close 1009 (message too big)" (CloseError 1009 "")
- server: ReadMessage: text 1000 bytes with the checksum 9a38da03, ok
- server: ReadMessage: none "", error "websocket: close 1000 (normal)" (CloseError 1000 "")
+ server: ReadMessage: text 999 bytes with the checksum 8803c5c6, error "websocket: read limit exceeded" (ErrReadLimit)
- server sends: close 1000 ""
+ server sends: close 1009 ""`,
	"read limit of a compressed message")

var _ = differ(readerAtEnd, asServer, `
- server: reader.Read of 1 byte: "", error "io: read/write on closed pipe"
+ server: reader.Read of 1 byte: "", error "EOF" (io.EOF)`,
	"compressed messages that are read in pieces")

var _ = differAlike(corruptFails, `
- server: ReadMessage: text "", error "flate: corrupt input before offset 1"
- server: ReadMessage again: text "behind it", ok
- server: ReadMessage again: none "", error "websocket: close 1005 (no status)" (CloseError 1005 "")
+ server: ReadMessage: text "", error "websocket: compressed message is corrupt"
- server sends: close ""
+ server sends: close 1007 "compressed message is corrupt"`,
	"a corrupt compressed message")

var _ = differAlike(checksUTF8, `
- server: ReadMessage: text "\xff", ok
- server: ReadMessage: none "", error "websocket: close 1005 (no status)" (CloseError 1005 "")
+ server: ReadMessage: text "", error "websocket: text is not valid UTF-8"
- server sends: close ""
+ server sends: close 1007 "text is not valid UTF-8"`,
	"compressed text that is not UTF-8")

var _ = differAlike(compressedBits, `
- server: ReadMessage: none "", error "websocket: close 1005 (no status)" (CloseError 1005 "")
+ server: ReadMessage: none "", error "websocket: control frame is marked as compressed"
- server sends: pong "hello"
- server sends: close ""
+ server sends: close 1002 "control frame is marked as compressed"`,
	"RSV1 on a ping, with compression")

var _ = differAlike(compressedBits, `
- server: ReadMessage: text "hello", ok
- server: ReadMessage: none "", error "websocket: close 1005 (no status)" (CloseError 1005 "")
+ server: ReadMessage: text "hello", error "websocket: continuation frame is marked as compressed"
- server sends: close ""
+ server sends: close 1002 "continuation frame is marked as compressed"`,
	"RSV1 on a continuation")

// Negotiation.

// alone is what gorilla/websocket offers, and answers to whatever is offered.
const alone = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"

var _ = differ(negotiatesWindows, asServer, minus("server sends: "+alone)+plus("server sends: "+alone+"; server_max_window_bits=10"),
	"the offer permessage-deflate; server_max_window_bits=10")

var _ = differ(negotiatesWindows, asServer, minus("server sends: "+alone)+plus("server sends: "+alone+"; server_max_window_bits=12"),
	"the offer permessage-deflate; server_max_window_bits=7, permessage-deflate; server_max_window_bits=12")

var _ = differ(declinesBadOffers, asServer, minus("server sends: "+alone),
	"the offer permessage-deflate; unknown")

var _ = differ(acceptsTakeover, asClient, `
- client: Dial: error "websocket: invalid compression negotiation"
+ client: Dial: ok
+ client: Subprotocol: ""`,
	"the answer permessage-deflate", "the answer permessage-deflate; server_no_context_takeover")

var _ = differ(strictCompression, asClient, minus("client: Dial: ok\nclient: Subprotocol: \"\"")+plus(badHandshake),
	"the answer x-unknown",
	"the answer permessage-deflate; server_no_context_takeover; client_no_context_takeover; unknown")

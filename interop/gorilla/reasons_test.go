package gorilla

// reason is why this library differs from gorilla/websocket v1.5.3.
type reason string

// Writing.
const (
	waitsForWriter  reason = "WriteMessage and WritePreparedMessage wait for an open message writer, at most until the write deadline: it may be another goroutine's"
	oneFrame        reason = "WriteMessage, WriteJSON and WritePreparedMessage send one frame whatever the size of the buffer"
	fragmentSizes   reason = "a message writer cuts its fragments elsewhere: buffers are powers of two from 4096, with the header in them, what is large is not copied, and ReadFrom takes the largest"
	controlTooLong  reason = "a message writer of a control message fails at the byte that is too much, and not only in Close"
	countsBuffered  reason = "a Write of a message writer that fails counts the bytes that the buffer had taken; gorilla counts none"
	closedWriter    reason = "a message writer that is open when the connection is closed fails in the next Write"
	nothingHappened reason = "a write whose deadline has passed before it began has done nothing, and the next one goes on; the error says so"
	unencodableJSON reason = "WriteJSON of a value that cannot be encoded sends nothing; gorilla sends an empty message"
)

// Reading.
const (
	timeoutsAreFound reason = "errors.Is finds os.ErrDeadlineExceeded in a timeout"
	readsGoOn        reason = "a read that timed out can be repeated, and loses nothing"
	closedReads      reason = "a read after Close fails, also if messages have come that the program has not read"
	noPanic          reason = "reads of a failed connection return its error for ever; gorilla panics at the 1000th"
	checksUTF8       reason = "text is checked for UTF-8 (RFC 6455, 8.1); 1007"
	checksReason     reason = "a reason of a Close frame that is not UTF-8 is 1007 (RFC 6455, 8.1 and 7.4.1), not 1002"
	oneByteClose     reason = "a Close frame with a payload of one byte is a protocol error (RFC 6455, 5.5.1)"
	registeredCode   reason = "close code 1014 is registered, and accepted"
	limitByDefault   reason = "messages of more than 32 MiB are refused unless the program sets another limit"
	limitOfDiscarded reason = "the read limit counts what a program discards of a message, too"
	limitOfNothing   reason = "without a read limit nothing is ErrReadLimit, not even a sum of lengths beyond 2^63"
	shortestLength   reason = "a length that is not encoded in the fewest bytes is a protocol error (RFC 6455, 5.2)"
	negativeLength   reason = "a length with its most significant bit set is a protocol error (RFC 6455, 5.2), and is answered with a Close frame"
	emptyFragments   reason = "more than 1000 empty fragments in a message are refused: no read limit counts them; 1008"
	alwaysAbnormal   reason = "the end of the connection is a CloseError 1006 also where the rest of a message is discarded; gorilla returns io.EOF"
	pongIsBestEffort reason = "a pong that cannot be written does not end the reading; it ends the writing"
	wording          reason = "errors are worded otherwise, and name the first fault only"
)

// Compression.
const (
	growsUncompressed reason = "a message that does not become shorter by compression is sent as it is, an empty one too"
	levelZero         reason = "at level 0, which compresses nothing, messages are sent as they are"
	limitOfInflated   reason = "the read limit counts what is inflated; gorilla counts what comes over the wire"
	corruptFails      reason = "a corrupt compressed message fails the connection; 1007"
	compressedBits    reason = "RSV1 is allowed in the first frame of a message only (RFC 7692, 6)"
	readerAtEnd       reason = "a reader of a message before returns io.EOF, compressed or not"
	negotiatesWindows reason = "all parameters of permessage-deflate are negotiated (RFC 7692, 7.1)"
	declinesBadOffers reason = "an offer with a parameter that is unknown or bad is declined (RFC 7692, 7.1)"
	acceptsTakeover   reason = "an answer without the no_context_takeover parameters is accepted"
	strictCompression reason = "an answer with an extension or a parameter that was not offered is ErrBadHandshake (RFC 7692, 7.1, and RFC 6455, 4.1)"
)

// Upgrade.
const (
	upgradeRequired  reason = "a request without an Upgrade token, or with another version, is answered 426 (RFC 9110, 15.5.22, and RFC 6455, 4.2.2)"
	oneVersion       reason = "Sec-WebSocket-Version has one value (RFC 6455, 11.3.5)"
	oneKey           reason = "Sec-WebSocket-Key comes once (RFC 6455, 11.3.1)"
	headerLast       reason = "what the program adds to the answer is looked at once the request has been checked"
	allowHeader      reason = "405 comes with Allow (RFC 9110, 15.5.6)"
	malformedRequest reason = "malformed Sec-WebSocket-Protocol and -Extensions fields are refused (RFC 6455, 4.2.1)"
	noBody           reason = "a request with a body is refused: its bytes would be taken for frames"
	httpVersion      reason = "HTTP/1.0 has no upgrade"
	earlyFrames      reason = "frames that come with the request are kept"
	originOfUser     reason = "an Origin with user information, or several, are refused: no browser sends them"
	originPort       reason = "the port that the scheme implies is the same as none in an Origin"
	subprotocolList  reason = "Sec-WebSocket-Protocol may come on several lines, and empty elements are passed over (RFC 9110, 5.6.1)"
	clientChooses    reason = "the client's order of preference chooses the subprotocol"
	unwraps          reason = "a wrapped ResponseWriter is unwrapped"
	safeAnswer       reason = "nothing that the program adds to the answer makes it malformed or contradict itself"
)

// Dial.
const (
	safeRequest     reason = "nothing that the program adds to the request makes it malformed or contradict itself, in any spelling: it is an error"
	oneCookieField  reason = "all cookies go into one Cookie field, those of the jar too (RFC 6265, 5.4)"
	joinedProtocols reason = "subprotocols go into one Sec-WebSocket-Protocol field"
	anyHostSpelling reason = "the request's host may be given in any spelling of Host"
	strictAnswer    reason = "an answer that breaks a rule of RFC 6455, 4.1, is ErrBadHandshake"
	interimAnswers  reason = "1xx answers before the final one are passed over (RFC 9110, 15.2)"
	httpURLs        reason = "http and https URLs are accepted, as ws and wss"
	userInURL       reason = "user and password of a URL are sent as Basic authentication, as by net/http"
	urlWithoutHost  reason = "a URL without a host is refused before dialing"
	contextErrors   reason = "HandshakeTimeout ends Dial with context.DeadlineExceeded"
	contextAnytime  reason = "the context of DialContext ends it at any point"
	traceOfTLS      reason = "GotConn of a trace comes after the TLS handshake, as in net/http"
	tlsToServer     reason = "NetDialTLSContext is for wss servers and https proxies; another proxy is dialed with NetDialContext or NetDial"
	moreProxies     reason = "https proxies are supported, and SOCKS proxies have a default port"
)

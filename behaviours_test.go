//go:build go1.25

package websocket

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// What programs written for gorilla/websocket v1.5.3 rely on, and the tests that show
// it. TestBehaviourTable checks that these exist.
//
// At compile time
//
//	all exported names, the deprecated ones included
//		api_test.go:TestAPIHasAllOfGorilla
//		gorilla_test.go:TestNewClient
//		gorilla_test.go:TestPackageLevelUpgrade
//		gorilla_test.go:TestPackageLevelJSON
//		gorilla_test.go:TestUnderlyingConnIsNetConn
//	constants are untyped integers
//		api_test.go:TestAPIHasAllOfGorilla
//	CloseError is struct { Code int; Text string }, returned as a pointer
//		api_test.go:TestAPIHasAllOfGorilla
//		behaviours_test.go:TestBehaviourCloseErrorIsAPointer
//	HandshakeError is returned by value
//		behaviours_upgrade_test.go:TestBehaviourHandshakeErrorIsAValue
//		upgrader_test.go:TestUpgradeErrorIsAHandshakeError
//	ErrBadHandshake, ErrCloseSent and ErrReadLimit are compared with ==
//		dialer_answers_test.go:TestDialAnswerCases
//		behaviours_write_test.go:TestBehaviourErrCloseSent
//		conn_test.go:TestReadLimit
//		behaviours_dial_test.go:TestBehaviourErrorTexts
//	Dialer and Upgrader are copied by value: no mutex inside
//		behaviours_test.go:TestBehaviourNothingForbidsCopies
//		dialer_test.go:TestDialCopiedDialer
//		upgrader_test.go:TestUpgradeConcurrently
//	a nil *Dialer works
//		dialer_test.go:TestDialNilDialer
//	Conn's method signatures match user-written interfaces
//		api_test.go:TestAPIHasAllOfGorilla
//		behaviours_test.go:TestBehaviourConnIsEmbedded
//	the writer from NextWriter also has WriteString and ReadFrom
//		behaviours_write_test.go:TestBehaviourMessageWriterMethods
//
// Upgrade
//
//	order of the checks, and their statuses and texts
//		upgrader_test.go:TestUpgradeChecksInOrder
//		behaviours_upgrade_test.go:TestBehaviourUpgradeFailures
//	HTTP below 1.1 is refused with 505
//		upgrader_test.go:TestUpgradeChecksInOrder
//		handshake_test.go:TestHandshakeCases
//	each failure sets Sec-Websocket-Version and sends http.Error
//		behaviours_upgrade_test.go:TestBehaviourUpgradeFailures
//		handshake_check_test.go:TestUpgradeRefusalAnswer
//	where Upgrader.Error is set, only it writes
//		behaviours_upgrade_test.go:TestBehaviourUpgraderErrorWritesAlone
//		upgrader_test.go:TestUpgradeErrorIsTheOnlyWriter
//	the 101 answer and its order
//		upgrader_test.go:TestUpgradeAnswer
//		behaviours_upgrade_test.go:TestBehaviourUpgradeOrderOfTheAnswer
//		upgrader_response_test.go:TestUpgradeResponseHeader
//	a Sec-Websocket-Protocol in responseHeader counts only where Subprotocols is nil
//		upgrader_response_test.go:TestUpgradeResponseHeaderWithSubprotocol
//	bytes of header values below 32 become spaces
//		upgrader_response_test.go:TestAttackResponseHeaderValue
//	net/http's deadlines are cleared
//		upgrader_hijack_test.go:TestUpgradeClearsDeadlines
//		upgrader_hijack_test.go:TestUpgradeOutlivesServerTimeouts
//	the client's order of preference chooses the subprotocol
//		handshake_extensions_header_test.go:TestChooseSubprotocol
//		handshake_test.go:TestHandshakeCases
//
// Reading
//
//	end of file anywhere is close 1006, with the part of the message
//		behaviours_read_test.go:TestBehaviourEndOfFile
//		transcript_test.go:TestTranscript
//	after Close: net.ErrClosed
//		behaviours_read_test.go:TestBehaviourReadAfterClose
//		behaviours_read_test.go:TestBehaviourReadThatBeginsAfterClose
//	a protocol error's text is the reason in the 1002 Close frame
//		transcript_test.go:TestTranscript
//	over the limit: ErrReadLimit and 1009
//		conn_test.go:TestReadLimit
//		transcript_test.go:TestTranscript
//	a Close frame received, and the answer
//		transcript_table_test.go:TestTranscriptCloseCodes
//		transcript_test.go:TestTranscript
//		behaviours_read_test.go:TestBehaviourWriteAfterTheAnswerToAClose
//	a close handler that returns nil still yields the *CloseError
//		conn_control_test.go:TestCloseHandler
//	CloseError's text
//		errors_test.go:TestCloseErrorText
//	IsCloseError and IsUnexpectedCloseError
//		errors_test.go:TestIsCloseError
//	read errors stay
//		behaviours_read_test.go:TestBehaviourReadErrorsStay
//		transcript_test.go:TestTranscript
//	NextReader discards the rest of the message before
//		conn_nextreader_test.go:TestNextReaderDiscards
//	handlers run on the reading goroutine, and their errors
//		behaviours_read_test.go:TestBehaviourHandlersRunInsideTheRead
//	SetReadDeadline inside the pong handler
//		behaviours_read_test.go:TestBehaviourDeadlineInPongHandler
//	SetReadDeadline reaches a read in progress, from another goroutine
//		recv_test.go:TestSetReadDeadlineReachesTheReadThatWaits
//	SetReadLimit with zero or less
//		conn_test.go:TestReadLimit
//
// Writing
//
//	bad type
//		conn_write_test.go:TestWriteBadTypes
//		conn_prepared_test.go:TestNewPreparedMessageErrors
//	control payload over 125 bytes
//		conn_write_test.go:TestWriteControl
//		conn_write_test.go:TestNextWriterControl
//		conn_prepared_test.go:TestNewPreparedMessageErrors
//	a closed message writer
//		behaviours_write_test.go:TestBehaviourMessageWriterMethods
//	WriteControl past its deadline
//		behaviours_write_test.go:TestBehaviourWriteControlPastItsDeadline
//		conn_write_test.go:TestWriteControlTimeout
//	a write that timed out on the network
//		behaviours_write_test.go:TestBehaviourWriteTimeoutStays
//	after a Close frame was sent
//		behaviours_write_test.go:TestBehaviourErrCloseSent
//		conn_close_test.go:TestWritesAfterClose
//	NextWriter finishes a message writer that was forgotten open
//		conn_write_test.go:TestNextWriterFinishesTheOneBefore
//	WriteMessage with a control type
//		conn_write_test.go:TestWriteControl
//	an uncompressed WriteMessage on a server is one frame
//		conn_write_test.go:TestWriteMessageIsOneFrame
//	SetWriteDeadline is applied to the writes that follow it
//		behaviours_write_test.go:TestBehaviourSetWriteDeadline
//		behaviours_write_test.go:TestBehaviourSetWriteDeadlineInMessage
//	EnableWriteCompression: true by default where negotiated, level 1
//		behaviours_compression_test.go:TestBehaviourCompressionIsOnAtLevel1
//		gorilla_test.go:TestCompressionMethodsWithoutCompression
//	invalid compression level
//		gorilla_test.go:TestSetCompressionLevel
//		behaviours_compression_test.go:TestBehaviourInvalidCompressionLevel
//	EnableCompression alone negotiates no context takeover
//		behaviours_compression_test.go:TestBehaviourEnableCompressionAlone
//	FormatCloseMessage(1005, ...) is empty and not nil; nothing is validated
//		conn_close_test.go:TestFormatCloseMessage
//	Close closes the network connection, sends nothing, wakes blocked readers
//		conn_close_test.go:TestCloseWakesReader
//		behaviours_read_test.go:TestBehaviourReadAfterClose
//		behaviours_write_test.go:TestBehaviourWriteAfterClose
//
// JSON
//
//	WriteJSON appends a newline
//		conn_json_test.go:TestWriteJSON
//	ReadJSON: an empty message, bytes after the value, binary, syntax errors
//		conn_json_test.go:TestReadJSON
//
// Dial
//
//	ws and wss only, no user info
//		dialer_test.go:TestDialMalformedURL
//	the handshake's own fields in requestHeader
//		dialer_header_test.go:TestDialDuplicateHeader
//	Sec-Websocket-Protocol where Dialer.Subprotocols is empty, Host
//		dialer_header_test.go:TestDialHeader
//	a refused handshake: the response, 1,024 bytes of its body, ErrBadHandshake
//		dialer_answers_test.go:TestDialAnswerCases
//	success: a non-nil, empty body
//		dialer_test.go:TestDialResponse
//	DefaultDialer and Dialer{}
//		behaviours_dial_test.go:TestBehaviourDefaultDialer
//	the jar sees http(s) URLs
//		dialer_header_test.go:TestDialJar
//	the NetDial functions dial the proxy
//		dialer_proxy_test.go:TestDialProxyAddress
//		dialer_test.go:TestDialFunctions
//	NetConn returns the very connection
//		dialer_test.go:TestDialNetConn
//		conn_test.go:TestConnAccessors
//
// Done better on purpose
//
//	concurrent writers are safe
//		stress_test.go:TestStressWriters
//		conn_prepared_test.go:TestPreparedMessageConcurrently
//	a read that timed out can be repeated
//		transcript_test.go:TestTranscript
//		conn_json_test.go:TestReadJSONIsResumed
//		conn_json_join_test.go:TestJoinMessagesIsResumed
//	a failed connection returns its error for ever and never panics
//		behaviours_read_test.go:TestBehaviourReadErrorsStay
//	text is checked for UTF-8
//		transcript_table_test.go:TestTranscriptUTF8Table
//	the limit counts inflated bytes and has a default
//		conn_test.go:TestReadLimit
//		behaviours_compression_test.go:TestBehaviourLimitCountsInflatedBytes
//	the client's early frames are kept
//		upgrader_hijack_test.go:TestUpgradeKeepsEarlyFrames
//	426 for a missing Upgrade token and an unsupported version
//		handshake_check_test.go:TestUpgradeRefusalAnswer
//		handshake_test.go:TestHandshakeCases
//	wrapped ResponseWriters are unwrapped
//		upgrader_test.go:TestUpgradeUnwraps
//	reserved bits on control frames are refused
//		transcript_test.go:TestTranscript
//	mask keys cannot be predicted
//		mask_test.go:TestAttackMaskKeys
//		conn_prepared_test.go:TestAttackPreparedMessageIsMaskedAnew
//	errors.Is finds net.ErrClosed, os.ErrDeadlineExceeded and context errors
//		behaviours_read_test.go:TestBehaviourReadAfterClose
//		recv_test.go:TestReadErrorsAreThoseOfTheNetwork
//		errors_test.go:TestWriteTimeoutIsATimeout
//		dialer_cancel_test.go:TestAttackSlowServer
//	http and https URLs are accepted by Dial
//		dialer_test.go:TestDialURL
//	https proxies work
//		dialer_proxy_test.go:TestDialThroughProxies
//	the dialer's context is honoured through the whole handshake
//		dialer_cancel_test.go:TestAttackSlowServer
//	close code 1014 is accepted
//		conn_close_test.go:TestValidReceivedCloseCodes
//		transcript_table_test.go:TestTranscriptCloseCodes
//	a subprotocol that was not asked for is refused
//		dialer_answers_test.go:TestDialAnswerCases
//	lengths that are not minimally encoded are refused
//		frame_test.go:TestParseHeaderRefusesLengths
//		transcript_test.go:TestTranscript
//	a corrupt compressed message fails the connection
//		behaviours_compression_test.go:TestBehaviourCorruptCompressedMessage
//	WriteJSON of a value that cannot be marshalled sends nothing
//		conn_json_test.go:TestWriteJSONOfWhatHasNoEncoding
//	a message writer that failed keeps its error
//		conn_write_test.go:TestMessageWriterKeepsItsError

const bhTable = "behaviours_test.go"

// The table above is true: it names tests that there are, at least one for each line,
// and it names all tests of behaviours.
func TestBehaviourTable(t *testing.T) {
	tests := make(map[string]bool)
	var table string
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && d.Recv == nil && strings.HasPrefix(d.Name.Name, "Test") {
				tests[name+":"+d.Name.Name] = true
			}
		}
		if name == bhTable {
			for _, line := range f.Comments[1].List { // the first is the build constraint
				table += line.Text + "\n"
			}
		}
	}

	named := regexp.MustCompile(`\w+_test\.go:\w+`)
	lines := 0
	for _, entry := range strings.Split(table, "\n//\t")[1:] {
		what, isTest := strings.CutPrefix(entry, "\t")
		if !isTest {
			lines++
		}
		name := named.FindString(what)
		switch {
		case !isTest && name != "":
			t.Errorf("got a test in the line %q, want it below", what)
		case name != "" && !tests[name]:
			t.Errorf("got %s in the table, want a test that there is", name)
		case isTest && name == "":
			t.Errorf("got %q, want a test", what)
		}
	}
	if tested := regexp.MustCompile(`(?m)^//\t[^\t].*\n//\t\t`); len(tested.FindAllString(table, -1)) != lines || lines < 70 {
		t.Errorf("got %d lines with a test of %d, want all of 70 or more", len(tested.FindAllString(table, -1)), lines)
	}
	for name := range tests {
		if strings.Contains(name, ":TestBehaviour") && !strings.HasSuffix(name, "Table") && !strings.Contains(table, name) {
			t.Errorf("got no line for %s, want one", name)
		}
	}
}

// The types of programs are converted to it, and values are written without names.
var _ = struct {
	Code int
	Text string
}(CloseError{CloseNormalClosure, "bye"})

// "Conn's method signatures match user-written interfaces exactly."
var _ interface {
	NextReader() (messageType int, r io.Reader, err error)
	NextWriter(messageType int) (io.WriteCloser, error)
	ReadMessage() (messageType int, p []byte, err error)
	WriteMessage(messageType int, data []byte) error
	WriteControl(messageType int, data []byte, deadline time.Time) error
	ReadJSON(v interface{}) error
	WriteJSON(v interface{}) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	SetReadLimit(limit int64)
	SetPongHandler(h func(appData string) error)
	SetPingHandler(h func(appData string) error)
	SetCloseHandler(h func(code int, text string) error)
	RemoteAddr() net.Addr
	LocalAddr() net.Addr
	NetConn() net.Conn
	Subprotocol() string
	Close() error
} = (*Conn)(nil)

// Constants are passed as numbers of any type.
var (
	_ byte    = TextMessage
	_ uint16  = CloseTLSHandshake
	_ float64 = CloseNormalClosure
)

// *sync.Pool is a BufferPool.
var _ BufferPool = (*sync.Pool)(nil)

// bhEmbeds is what programs do: a connection beside something else, whose methods
// are promoted as long as only one of both has them.
type bhEmbeds struct {
	*Conn
	bhOther
}

// bhOther has methods of an io.ReadWriter and of a context.Context.
type bhOther struct{}

func (bhOther) Read([]byte) (int, error)    { return 0, nil }
func (bhOther) Write([]byte) (int, error)   { return 0, nil }
func (bhOther) Deadline() (time.Time, bool) { return time.Time{}, false }
func (bhOther) Done() <-chan struct{}       { return nil }
func (bhOther) Err() error                  { return nil }
func (bhOther) Value(any) any               { return nil }

// None of Conn's methods hides one of what it is embedded beside.
func TestBehaviourConnIsEmbedded(t *testing.T) {
	other := reflect.TypeFor[bhOther]()
	both := reflect.TypeFor[bhEmbeds]()
	for i := range other.NumMethod() {
		name := other.Method(i).Name
		if _, ok := both.MethodByName(name); !ok {
			t.Errorf("got an ambiguous method %s, want no such method of Conn", name)
		}
	}
}

// "CloseError is ... returned as a pointer."
func TestBehaviourCloseErrorIsAPointer(t *testing.T) {
	c, wire := newTestConn(t, false)
	wire.Write(bhFrame(false, 0x88, "\x03\xe8bye"))
	_, _, err := c.ReadMessage()
	e, ok := err.(*CloseError)
	if !ok || *e != (CloseError{1000, "bye"}) {
		t.Errorf("got %T %v, want a *CloseError 1000 bye", err, err)
	}
	if _, ok := any(CloseError{}).(error); ok {
		t.Error("got a CloseError that is an error by value, want the pointer only")
	}
	if got, want := fmt.Sprintf("%+v", *e), "{Code:1000 Text:bye}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// "Dialer and Upgrader are copied by value: no mutex inside": nothing that go vet would
// complain about in a program, at any depth.
func TestBehaviourNothingForbidsCopies(t *testing.T) {
	var check func(path string, typ reflect.Type)
	check = func(path string, typ reflect.Type) {
		if reflect.PointerTo(typ).Implements(reflect.TypeFor[sync.Locker]()) {
			t.Errorf("got a lock at %s, want none", path)
		}
		if typ.Kind() == reflect.Array {
			check(path+"[]", typ.Elem())
		}
		if typ.Kind() != reflect.Struct {
			return
		}
		for i := range typ.NumField() {
			f := typ.Field(i)
			if !f.IsExported() {
				t.Errorf("got a field %s.%s, want options only, that programs have set", path, f.Name)
			}
			check(path+"."+f.Name, f.Type)
		}
	}
	check("Dialer", reflect.TypeFor[Dialer]())
	check("Upgrader", reflect.TypeFor[Upgrader]())
}

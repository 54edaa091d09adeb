//go:build go1.25

package websocket

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

// "DefaultDialer: proxy from the environment, 45 s. Dialer{} has neither."
func TestBehaviourDefaultDialer(t *testing.T) {
	if got, want := reflect.ValueOf(DefaultDialer.Proxy).Pointer(), reflect.ValueOf(http.ProxyFromEnvironment).Pointer(); got != want {
		t.Error("got another Proxy, want http.ProxyFromEnvironment")
	}
	rest := *DefaultDialer
	rest.Proxy, rest.HandshakeTimeout = nil, 0
	if !reflect.DeepEqual(rest, Dialer{}) {
		t.Errorf("got %+v, want nothing else to be set", rest)
	}
	for name, tt := range map[string]struct {
		d    Dialer
		wait time.Duration // for the answer, which never comes where want is not nil
		want error
	}{
		"DefaultDialer": {*DefaultDialer, 45 * time.Second, context.DeadlineExceeded},
		"Dialer{}":      {Dialer{}, 45 * time.Hour, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			near, far := newPipe(t, 1<<20)
			tt.d.Proxy = nil // the environment is not the test's
			tt.d.NetDial = func(string, string) (net.Conn, error) { return near, nil }
			go func() {
				r, err := http.ReadRequest(bufio.NewReader(far))
				if time.Sleep(tt.wait); err == nil && tt.want == nil {
					io.WriteString(far, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
						"Sec-WebSocket-Accept: "+acceptKey(r.Header.Get("Sec-Websocket-Key"))+"\r\n\r\n")
				}
			}()
			start := time.Now()
			c, _, err := tt.d.Dial("ws://a.example/", nil)
			if d := time.Since(start); !errors.Is(err, tt.want) || (c == nil) != (tt.want != nil) || d != tt.wait {
				t.Errorf("%s: got connection %v and error %v after %v, want %v after %v", name, c, err, d, tt.want, tt.wait)
			}
			var ne net.Error
			if err != nil && (!errors.As(err, &ne) || !ne.Timeout()) {
				t.Errorf("%s: got %v, want a net.Error that is a timeout", name, err)
			}
		})
	}
}

// "ErrBadHandshake, ErrCloseSent and ErrReadLimit are compared with ==", and their texts
// are printed.
func TestBehaviourErrorTexts(t *testing.T) {
	for err, want := range map[error]string{
		ErrBadHandshake: "websocket: bad handshake",
		ErrCloseSent:    "websocket: close sent",
		ErrReadLimit:    "websocket: read limit exceeded",
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"time"

	"github.com/switching-protocols/websocket"
)

// timing is when the steps of a handshake were done, and the request's header.
type timing struct {
	start time.Time

	mu                           sync.Mutex // since several connections may be attempted at once
	connected, secured, answered time.Time  // zero where there was no such step
	request                      []string
}

// now sets a time.
func (t *timing) now(at *time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*at = time.Now()
}

// trace returns a context with which Dial fills in the timing.
func (t *timing) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		ConnectDone:          func(string, string, error) { t.now(&t.connected) },
		TLSHandshakeDone:     func(tls.ConnectionState, error) { t.now(&t.secured) },
		GotFirstResponseByte: func() { t.now(&t.answered) },
		WroteHeaderField: func(name string, values []string) {
			t.mu.Lock()
			defer t.mu.Unlock()
			for _, v := range values {
				t.request = append(t.request, name+": "+v)
			}
		},
	})
}

func (t *timing) print(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, field := range t.request {
		fmt.Fprintf(w, "> %s\n", field)
	}
	last := t.start
	for _, step := range []struct {
		name string
		at   time.Time
	}{{"connected", t.connected}, {"TLS", t.secured}, {"answered", t.answered}} {
		if !step.at.IsZero() {
			fmt.Fprintf(w, "* %s after %v\n", step.name, step.at.Sub(last).Round(time.Microsecond))
			last = step.at
		}
	}
}

// printResponse prints the head of the server's answer; nil if there was none.
func printResponse(w io.Writer, resp *http.Response) {
	if resp == nil {
		return
	}
	fmt.Fprintf(w, "< %s %s\n", resp.Proto, resp.Status)
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		for _, value := range resp.Header[name] {
			fmt.Fprintf(w, "< %s: %s\n", name, value)
		}
	}
}

// printConnection prints what was agreed on.
func printConnection(w io.Writer, c *websocket.Conn) {
	fmt.Fprintf(w, "* %v -> %v\n", c.LocalAddr(), c.RemoteAddr())
	if tc, ok := c.NetConn().(*tls.Conn); ok {
		state := tc.ConnectionState()
		fmt.Fprintf(w, "* %s, %s\n", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite))
		for _, cert := range state.PeerCertificates[:1] {
			fmt.Fprintf(w, "* certificate of %v, by %v, until %s\n", cert.Subject, cert.Issuer, cert.NotAfter.Format(time.DateOnly))
		}
	}
	if p := c.Subprotocol(); p != "" {
		fmt.Fprintf(w, "* subprotocol %s\n", p)
	}
	if k := c.CompressionState(); k.Enabled {
		fmt.Fprintf(w, "* compression: sends with takeover %t and %d bits, receives with takeover %t and %d bits\n",
			k.SendTakeover, k.SendWindowBits, k.ReceiveTakeover, k.ReceiveWindowBits)
	}
}

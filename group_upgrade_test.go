//go:build go1.25

package websocket

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// groupHijacker runs a function when Upgrade takes the connection over.
type groupHijacker struct {
	*hsHijacker
	hijacked func()
}

func (w groupHijacker) Unwrap() http.ResponseWriter { return w.hsHijacker }

func (w groupHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.hijacked()
	return w.hsHijacker.Hijack()
}

// A request that comes after is refused while it is still HTTP.
func TestGroupShutdownRefusesRequests(t *testing.T) {
	const text = "websocket: the server is shutting down"
	var group Group
	if err := group.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, own := range []bool{false, true} {
		u := Upgrader{Group: &group}
		if own {
			u.Error = func(w http.ResponseWriter, r *http.Request, status int, reason error) {
				http.Error(w, reason.Error(), status)
			}
		}
		near, _ := newPipe(t, 1<<10)
		w := &hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: near}
		c, err := u.Upgrade(groupHijacker{w, func() { t.Error("the connection was hijacked, want it left alone") }}, hsRequest(), nil)
		var refused HandshakeError
		if c != nil || !errors.As(err, &refused) || err.Error() != text {
			t.Errorf("got %v, %T %v, want nil, a HandshakeError, %s", c, err, err, text)
		}
		want := "Service Unavailable\n" + strings.TrimPrefix(text, "websocket: ")
		if own {
			want = text
		}
		if got := strings.TrimSpace(w.Body.String()); w.Code != http.StatusServiceUnavailable || got != want {
			t.Errorf("got %d %q, want 503 %q", w.Code, got, want)
		}
	}
	// What is wrong with the request is said first.
	r := hsRequest()
	r.Header.Del("Connection")
	w := httptest.NewRecorder()
	if _, err := (&Upgrader{Group: &group}).Upgrade(w, r, nil); err == nil || w.Code != http.StatusBadRequest {
		t.Errorf("a bad request: got %d, %v, want 400", w.Code, err)
	}
}

// The same over the network, while the shutdown is going on and after it.
func TestGroupShutdownRefusesClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group Group
		server := newGroupServer(t, (&Upgrader{Group: &group}).HandlerFunc(echoing))
		c := server.dial()
		shutdown := shutdownGroup(t, t.Context(), &group)
		shutdown.wantWaiting("the client has not answered")
		for range 2 {
			_, resp, err := server.tryDial()
			if err != ErrBadHandshake || resp.StatusCode != http.StatusServiceUnavailable {
				t.Fatalf("got %v, %v, want a bad handshake with 503", resp, err)
			}
			wantLen(t, &group, "who is refused is not in it", group.Len())
			c.ReadMessage()
			shutdown.want("the client has answered", 0, noError)
		}
	})
}

// A connection whose request was accepted just before the shutdown began is closed, too:
// with a Close frame, and at the latest when the context ends.
func TestGroupShutdownSlippingIn(t *testing.T) {
	for _, answers := range []bool{true, false} {
		t.Run(fmt.Sprint("answers ", answers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var group Group
				u := Upgrader{Group: &group}
				server := newGroupServer(t, u.HandlerFunc(echoing))
				server.dial() // and does not answer
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()

				var shutdown *call
				near, far := newPipe(t, 1<<16)
				w := groupHijacker{&hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: near}, func() {
					shutdown = shutdownGroup(t, ctx, &group)
					shutdown.wantWaiting("there is a silent client")
				}}
				c, err := u.Upgrade(w, hsRequest(), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				synctest.Wait()
				answer, rest, _ := strings.Cut(string(far.take()), "\r\n\r\n")
				if !strings.HasPrefix(answer, "HTTP/1.1 101 ") || rest != "\x88\x02\x03\xe9" {
					t.Errorf("got %q and %q, want 101 and a Close frame with 1001", answer, rest)
				}
				read := begin(t, func() (string, error) {
					_, _, err := c.ReadMessage()
					return "", err
				})
				if answers {
					far.Write(closingFrame(true, closeFrame(CloseGoingAway, "")))
					read.want("the client's answer", 0, "websocket: close 1001 (going away)")
				} else {
					read.wantWaiting("the client is silent")
				}
				shutdown.want("the context ends", time.Minute, "context deadline exceeded")
				<-read.done
				if read.took > time.Minute {
					t.Errorf("got the end after %v, want it with the context", read.took)
				}
				wantLen(t, &group, "all are closed", 0)
			})
		})
	}
}

// A request that is being upgraded when Shutdown comes is waited for: it gets 1001, though
// the context is cancelled as soon as Shutdown has returned.
func TestGroupShutdownWaitsForUpgrades(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group Group
		u := Upgrader{Group: &group}
		near, far := newPipe(t, 1<<16)
		var shutdown *call
		w := groupHijacker{&hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: near}, func() {
			shutdown = begin(t, func() (string, error) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				return "", group.Shutdown(ctx)
			})
			time.Sleep(time.Second)
		}}
		c, err := u.Upgrade(w, hsRequest(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		synctest.Wait()
		if _, rest, _ := strings.Cut(string(far.take()), "\r\n\r\n"); rest != "\x88\x02\x03\xe9" {
			t.Errorf("got %q behind the answer, want a Close frame with 1001", rest)
		}
		shutdown.wantWaiting("the client has not answered")
		far.Write(closingFrame(true, closeFrame(CloseGoingAway, "")))
		shutdown.want("the client has answered", time.Second, noError)
		wantLen(t, &group, "all are closed", 0)
	})
}

// A request whose upgrade ended in a panic, which net/http recovers, is waited for no longer.
func TestGroupShutdownAfterAPanicInUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group Group
		func() {
			defer func() {
				if recover() != http.ErrAbortHandler {
					t.Error("got no panic, want that of Hijack")
				}
			}()
			w := groupHijacker{&hsHijacker{ResponseRecorder: httptest.NewRecorder()}, func() { panic(http.ErrAbortHandler) }}
			(&Upgrader{Group: &group}).Upgrade(w, hsRequest(), nil)
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		shutdownGroup(t, ctx, &group).want("nobody is there", 0, noError)
	})
}

// answerConn runs a function before each Write, and has it fail if that returns an error.
type answerConn struct {
	net.Conn
	writing func() error
}

func (c answerConn) Write(p []byte) (int, error) {
	if err := c.writing(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// A client that has seen the answer is a member: Len counts it, and Shutdown sends it a Close
// frame, which the answer precedes.
func TestGroupJoinsBeforeTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group Group
		var shutdown *call
		near, far := newPipe(t, 1<<16)
		answering := func() error {
			if shutdown == nil {
				wantLen(t, &group, "the answer is about to leave", 1)
				shutdown = shutdownGroup(t, t.Context(), &group)
				shutdown.wantWaiting("the answer has not left")
			}
			return nil
		}
		w := &hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: answerConn{near, answering}}
		c, err := (&Upgrader{Group: &group}).Upgrade(w, hsRequest(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		synctest.Wait()
		answer, rest, _ := strings.Cut(string(far.take()), "\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 101 ") || rest != "\x88\x02\x03\xe9" {
			t.Errorf("got %q and %q, want 101 and a Close frame with 1001", answer, rest)
		}
		far.Write(closingFrame(true, closeFrame(CloseGoingAway, "")))
		shutdown.want("the client has answered", 0, noError)
	})
}

// A connection whose answer did not leave is no member any more, and Shutdown does not wait
// for it.
func TestGroupAnswerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group Group
		var shutdown *call
		near, _ := newPipe(t, 1<<16)
		failing := func() error {
			shutdown = shutdownGroup(t, t.Context(), &group)
			shutdown.wantWaiting("the answer has not left")
			return errors.New("the network is gone")
		}
		w := &hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: answerConn{near, failing}}
		c, err := (&Upgrader{Group: &group}).Upgrade(w, hsRequest(), nil)
		if c != nil || err == nil || err.Error() != "the network is gone" {
			t.Errorf("got %v, %v, want no connection and the error of the network", c, err)
		}
		shutdown.want("the connection is closed", 0, noError)
		wantLen(t, &group, "the connection has failed", 0)
	})
}

// If the answer cannot be sent, Upgrade returns at once, though keepalive has a ping to send.
func TestUpgradeAnswerFailsWithAPingDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := newPipe(t, 1<<16)
		failing := func() error {
			time.Sleep(time.Second)
			return errMine
		}
		w := &hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: answerConn{near, failing}}
		start := time.Now()
		c, err := (&Upgrader{PingInterval: time.Second / 2}).Upgrade(w, hsRequest(), nil)
		if c != nil || err != errMine {
			t.Errorf("got %v, %v, want no connection and the error of the network", c, err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("got %v, want the second that the network takes", d)
		}
	})
}

// A call of Shutdown that gives up leaves the connection that is still to come to the call that goes on.
func TestGroupShutdownGivesUpBesideAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group Group
		var patient, hasty *call
		near, far := newPipe(t, 1<<16)
		w := groupHijacker{&hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: near}, func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			patient = shutdownGroup(t, t.Context(), &group)
			synctest.Wait()
			hasty = shutdownGroup(t, ctx, &group)
			hasty.want("its context ends", time.Second, "context deadline exceeded")
		}}
		c, err := (&Upgrader{Group: &group}).Upgrade(w, hsRequest(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		patient.wantWaiting("the client has not answered")
		far.Write(peerFrames(true, peerFrame{true, opClose, string(FormatCloseMessage(CloseGoingAway, ""))}))
		if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseGoingAway) {
			t.Errorf("got %v, want close 1001", err)
		}
		patient.want("the client has answered", time.Second, noError)
	})
}

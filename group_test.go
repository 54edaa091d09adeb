//go:build go1.25

package websocket

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// groupServer is an HTTP server in a bubble. Its connections are pipes.
type groupServer struct {
	*testing.T
	http.Server
}

// newGroupServer returns a server that upgrades and calls serve.
func newGroupServer(t *testing.T, u *Upgrader, serve func(c *Conn)) *groupServer {
	return &groupServer{t, http.Server{Handler: u.HandlerFunc(func(c *Conn, _ *http.Request) { serve(c) })}}
}

// inGroup runs a script in a bubble, with a server whose connections are in the group. Without serve they echo, as
// in most programs. In the end the group is empty.
func inGroup(t *testing.T, serve func(g *Group, c *Conn), script func(t *testing.T, g *Group, server *groupServer)) {
	t.Helper()
	if serve == nil {
		serve = func(_ *Group, c *Conn) { echoAll(c) }
	}
	synctest.Test(t, func(t *testing.T) {
		var g Group
		script(t, &g, newGroupServer(t, &Upgrader{Group: &g}, func(c *Conn) { serve(&g, c) }))
		wantLen(t, &g, "in the end", 0)
	})
}

// tryDial returns a client's connection to the server, or the error.
func (s *groupServer) tryDial() (*Conn, error) {
	far := servePipe(s.T, &s.Server)
	d := Dialer{NetDial: func(string, string) (net.Conn, error) { return far, nil }}
	c, _, err := d.Dial("ws://server.test/", nil)
	return c, err
}

// dial returns when the server has the connection, too.
func (s *groupServer) dial() *Conn {
	s.Helper()
	c, err := s.tryDial()
	if err != nil {
		s.Fatal(err)
	}
	synctest.Wait()
	return c
}

func wantLen(t *testing.T, g *Group, why string, want int) {
	t.Helper()
	synctest.Wait()
	if got := g.Len(); got != want {
		t.Fatalf("%s: got %d connections, want %d", why, got, want)
	}
}

// shutdownGroup calls g.Shutdown in a goroutine of its own, with a context that ends after the time, unless that is
// zero, and is cancelled when Shutdown has returned.
func shutdownGroup(t *testing.T, g *Group, limit time.Duration) *call {
	return inBackground(t, func() error {
		if limit == 0 {
			return g.Shutdown(t.Context())
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		return g.Shutdown(ctx)
	})
}

func TestGroupMembers(t *testing.T) {
	inGroup(t, nil, func(t *testing.T, group *Group, server *groupServer) {
		wantLen(t, group, "the zero value is an empty group", 0)
		here := make(chan *Conn, 1)
		other := newGroupServer(t, &Upgrader{Group: group}, func(c *Conn) {
			here <- c
			echoAll(c)
		})
		outside := newGroupServer(t, &Upgrader{}, func(c *Conn) { echoAll(c) })
		no := func(*http.Request) bool { return false }
		refusing := newGroupServer(t, &Upgrader{Group: group, CheckOrigin: no}, nil)

		first := server.dial()
		wantLen(t, group, "Upgrade adds a connection", 1)
		if _, err := refusing.tryDial(); err != ErrBadHandshake {
			t.Errorf("got %v, want ErrBadHandshake", err)
		}
		wantLen(t, group, "a request that was refused is no connection", 1)
		outside.dial()
		wantLen(t, group, "an Upgrader without a group adds none", 1)
		other.dial()
		wantLen(t, group, "several Upgraders may have one group", 2)

		if err := first.Shutdown(t.Context(), CloseNormalClosure, ""); err != nil {
			t.Error(err)
		}
		wantLen(t, group, "the client closes, and HandlerFunc with it", 1)
		second := <-here
		second.Close()
		wantLen(t, group, "Close takes a connection out", 0)
		third := other.dial()
		second.Close()
		wantLen(t, group, "but once", 1)
		shutdown := inBackground(t, func() error { return (<-here).Shutdown(t.Context(), CloseNormalClosure, "") })
		wantClose(t, third, CloseNormalClosure)
		shutdown.want("the client has answered", 0, noError)
		wantLen(t, group, "Shutdown takes a connection out", 0)
	})
}

// All connections are closed at the same time: it takes one round trip, not n. Shutdown may be called several times,
// and by several at once, of which each has a context of its own. Connections that fail for reasons of their own are no
// reason for an error.
func TestGroupShutdown(t *testing.T) {
	inGroup(t, nil, func(t *testing.T, group *Group, server *groupServer) {
		const n = 100
		var clients []*Conn
		for range n {
			clients = append(clients, server.dial())
		}
		wantLen(t, group, "all are here", n)
		calls := []*call{shutdownGroup(t, group, 0), shutdownGroup(t, group, 0)}
		wantLen(t, group, "the handshakes are going on", n)
		gone, wrong := clients[n-1].NetConn(), clients[n-2].NetConn()
		wrong.Write([]byte("what is this?"))
		wrong.Close()
		gone.Close()

		const roundTrip = time.Second
		time.Sleep(roundTrip)
		for _, c := range clients[1 : n-2] {
			if err := second3(c.ReadMessage()); fmt.Sprint(err) != "websocket: close 1001 (going away)" {
				t.Errorf("got %v, want close 1001 without a reason", err)
			}
			if _, err := c.NetConn().Read(make([]byte, 1)); err == nil {
				t.Error("got another frame, want one Close frame")
			}
		}
		wantLen(t, group, "one has not answered", 1)
		calls[0].wantWaiting("one has not answered")
		calls[1].wantWaiting("one has not answered")
		time.Sleep(roundTrip)
		clients[0].ReadMessage()
		calls[0].want("all have answered", 2*roundTrip, noError)
		calls[1].want("all have answered", 2*roundTrip, noError)
		shutdownGroup(t, group, 0).want("there is nothing more to do", 0, noError)
	})
	inGroup(t, nil, func(t *testing.T, group *Group, server *groupServer) {
		silent := server.dial()
		go server.dial().ReadMessage()
		patient, hasty := shutdownGroup(t, group, 0), shutdownGroup(t, group, time.Second)
		wantLen(t, group, "the one that answers is gone", 1)
		hasty.want("its context ends", time.Second, "context deadline exceeded")
		patient.want("nobody is left", time.Second, noError)
		if !silent.NetConn().(*pipeConn).in.writeClosed() {
			t.Error("got an open network connection, want it closed when the context ends")
		}
		wantClose(t, silent, CloseGoingAway)
	})
}

// Without any time left all are closed at once.
func TestGroupShutdownEndedContext(t *testing.T) {
	inGroup(t, nil, func(t *testing.T, group *Group, server *groupServer) {
		c := server.dial()
		wantCancelled(t, "a group with a connection", group.Shutdown(cancelled(errMine)))
		wantLen(t, group, "all are closed", 0)
		wantClose(t, c, CloseAbnormalClosure)
		if err := group.Shutdown(cancelled(errMine)); err != nil {
			t.Errorf("a group without connections: got %v, want nil", err)
		}
	})
}

// Most programs return when a write fails, and after our Close frame every write does.
// The closing handshake is not cut by that.
func TestGroupShutdownOfHandlersThatReturn(t *testing.T) {
	returned := false
	serve := func(_ *Group, c *Conn) {
		echoAll(c)
		returned = true
	}
	inGroup(t, serve, func(t *testing.T, group *Group, server *groupServer) {
		client := server.dial()
		shutdown := shutdownGroup(t, group, 0)
		synctest.Wait()
		wantWrite(t, client, "this cannot be echoed")
		time.Sleep(time.Minute)
		shutdown.wantWaiting("the client has not answered")
		if !returned || client.NetConn().(*pipeConn).in.writeClosed() {
			t.Errorf("got returned %v, want it, and an open network connection until the client has answered", returned)
		}
		wantWrite(t, client, strings.Repeat("the rest is taken", 1<<17)) // more than the network holds
		wantClose(t, client, CloseGoingAway)
		shutdown.want("the client has answered, and nobody has come for its message", time.Minute+claimTime, noError)
	})
}

// Shutdown waits for the functions of HandlerFunc, but not longer than its context.
func TestGroupShutdownAwaitsFunctions(t *testing.T) {
	serve := func(_ *Group, c *Conn) {
		for second3(c.ReadMessage()) == nil {
		}
		time.Sleep(time.Minute) // what is to be saved in the end
	}
	inGroup(t, serve, func(t *testing.T, group *Group, server *groupServer) {
		server.dial().Close()
		for range 2 {
			go server.dial().ReadMessage()
		}
		synctest.Wait()
		shutdownGroup(t, group, time.Second).want("its context ends first", time.Second, "context deadline exceeded")
		wantLen(t, group, "the connections are closed all the same", 0)
		shutdownGroup(t, group, 0).want("the functions return", time.Minute-time.Second, noError)
	})
}

// A function of HandlerFunc that calls Shutdown, however deep in its stack, waits neither for itself nor for another
// one that does so. A call from elsewhere waits for it.
func TestGroupShutdownByMembers(t *testing.T) {
	var deep func(n int, g *Group) error
	deep = func(n int, g *Group) error {
		if n == 0 {
			return g.Shutdown(context.Background())
		}
		return deep(n-1, g)
	}
	for members, pause := range map[int]time.Duration{1: time.Minute, 2: 0} {
		var returned atomic.Int32
		serve := func(g *Group, c *Conn) {
			c.ReadMessage()
			if err := deep(300, g); err != nil {
				t.Errorf("got %v, want nil", err)
			}
			returned.Add(1)
			time.Sleep(pause)
		}
		inGroup(t, serve, func(t *testing.T, group *Group, server *groupServer) {
			for range members {
				client := server.dial()
				time.AfterFunc(time.Second, func() {
					client.WriteMessage(TextMessage, nil)
					wantClose(t, client, CloseGoingAway)
				})
			}
			time.Sleep(time.Second)
			wantLen(t, group, "all are closed", 0)
			if n := int(returned.Load()); n != members {
				t.Errorf("got %d calls that have returned, want all at once", n)
			}
			shutdownGroup(t, group, 0).want("the functions return", pause, noError)
		})
	}
}

// A request that comes after is refused while it is still HTTP. What is wrong with the request is said first.
func TestGroupShutdownRefusesRequests(t *testing.T) {
	var group Group
	if err := group.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	u, bad := Upgrader{Group: &group}, sampleRequest()
	bad.Method = http.MethodPut
	wantRefused(t, u, sampleRequest(), nil, http.StatusServiceUnavailable, "websocket: the server is shutting down")
	if w, _, err := tryUpgrade(t, u, bad); err == nil || w.Code != http.StatusMethodNotAllowed {
		t.Errorf("a bad request: got %d, %v, want 405", w.Code, err)
	}
}

// hookedHijacker runs a function when Upgrade takes the connection over.
type hookedHijacker struct {
	*hijacker
	hijacked func()
}

func (w hookedHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.hijacked()
	return w.hijacker.Hijack()
}

func nothing() error { return nil }

// upgradeWhile upgrades a request, runs functions when the connection is taken over and before each write to it, which
// may fail, and returns the other end, too.
func upgradeWhile(t *testing.T, u Upgrader, hijacked, writing func() error) (*Conn, *pipeConn, error) {
	near, far := newPipe(t, 1<<16)
	w := &hijacker{ResponseRecorder: httptest.NewRecorder(), conn: writeFunc{near, func(p []byte) (int, error) {
		if err := writing(); err != nil {
			return 0, err
		}
		return near.Write(p)
	}}}
	c, err := u.Upgrade(hookedHijacker{w, func() { hijacked() }}, sampleRequest(), nil)
	if c != nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, far, err
}

// wantGoingAway checks that a client got the answer and a Close frame.
func wantGoingAway(t *testing.T, far *pipeConn) {
	t.Helper()
	answer, rest, _ := strings.Cut(string(far.take()), "\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 101 ") || rest != "\x88\x02\x03\xe9" {
		t.Errorf("got %q and %q, want 101 and a Close frame with 1001", answer, rest)
	}
}

// Shutdown begins while a request is being upgraded: it waits for it, and closes the connection like one that has been
// there before, at the latest when the context ends.
func TestGroupShutdownDuringUpgrade(t *testing.T) {
	for _, tt := range []struct {
		name    string
		writing bool // the answer is about to leave, else the connection is being taken over
		during  func(t *testing.T, group *Group) (shutdown *call)
		answers bool // the clients
		took    time.Duration
		err     string
	}{
		{"the request is not answered yet", false, func(t *testing.T, group *Group) *call {
			shutdown := shutdownGroup(t, group, time.Minute)
			time.Sleep(time.Second)
			_, _, err := upgradeWhile(t, Upgrader{Group: group}, nil, nil)
			if err == nil || err.Error() != "websocket: the server is shutting down" {
				t.Errorf("got %v, want that further requests are refused", err)
			}
			return shutdown
		}, true, time.Second, noError},
		{"the clients are silent", false, func(t *testing.T, group *Group) *call {
			return shutdownGroup(t, group, time.Minute)
		}, false, time.Minute, "context deadline exceeded"},
		{"a call that gives up leaves the connection to the one that goes on", false, func(t *testing.T, group *Group) *call {
			shutdown := shutdownGroup(t, group, 0)
			synctest.Wait()
			shutdownGroup(t, group, time.Second).want("its context ends", time.Second, "context deadline exceeded")
			return shutdown
		}, true, time.Second, noError},
		{"a client that has seen the answer is a member", true, func(t *testing.T, group *Group) *call {
			wantLen(t, group, "the answer is about to leave", 2)
			return shutdownGroup(t, group, time.Minute)
		}, true, 0, noError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inGroup(t, nil, func(t *testing.T, group *Group, _ *groupServer) {
				u := Upgrader{Group: group}
				_, before, _ := upgradeWhile(t, u, nothing, nothing)
				var shutdown *call
				during := func() error {
					if shutdown == nil {
						shutdown = tt.during(t, group)
						shutdown.wantWaiting("the request is not answered")
					}
					return nil
				}
				hijacked, writing := during, nothing
				if tt.writing {
					hijacked, writing = nothing, during
				}
				_, after, err := upgradeWhile(t, u, hijacked, writing)
				if err != nil {
					t.Fatal(err)
				}
				shutdown.wantWaiting("the clients have not answered")
				for _, far := range []*pipeConn{before, after} {
					wantGoingAway(t, far)
					if tt.answers {
						far.Write(rawFrame(true, closeFrame(CloseGoingAway, "")))
					}
				}
				shutdown.want(tt.name, tt.took, tt.err)
			})
		})
	}
}

// No call of Shutdown is left when the answer leaves: then Upgrade closes the connection, with the same Close frame.
func TestGroupShutdownGivesUpBeforeTheAnswer(t *testing.T) {
	inGroup(t, nil, func(t *testing.T, group *Group, _ *groupServer) {
		c, far, err := upgradeWhile(t, Upgrader{Group: group}, func() error {
			shutdownGroup(t, group, time.Second).want("its context ends", time.Second, "context deadline exceeded")
			return nil
		}, nothing)
		if err != nil {
			t.Fatal(err)
		}
		wantGoingAway(t, far)
		wantErrorIs(t, second3(c.ReadMessage()), net.ErrClosed)
	})
}

// A connection whose answer did not leave is no member any more, and one whose upgrade ended in a panic, which net/http
// recovers, never was one: Shutdown does not wait for them. Nor does Upgrade wait for a ping that is due.
func TestGroupUpgradeFails(t *testing.T) {
	inGroup(t, nil, func(t *testing.T, group *Group, _ *groupServer) {
		u := Upgrader{Group: group, PingInterval: time.Second / 2}
		func() {
			defer func() {
				if recover() != http.ErrAbortHandler {
					t.Error("got no panic, want that of Hijack")
				}
			}()
			upgradeWhile(t, u, func() error { panic(http.ErrAbortHandler) }, nil)
		}()
		var shutdown *call
		inBackground(t, func() error {
			_, _, err := upgradeWhile(t, u, nothing, func() error {
				shutdown = shutdownGroup(t, group, 0)
				time.Sleep(time.Second)
				shutdown.wantWaiting("the answer has not left")
				return errMine
			})
			return err
		}).want("the network takes a second", time.Second, "mine")
		shutdown.want("the connection is closed", time.Second, noError)
	})
}

// Clients come, talk and go while the server is shut down. Each is refused, or goes by
// itself, or sees 1001.
func TestGroupShutdownAmongComingAndGoing(t *testing.T) {
	var group Group
	u := Upgrader{Group: &group, ReadBufferSize: 4096}
	serve := func(c *Conn, _ *http.Request) {
		// What programs set after Upgrade, when the group has the connection already.
		c.SetReadLimit(1 << 20)
		c.SetPingHandler(c.PingHandler())
		c.SetPongHandler(func(string) error { return nil })
		c.SetCloseHandler(nil)
		echoAll(c)
	}
	mux := http.NewServeMux()
	mux.Handle("/func", u.HandlerFunc(serve))
	mux.HandleFunc("/plain", func(w http.ResponseWriter, r *http.Request) {
		if c, err := u.Upgrade(w, r, nil); err == nil {
			serve(c, r)
			if err := c.Shutdown(closingContext(t), CloseNormalClosure, ""); err != nil {
				t.Errorf("the handler's own Shutdown: got %v, want nil", err)
			}
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	// client is the life of one client. The error ends those of its kind.
	client := func(path string, messages int) error {
		c, resp, err := (&Dialer{}).Dial(server.URL+path, nil)
		if err == ErrBadHandshake && resp.StatusCode == http.StatusServiceUnavailable {
			return &CloseError{Code: CloseGoingAway} // it is refused
		}
		if err != nil {
			return err
		}
		defer c.Close()
		for i := range messages {
			if err := c.WriteMessage(TextMessage, fmt.Append(nil, i)); err != nil {
				return err
			}
			if err := readText(c, fmt.Sprint(i)); err != nil {
				return err
			}
		}
		return c.Shutdown(closingContext(t), CloseNormalClosure, "")
	}
	var clients sync.WaitGroup
	var lives atomic.Int32
	enough := make(chan struct{})
	for i := range 8 {
		clients.Go(func() {
			var err error
			for n := 0; err == nil; n++ {
				err = client([]string{"/func", "/plain"}[i%2], n%7*i)
				if int(lives.Add(1)) == unlessRace(100, 40) {
					close(enough)
				}
			}
			if !IsCloseError(err, CloseGoingAway) {
				t.Errorf("got %v of a client, want a refusal or close 1001", err)
			}
		})
	}
	<-enough
	if err := group.Shutdown(closingContext(t)); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	clients.Wait()
	if got := group.Len(); got != 0 {
		t.Errorf("got %d connections in the end, want none", got)
	}
}

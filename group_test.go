//go:build go1.25

package websocket

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// groupServer is an HTTP server in a bubble. Its connections are pipes.
type groupServer struct {
	t    *testing.T
	http *http.Server
	l    *hsListener
}

// newGroupServer returns a server with a handler. It ends with the test.
func newGroupServer(t *testing.T, h http.Handler) *groupServer {
	s := &groupServer{t, &http.Server{Handler: h}, newHSListener()}
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.l) }()
	t.Cleanup(func() {
		s.http.Close()
		if err := <-served; err != http.ErrServerClosed {
			t.Errorf("Serve: got %v, want %v", err, http.ErrServerClosed)
		}
	})
	return s
}

// tryDial returns a client's connection to the server, or the refusal.
func (s *groupServer) tryDial() (*Conn, *http.Response, error) {
	s.t.Helper()
	near, far := newPipe(s.t, 1<<16)
	select {
	case s.l.conns <- far:
	case <-s.l.done:
		s.t.Fatal("the server listens no more")
	}
	d := Dialer{NetDial: func(string, string) (net.Conn, error) { return near, nil }}
	return d.Dial("ws://server.test/", nil)
}

// dial returns when the server has the connection, too.
func (s *groupServer) dial() *Conn {
	s.t.Helper()
	c, _, err := s.tryDial()
	if err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait()
	return c
}

// echoing is what most programs do.
func echoing(c *Conn, _ *http.Request) { hsEcho(c) }

func wantLen(t *testing.T, g *Group, why string, want int) {
	t.Helper()
	synctest.Wait()
	if got := g.Len(); got != want {
		t.Fatalf("%s: got %d connections, want %d", why, got, want)
	}
}

// shutdownGroup calls g.Shutdown in a goroutine of its own.
func shutdownGroup(t *testing.T, ctx context.Context, g *Group) *call {
	return begin(t, func() (string, error) { return "", g.Shutdown(ctx) })
}

func TestGroupMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group Group
		wantLen(t, &group, "the zero value is an empty group", 0)
		one, two, none := Upgrader{Group: &group}, Upgrader{Group: &group}, Upgrader{}
		here := make(chan *Conn, 1)
		server := newGroupServer(t, one.HandlerFunc(echoing))
		other := newGroupServer(t, two.HandlerFunc(func(c *Conn, r *http.Request) {
			here <- c
			hsEcho(c)
		}))
		outside := newGroupServer(t, none.HandlerFunc(echoing))
		refusing := newGroupServer(t, (&Upgrader{Group: &group, CheckOrigin: func(*http.Request) bool { return false }}).HandlerFunc(echoing))

		first := server.dial()
		wantLen(t, &group, "Upgrade adds a connection", 1)
		if _, _, err := refusing.tryDial(); err != ErrBadHandshake {
			t.Errorf("got %v, want ErrBadHandshake", err)
		}
		wantLen(t, &group, "a request that was refused is no connection", 1)
		outside.dial()
		wantLen(t, &group, "an Upgrader without a group adds none", 1)
		other.dial()
		wantLen(t, &group, "several Upgraders may have one group", 2)
		server.dial().Close()
		wantLen(t, &group, "one came, and went", 2)

		if err := first.Shutdown(t.Context(), CloseNormalClosure, ""); err != nil {
			t.Error(err)
		}
		wantLen(t, &group, "the client closes, and HandlerFunc with it", 1)
		second := <-here
		begin(t, func() (string, error) {
			_, _, err := second.ReadMessage()
			return "", err
		})
		second.Close()
		wantLen(t, &group, "Close takes a connection out", 0)
		second.Close()
		wantLen(t, &group, "but once", 0)

		third := other.dial()
		wantLen(t, &group, "another one", 1)
		shutdown := begin(t, func() (string, error) {
			return "", (<-here).Shutdown(t.Context(), CloseNormalClosure, "")
		})
		if _, _, err := third.ReadMessage(); !IsCloseError(err, CloseNormalClosure) {
			t.Errorf("got %v, want close 1000", err)
		}
		shutdown.want("the client has answered", 0, noError)
		wantLen(t, &group, "Shutdown takes a connection out", 0)
	})
}

// All connections are closed at the same time: it takes one round trip, not n.
func TestGroupShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 100
		var group Group
		server := newGroupServer(t, (&Upgrader{Group: &group}).HandlerFunc(echoing))
		var clients []*Conn
		for range n {
			clients = append(clients, server.dial())
		}
		wantLen(t, &group, "all are here", n)
		shutdown := shutdownGroup(t, t.Context(), &group)
		shutdown.wantWaiting("the clients have not answered")
		wantLen(t, &group, "the handshakes are going on", n)

		const roundTrip = time.Second
		time.Sleep(roundTrip)
		for _, c := range clients[1:] {
			if _, _, err := c.ReadMessage(); fmt.Sprint(err) != "websocket: close 1001 (going away)" {
				t.Errorf("got %v, want close 1001 without a reason", err)
			}
		}
		wantLen(t, &group, "one has not answered", 1)
		shutdown.wantWaiting("one has not answered")
		time.Sleep(roundTrip)
		clients[0].ReadMessage()
		shutdown.want("all have answered", 2*roundTrip, noError)
		wantLen(t, &group, "nobody is left", 0)
		shutdownGroup(t, t.Context(), &group).want("there is nothing more to do", 0, noError)
	})
}

// Those that do not answer are closed when the context ends.
func TestGroupShutdownSilentPeers(t *testing.T) {
	for _, tt := range closingContexts {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var group Group
				server := newGroupServer(t, (&Upgrader{Group: &group}).HandlerFunc(echoing))
				var silent []*Conn
				for range 10 {
					silent = append(silent, server.dial())
					go server.dial().ReadMessage()
				}
				ctx, cancel := tt.make(t.Context())
				defer cancel()
				shutdown := shutdownGroup(t, ctx, &group)
				wantLen(t, &group, "those that answer are gone", 10)
				shutdown.want("the context ends", time.Minute, tt.want)
				wantErrorIs(t, shutdown.err, tt.wants...)
				wantLen(t, &group, "all are closed", 0)
				for _, c := range silent {
					if !c.NetConn().(*pipeConn).in.writeClosed() {
						t.Fatal("a network connection is open")
					}
					if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseGoingAway) {
						t.Errorf("got %v, want close 1001 in the end", err)
					}
				}
			})
		})
	}
}

// Connections that failed for reasons of their own are no reason for an error.
func TestGroupShutdownOtherErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group Group
		server := newGroupServer(t, (&Upgrader{Group: &group}).HandlerFunc(echoing))
		gone, wrong := server.dial(), server.dial()
		shutdown := shutdownGroup(t, t.Context(), &group)
		synctest.Wait()
		gone.Close()
		wrong.NetConn().Write([]byte("what is this?"))
		wrong.NetConn().Close()
		shutdown.want("both have ended", 0, noError)
		wantLen(t, &group, "both have ended", 0)
	})
}

// Without any time left all are closed at once.
func TestGroupShutdownEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group Group
		server := newGroupServer(t, (&Upgrader{Group: &group}).HandlerFunc(echoing))
		c := server.dial()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		shutdownGroup(t, ctx, &group).want("no time", 0, "context canceled")
		wantLen(t, &group, "all are closed", 0)
		if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseAbnormalClosure) {
			t.Errorf("got %v, want the end of the connection", err)
		}
	})
	var empty Group
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := empty.Shutdown(ctx); err != nil {
		t.Errorf("a group without connections: got %v, want nil", err)
	}
}

// It may be called several times, and by several at once.
func TestGroupShutdownSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group Group
		server := newGroupServer(t, (&Upgrader{Group: &group}).HandlerFunc(echoing))
		var clients []*Conn
		for range 10 {
			clients = append(clients, server.dial())
		}
		var all []*call
		for range 5 {
			all = append(all, shutdownGroup(t, t.Context(), &group))
		}
		for _, s := range all {
			s.wantWaiting("the clients have not answered")
		}
		for _, c := range clients {
			if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseGoingAway) {
				t.Errorf("got %v, want close 1001", err)
			}
			if _, err := c.NetConn().Read(make([]byte, 1)); err == nil {
				t.Error("got another frame, want one Close frame")
			}
		}
		for _, s := range all {
			s.want("the clients have answered", 0, noError)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var group Group
		server := newGroupServer(t, (&Upgrader{Group: &group}).HandlerFunc(echoing))
		server.dial()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		patient := shutdownGroup(t, t.Context(), &group)
		hasty := shutdownGroup(t, ctx, &group)
		hasty.want("its context ends", time.Second, "context deadline exceeded")
		<-patient.done
		if patient.took != time.Second {
			t.Errorf("got the other end after %v, want 1s: nobody is left", patient.took)
		}
	})
}

// http.Server.Shutdown brings it about.
func TestGroupRegisterOnShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group Group
		server := newGroupServer(t, (&Upgrader{Group: &group}).HandlerFunc(echoing))
		server.http.RegisterOnShutdown(func() { group.Shutdown(t.Context()) })
		clients := []*Conn{server.dial(), server.dial()}
		if err := server.http.Shutdown(t.Context()); err != nil {
			t.Errorf("got %v, want nil", err)
		}
		for _, c := range clients {
			if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseGoingAway) {
				t.Errorf("got %v, want close 1001", err)
			}
		}
		wantLen(t, &group, "all are closed", 0)
	})
}

// A connection's own goroutine shuts the group down that the connection belongs to.
func TestGroupShutdownByAMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group Group
		result := make(chan error, 1)
		server := newGroupServer(t, (&Upgrader{Group: &group}).HandlerFunc(func(c *Conn, _ *http.Request) {
			if _, p, _ := c.ReadMessage(); string(p) == "quit" {
				result <- group.Shutdown(t.Context())
			}
		}))
		admin, other := server.dial(), server.dial()
		go other.ReadMessage()
		if err := admin.WriteMessage(TextMessage, []byte("quit")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := admin.ReadMessage(); !IsCloseError(err, CloseGoingAway) {
			t.Errorf("got %v, want close 1001", err)
		}
		if err := <-result; err != nil {
			t.Errorf("got %v, want nil", err)
		}
		wantLen(t, &group, "all are closed", 0)
	})
}

// Most programs return when a write fails, and after our Close frame every write does.
// The closing handshake is not cut by that.
func TestGroupShutdownOfHandlersThatReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group Group
		returned := make(chan bool, 1)
		server := newGroupServer(t, (&Upgrader{Group: &group}).HandlerFunc(func(c *Conn, _ *http.Request) {
			hsEcho(c)
			returned <- true
		}))
		client := server.dial()
		shutdown := shutdownGroup(t, t.Context(), &group)
		synctest.Wait()
		if err := client.WriteMessage(TextMessage, []byte("this cannot be echoed")); err != nil {
			t.Fatal(err)
		}
		<-returned
		time.Sleep(time.Minute)
		shutdown.wantWaiting("the client has not answered")
		if client.NetConn().(*pipeConn).in.writeClosed() {
			t.Error("the network connection was closed before the client has answered")
		}
		if err := client.WriteMessage(TextMessage, make([]byte, 100_000)); err != nil {
			t.Errorf("got %v, want the rest to be taken", err)
		}
		if _, _, err := client.ReadMessage(); !IsCloseError(err, CloseGoingAway) {
			t.Errorf("got %v, want close 1001", err)
		}
		shutdown.want("the client has answered, and nobody has come for its message", time.Minute+claimTime, noError)
		wantLen(t, &group, "all are closed", 0)
	})
}

// Shutdown waits for the functions of HandlerFunc, but not for the one that calls it, nor longer than its
// context.
func TestGroupShutdownAwaitsFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group Group
		server := newGroupServer(t, (&Upgrader{Group: &group}).HandlerFunc(func(c *Conn, _ *http.Request) {
			for {
				if _, _, err := c.ReadMessage(); err != nil {
					break
				}
			}
			time.Sleep(time.Minute) // what is to be saved in the end
		}))
		server.dial().Close()
		for range 2 {
			go server.dial().ReadMessage()
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		shutdownGroup(t, ctx, &group).want("its context ends first", time.Second, "context deadline exceeded")
		wantLen(t, &group, "the connections are closed all the same", 0)
		shutdownGroup(t, t.Context(), &group).want("the functions return", time.Minute-time.Second, noError)
	})
	synctest.Test(t, func(t *testing.T) {
		var group Group
		result := make(chan error, 2)
		server := newGroupServer(t, (&Upgrader{Group: &group}).HandlerFunc(func(c *Conn, _ *http.Request) {
			c.ReadMessage()
			result <- group.Shutdown(t.Context())
		}))
		for _, client := range []*Conn{server.dial(), server.dial()} {
			client.WriteMessage(TextMessage, nil)
			go client.ReadMessage()
		}
		for range 2 {
			if err := <-result; err != nil {
				t.Errorf("got %v, want nil: neither waits for itself or for the other", err)
			}
		}
	})
	// A call from elsewhere waits for a function that calls Shutdown, too, however deep in its stack.
	synctest.Test(t, func(t *testing.T) {
		var group Group
		var deep func(n int) error
		deep = func(n int) error {
			if n == 0 {
				return group.Shutdown(t.Context())
			}
			return deep(n - 1)
		}
		result := make(chan error, 1)
		server := newGroupServer(t, (&Upgrader{Group: &group}).HandlerFunc(func(c *Conn, _ *http.Request) {
			c.ReadMessage()
			result <- deep(300)
			time.Sleep(time.Minute)
		}))
		client := server.dial()
		client.WriteMessage(TextMessage, nil)
		go client.ReadMessage()
		synctest.Wait()
		shutdownGroup(t, t.Context(), &group).want("the function returns", time.Minute, noError)
		if err := <-result; err != nil {
			t.Errorf("got %v, want nil", err)
		}
	})
}

package websocket

import (
	"context"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
)

// Group is a set of connections of one or several Upgraders that a server can close together:
// http.Server.Shutdown does not know about upgraded connections. The zero value is an empty
// group. A Group must not be copied. Any goroutine may call its methods.
type Group struct {
	mu        sync.Mutex
	conns     map[*Conn]struct{}
	upgrading int           // number of requests accepted by enter and not answered yet
	running   int           // number of functions of HandlerFunc
	waiting   int           // number of calls of Shutdown by such functions
	change    chan struct{} // closed when one of these numbers changes; nil if no call waits for that
	closed    bool          // Shutdown has been called
	shutdowns int           // number of calls of Shutdown that will close connections still to come
}

const errGroupShutdown = "the server is shutting down"

// Len returns the number of connections that were upgraded and not closed since, by Close, Shutdown or the
// keepalive. A connection whose peer is gone counts until then.
func (g *Group) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.conns)
}

// Shutdown closes all connections at the same time, as Conn.Shutdown does with CloseGoingAway,
// and returns when all are closed. Connections that have not finished the closing handshake when
// the context ends are closed then. Shutdown also waits until the functions of HandlerFunc have
// returned or the context has ended, but not for a function that called it. Once it was called,
// Upgrade refuses requests with 503 Service Unavailable. A function of HandlerFunc should only
// call the Shutdown of its own Group, because that of another Group does not know whom to wait for.
//
// If the context ends before all handshakes are finished and all functions have returned, the
// error wraps the context's error and its cause. Shutdown may be called several times. To call
// it when the server shuts down, register a function that has a context:
//
//	server.RegisterOnShutdown(func() { group.Shutdown(ctx) })
//
// http.Server.Shutdown does not wait for such functions. After a write has returned
// ErrCloseSent, a program should keep reading until a read returns an error: if it closes the
// connection earlier, the peer may not receive the Close frame. HandlerFunc takes care of that.
func (g *Group) Shutdown(ctx context.Context) error {
	var closing sync.WaitGroup
	var cut atomic.Bool
	known := make(map[*Conn]bool)
	g.close()
	for last := false; !last; {
		var conns []*Conn
		var change <-chan struct{}
		conns, change, last = g.members(ctx.Err() != nil)
		for _, c := range conns {
			if known[c] {
				continue
			}
			known[c] = true
			closing.Add(1)
			// It ends with the handshake, or with the context.
			go func() {
				defer closing.Done()
				if err := c.Shutdown(ctx, CloseGoingAway, ""); err != nil && ctx.Err() != nil {
					cut.Store(true)
				}
			}()
		}
		switch {
		case !last:
			select {
			case <-change: // a request has become a connection, or has failed
			case <-ctx.Done():
			}
		case change != nil: // another call, or Upgrade, closes the connections still to come
			cut.Store(true)
		}
	}
	closing.Wait()
	if !g.awaitFunctions(ctx) {
		cut.Store(true)
	}
	if cut.Load() {
		return contextError(ctx)
	}
	return nil
}

// close makes enter refuse requests, and counts a call of Shutdown, which will close connections still to
// come.
func (g *Group) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.shutdowns++
}

// members returns the current connections and, if more may come, a channel that is closed when that changes.
// last reports that these are the last connections for this call of Shutdown: no more may come, or its context
// has ended.
func (g *Group) members(ended bool) (conns []*Conn, change <-chan struct{}, last bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if last = ended || g.upgrading == 0; last {
		g.shutdowns--
	}
	for c := range g.conns {
		conns = append(conns, c)
	}
	if g.upgrading == 0 {
		return conns, nil, last
	}
	return conns, g.nextChange(), last
}

// enter reports whether the group, which may be nil, still accepts requests. If so, the
// caller must call leave when the request was answered.
func (g *Group) enter() bool {
	if g == nil {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.upgrading++
	return true
}

// join adds c to the group. It is called between enter and leave, before the client can
// receive the answer.
func (g *Group) join(c *Conn) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conns == nil {
		g.conns = make(map[*Conn]struct{})
	}
	g.conns[c] = struct{}{}
	c.group = g
}

// leave ends what enter has begun. c is the connection that the request has become, or nil. leave
// closes c if the group is closed and no call of Shutdown will.
func (g *Group) leave(c *Conn) {
	if g == nil {
		return
	}
	g.mu.Lock()
	g.upgrading--
	g.changed()
	late := g.closed && g.shutdowns == 0
	g.mu.Unlock()
	if c != nil && late {
		c.reply(opClose, FormatCloseMessage(CloseGoingAway, ""))
		c.Close()
	}
}

// nextChange returns a channel that is closed by the next call of changed. The caller holds g.mu.
func (g *Group) nextChange() <-chan struct{} {
	if g.change == nil {
		g.change = make(chan struct{})
	}
	return g.change
}

// changed wakes the calls that wait for a change. The caller holds g.mu.
func (g *Group) changed() {
	if g.change != nil {
		close(g.change)
		g.change = nil
	}
}

// run adds n to the number of functions of HandlerFunc. The group may be nil.
func (g *Group) run(n int) {
	if g == nil {
		return
	}
	g.count(&g.running, n)
}

// count adds n to a counter of the group.
func (g *Group) count(counter *int, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	*counter += n
	g.changed()
}

// awaitFunctions waits until the functions of HandlerFunc have returned, except those that wait here themselves.
// It returns false if the context ends first.
func (g *Group) awaitFunctions(ctx context.Context) bool {
	inside := inFunction()
	if inside {
		g.count(&g.waiting, 1)
		defer g.count(&g.waiting, -1)
	}
	for {
		g.mu.Lock()
		running, change := g.running, g.nextChange()
		if inside {
			running -= g.waiting
		}
		g.mu.Unlock()
		if running <= 0 {
			return true
		}
		select {
		case <-change:
		case <-ctx.Done():
			return false
		}
	}
}

// inFunction reports whether it was called, directly or not, by a function of HandlerFunc.
func inFunction() bool {
	run := runtime.FuncForPC(reflect.ValueOf((*Upgrader).run).Pointer()).Name()
	var stack [100]uintptr
	for skip := 0; ; skip += len(stack) {
		n := runtime.Callers(skip, stack[:])
		if n == 0 {
			return false
		}
		frames := runtime.CallersFrames(stack[:n])
		for more := true; more; {
			var frame runtime.Frame
			if frame, more = frames.Next(); frame.Function == run {
				return true
			}
		}
	}
}

func (g *Group) remove(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
}

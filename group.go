package websocket

import (
	"context"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
)

// Group is the connections of an Upgrader, or of several, so that a server can close
// them all: http.Server.Shutdown knows nothing of connections that were upgraded. Its
// zero value is an empty group. It must not be copied. Any goroutine may call its methods.
type Group struct {
	mu        sync.Mutex
	conns     map[*Conn]struct{}
	upgrading int           // requests that were let in and have not been answered yet
	running   int           // functions of HandlerFunc
	waiting   int           // calls of Shutdown by such functions
	change    chan struct{} // closed when these change; nil while nobody waits for it
	closed    bool          // Shutdown has been called
	shutdowns int           // calls of Shutdown that take on further connections
}

const errGroupShutdown = "the server is shutting down"

// Len returns how many connections have been upgraded and not been closed, by Close or by Shutdown: one
// whose peer has left counts until then.
func (g *Group) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.conns)
}

// Shutdown closes all connections as Conn.Shutdown does, with CloseGoingAway, at the
// same time, and returns when all are closed: those that have not finished the
// closing handshake when the context ends are closed then. It also waits for the functions that
// HandlerFunc has called, until the context ends, but not for those that call it themselves. From now on,
// Upgrade refuses requests with 503 Service Unavailable. A function of HandlerFunc should call Shutdown of
// its own Group only: how many functions of another one still run is not known there.
//
// The error is the context's with its cause, where it has ended before all
// handshakes were finished and all functions had returned. Shutdown may be called several
// times, and be registered with http.Server.RegisterOnShutdown in a function that has a context:
//
//	server.RegisterOnShutdown(func() { group.Shutdown(ctx) })
//
// http.Server.Shutdown does not wait for such functions. A program should go on
// reading after a write has returned ErrCloseSent, until a read returns an error: if it
// closes the connection before, the peer may not see the Close frame. HandlerFunc
// takes care of that.
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
			case <-change: // a request let in before has become a connection, or has failed
			case <-ctx.Done():
			}
		case change != nil: // the connections that are still to come are another call's, or Upgrade closes them
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

// close has enter refuse requests, and counts a call of Shutdown, which closes the connections that are
// still to come.
func (g *Group) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.shutdowns++
}

// members returns the connections there are and, where more may come, a channel that is closed when they
// have. If none may come, or the context of the call of Shutdown has ended, these are the last connections
// that the call closes.
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
// caller calls leave when the request has been answered.
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

// join makes c a member. It is called between enter and leave, before the client can
// see the answer.
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

// leave ends what enter has begun. It closes c, the connection that the request has become,
// or nil, if no call of Shutdown is left to do that.
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

// nextChange returns a channel that is closed when changed is called next. The caller holds g.mu.
func (g *Group) nextChange() <-chan struct{} {
	if g.change == nil {
		g.change = make(chan struct{})
	}
	return g.change
}

// changed wakes the calls of Shutdown that wait for a change. The caller holds g.mu.
func (g *Group) changed() {
	if g.change != nil {
		close(g.change)
		g.change = nil
	}
}

// run takes note of n more functions of HandlerFunc.
func (g *Group) run(n int) {
	if g == nil {
		return
	}
	g.count(&g.running, n)
}

// count adds n to a count of the group.
func (g *Group) count(counter *int, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	*counter += n
	g.changed()
}

// awaitFunctions waits until the functions of HandlerFunc have returned, except, where it is called by one of
// them, for those that call it. It returns false if the context ends first.
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

// inFunction reports whether the caller runs in a function of HandlerFunc.
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

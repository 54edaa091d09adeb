package websocket

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"runtime/debug"
	"strings"
)

// HandlerFunc returns a handler that upgrades each request, with the header that ResponseHeader returns for
// it, and runs serve with the connection. When serve returns, the peer is sent a
// Close frame with CloseNormalClosure, unless one has been sent, and the connection is closed as by Close. A
// panic of serve is reported as net/http reports that of a handler, and ends that connection only, with
// CloseInternalServerErr. After http.ErrAbortHandler and runtime.Goexit no Close frame is sent.
//
// The context of the request that serve gets has the values of the original. It is cancelled when the connection
// ends: when it has been closed, or a read or a write has found that the peer is gone. A function that does not
// read learns that by PingInterval, or from Conn.CloseRead.
//
// Where the values of the request's context are those of net/http alone, serve runs in a goroutine of its own, and the
// handler returns at once, so that net/http frees what it holds for the request. Measured on linux/amd64, an idle
// connection then takes 3.3 KB of heap and stack, and 20 KB otherwise. Where a router or middleware has added values,
// as chi does with the parameters of a route, the handler runs serve before it returns, because they may be reused
// for another request afterwards. r.PathValue of http.ServeMux needs no such value.
//
// What serve gets otherwise than by its arguments is the program's own concern: a gin.Context, for instance, must not
// be used after the handler has returned.
func (u *Upgrader) HandlerFunc(serve func(*Conn, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(context.Background())
		u.Group.run(1)
		runs := false
		defer func() {
			if !runs { // the request was refused, or the program's ResponseWriter panics
				u.Group.run(-1)
				cancel()
			}
		}()
		key, agreed, refused := u.check(r)
		if refused != nil {
			u.refuse(w, r, refused)
			return
		}
		var header http.Header
		if u.ResponseHeader != nil {
			header = u.ResponseHeader(r)
		}
		c, err := u.upgrade(w, r, key, agreed, header, cancel)
		if runs = err == nil; !runs {
			return
		}
		bare := hasBareContext(r)
		r = r.WithContext(connContext{ctx, r.Context()})
		if !bare {
			u.run(serve, c, r)
			return
		}
		go u.run(serve, c, r) // ends when serve does, which c's Close brings about
	}
}

// hasBareContext reports whether nothing has been added to the context that net/http made for a request: a value with
// the local address, and two layers that can be cancelled, one for the connection and one for the request. A context
// says in its String what it consists of. If net/http should come to make it in another way, all handlers wait.
func hasBareContext(r *http.Request) bool {
	addr := r.Context().Value(http.LocalAddrContextKey)
	bare := fmt.Sprintf(".WithValue(%v, %v).WithCancel.WithCancel", http.LocalAddrContextKey, addr)
	return strings.HasSuffix(fmt.Sprint(r.Context()), bare)
}

// connContext is a context that ends with a connection, and has the values of another. The connection holds
// the first only, so that the second can be forgotten, and with it what net/http has made for the request.
type connContext struct {
	context.Context
	values context.Context
}

func (c connContext) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v // of package context itself
	}
	return c.values.Value(key)
}

// run runs serve, and ends the connection behind it.
func (u *Upgrader) run(serve func(*Conn, *http.Request), c *Conn, r *http.Request) {
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	defer u.Group.run(-1)
	code := 0 // of the Close frame, if any
	defer func() {
		if c.shuttingDown() {
			return // Shutdown closes it, when it is time
		}
		if code != 0 && c.readLock.phase() != phaseFailed { // else the peer is gone, or has been told why
			c.reply(opClose, FormatCloseMessage(code, ""))
		}
		c.Close()
	}()
	defer func() {
		if err := recover(); err != nil && err != http.ErrAbortHandler {
			code = CloseInternalServerErr
			logPanic(server, c, err)
		}
	}()
	serve(c, r)
	code = CloseNormalClosure
}

// logPanic logs a panic as net/http does.
func logPanic(server *http.Server, c *Conn, err any) {
	logf := log.Printf
	if server != nil && server.ErrorLog != nil {
		logf = server.ErrorLog.Printf
	}
	logf("http: panic serving %v: %v\n%s", c.RemoteAddr(), err, debug.Stack())
}

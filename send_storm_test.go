//go:build go1.25

package websocket

import (
	"runtime"
	"testing"
	"testing/synctest"
)

// After many goroutines have written to a connection at the same time it needs as little memory as
// before.
func TestMemoryAfterAStorm(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			const conns, writers, most = 100, 200, 1000
			storm := func(c *Conn, far *pipeConn) {
				room(far, 0)
				for range writers {
					go func() {
						if err := c.WriteMessage(TextMessage, []byte("storm")); err != nil {
							t.Error(err)
						}
					}()
				}
				synctest.Wait() // all of them wait
				room(far, 1<<20)
				synctest.Wait()
				far.take()
			}
			var list []*Conn
			var fars []*pipeConn
			for range conns {
				near, far := newPipe(t, 1<<20)
				c := newConn(near, server, nil, connOptions{})
				c.WriteMessage(TextMessage, []byte("first"))
				far.take()
				list, fars = append(list, c), append(fars, far)
			}
			near, far := newPipe(t, 1<<20)
			storm(newConn(near, server, nil, connOptions{}), far) // now the runtime has its goroutines
			before := heapInUse()
			for i, c := range list {
				storm(c, fars[i])
			}
			after := heapInUse()
			runtime.KeepAlive(list)
			if per := (int64(after) - int64(before)) / conns; per > most {
				t.Errorf("got %d bytes for each connection, want at most %d", per, most)
			}
		})
	})
}

//go:build go1.25

package websocket

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Goroutines that write to a full network at the same time, with different deadlines: the
// messages of those whose time has passed never arrive, and all others do.
func TestDeadlinesOfManyWriters(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		b.full()
		const n = 100
		results := make(chan error, n)
		var want []string
		for i := range n {
			var deadline time.Time
			if i%2 == 0 {
				deadline = time.Now().Add(time.Duration(1+i*37%n) * time.Second)
			} else {
				want = append(want, fmt.Sprint("1 message ", i))
			}
			b.c.SetWriteDeadline(deadline)
			go func() {
				err := b.c.WriteMessage(TextMessage, fmt.Append(nil, "message ", i))
				switch late := time.Since(deadline); {
				case deadline.IsZero() && err != nil:
					err = fmt.Errorf("message %d: got %v, want nil", i, err)
				case !deadline.IsZero() && (!isWriteTimeout(err) || late != 0):
					err = fmt.Errorf("message %d: got %v, %v after its deadline, want a write timeout at it", i, err, late)
				default:
					err = nil
				}
				results <- err
			}()
			synctest.Wait()
		}
		time.Sleep(n * time.Second)
		b.open()
		var errs []error
		for range n {
			if err := <-results; err != nil {
				errs = append(errs, err)
			}
		}
		if len(errs) > 0 {
			b.Errorf("%d of %d calls: %v, and so on", len(errs), n, errs[0])
		}
		b.want("without those whose time has passed", want...)
	})
}

// The same over the kernel's transports, in real time.
func TestDeadlinesOfManyWritersOverTheKernel(t *testing.T) {
	eachFull(t, connOptions{}, func(t *testing.T, c *Conn, peer *farEnd) {
		const n = 40
		type result struct {
			text string
			err  error
		}
		late, others := make(chan result, n/2), make(chan result, n/2)
		for i := range n / 2 {
			text := fmt.Sprint("message ", i)
			deadline := time.Now().Add(time.Duration(1+i*7%n/2) * time.Millisecond)
			go func() { late <- result{text, c.WriteControl(PingMessage, []byte(text), deadline)} }()
		}
		for i := range n / 2 {
			text := fmt.Sprint("message ", i)
			go func() { others <- result{text, c.WriteMessage(TextMessage, []byte(text))} }()
		}
		for range n / 2 {
			if r := <-late; !isWriteTimeout(r.err) {
				t.Fatalf("%s: got %v, want a write timeout", r.text, r.err)
			}
		}
		peer.drain(t)
		var want []string
		for range n / 2 {
			r := <-others
			if r.err != nil {
				t.Fatalf("%s: got %v, want nil", r.text, r.err)
			}
			want = append(want, "1 "+r.text)
		}
		peer.wantAll(t, "without those whose time has passed", want...)
		wantWrite(t, c, "later")
		peer.want(t, "the connection is good", "1 later")
	})
}

// batchResult is how a write in a batch ended.
type batchResult struct {
	err error
	at  time.Duration
}

// Frames that wait to leave together, of which the network has taken n bytes when the time of the
// first has come, and a second later that of the next: a message whose write has succeeded arrives, one whose
// write has timed out does not. The connection has failed only where the frame whose time has
// come has left in part.
func TestDeadlineWithinABatch(t *testing.T) {
	for n := 0; n <= 4*7; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			eachPipe(t, connOptions{}, func(b *bubble) {
				size := len(peerFrames(!b.server, textFrame("a")))
				b.full()
				results := map[string]chan batchResult{}
				begin := func(text string, deadline time.Duration) {
					b.c.SetWriteDeadline(time.Time{})
					if deadline > 0 {
						b.c.SetWriteDeadline(b.start.Add(deadline))
					}
					result := make(chan batchResult, 1)
					results[text] = result
					go func() {
						err := b.c.WriteMessage(TextMessage, []byte(text))
						result <- batchResult{err, time.Since(b.start)}
					}()
					synctest.Wait()
				}
				begin("a", 0) // the others wait meanwhile
				begin("b", time.Second)
				begin("c", 2*time.Second)
				begin("d", 0)
				begin("e", 0)
				b.room(size + n)
				time.Sleep(3 * time.Second)
				b.open()
				b.c.SetWriteDeadline(time.Time{})

				var frames []string
				for _, a := range b.take() {
					frames = append(frames, a.frame)
				}
				failed := false
				for _, text := range []string{"a", "b", "c", "d", "e"} {
					r := <-results[text]
					arrived := slices.Contains(frames, "1 "+text)
					switch {
					case r.err == nil && !arrived, isWriteTimeout(r.err) && arrived:
						b.Errorf("%s: got %v, and that it arrives: %t", text, r.err, arrived)
					case isWriteTimeout(r.err) && (text == "b" && r.at != time.Second || text == "c" && r.at != 2*time.Second || text > "c"):
						b.Errorf("%s: got a timeout at %v, want it at its own deadline", text, r.at)
					case r.err != nil && !isWriteTimeout(r.err):
						failed = true
					}
				}
				torn := n > 0 && n < size
				if failed && !torn {
					b.Errorf("%d bytes of frames of %d had left: got a connection that has failed, want a good one", n, size)
				}
				if !failed {
					wantWrite(b, b.c, "later")
					b.want("the connection is good", "1 later")
				}
			})
		})
	}
}

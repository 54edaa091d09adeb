//go:build go1.25

package websocket

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// A write deadline ends with the call that it bounds: a message that was put aside leaves when the
// network takes it, however late that is, and the connection is good.
func TestCorkedFramesOutliveTheirDeadline(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		b.full()
		b.c.Cork()
		b.c.SetWriteDeadline(time.Now().Add(time.Second))
		wantWrite(b, b.c, "a")
		wantWrite(b, b.c, "b")
		time.Sleep(time.Minute)
		b.open()
		b.want("the network is free", "1 a", "1 b")
		b.wantGood()
	})
}

// It has no effect either where it is shorter than the time for which a message is put aside, as on a
// machine that is busy.
func TestCorkedFramesOutliveAShortDeadline(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		for _, timeout := range []time.Duration{1, time.Microsecond, 100 * time.Microsecond, time.Millisecond} {
			b.c.Cork()
			b.c.SetWriteDeadline(time.Now().Add(timeout))
			wantWrite(b, b.c, fmt.Sprint(timeout))
			time.Sleep(time.Second)
			b.want("its time is over", fmt.Sprint("1 ", timeout))
			b.wantGood()
		}
	})
}

// The same of answers that wait for the end of a burst.
func TestAnswersOutliveTheirDeadline(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		for range 3 { // the first may show that it is worth while to wait
			b.send(textFrame("a"), textFrame("b"), textFrame("c"))
			for _, text := range []string{"a", "b", "c"} {
				wantRead(b, b.c, text)
				b.c.SetWriteDeadline(time.Now().Add(50 * time.Microsecond))
				wantWrite(b, b.c, text)
				if text == "b" {
					time.Sleep(time.Second)
				}
			}
			b.want("answers", "1 a", "1 b", "1 c")
			b.wantGood()
		}
	})
}

// wantGood checks that messages go both ways.
func (b *bubble) wantGood() {
	b.Helper()
	b.c.SetWriteDeadline(time.Time{})
	if err := b.c.Flush(); err != nil {
		b.Fatalf("Flush: got %v, want nil", err)
	}
	wantWrite(b, b.c, "good")
	b.want("messages to the peer", "1 good")
	b.send(textFrame("good"))
	wantRead(b, b.c, "good")
}

// A call whose time passes while the network takes nothing has done nothing to what others have put
// aside: that leaves, and what the call has written never does.
func TestDeadlineBehindCorkedFrames(t *testing.T) {
	t.Run("their time is not over", func(t *testing.T) {
		for _, w := range limitedWrites {
			t.Run(w.name, func(t *testing.T) {
				eachPipe(t, connOptions{}, func(b *bubble) {
					b.full()
					b.c.Cork()
					wantWrite(b, b.c, "a")
					b.c.Cork()
					err := w.write(b.c, time.Now().Add(10*time.Microsecond))
					time.Sleep(time.Minute)
					b.open()
					synctest.Wait()
					got := join(b.take())
					if err == nil { // it was put aside, too
						if len(got) <= len("1 a|") || got[:4] != "1 a|" {
							b.Errorf("got %.40q, want both messages", got)
						}
						return
					}
					wantWriteTimeout(b, w.name, err)
					if got != "1 a" {
						b.Errorf("got %.40q, want what was put aside before", got)
					}
					b.wantGood()
				})
			})
		}
	})
	t.Run("they are leaving", func(t *testing.T) {
		for _, w := range limitedWrites {
			t.Run(w.name, func(t *testing.T) {
				eachBubble(t, connOptions{}, func(b *bubble) {
					b.full()
					b.c.Cork()
					wantWrite(b, b.c, "a")
					time.Sleep(time.Minute)
					wantWriteTimeout(b, w.name, w.write(b.c, time.Now().Add(time.Second)))
					b.open()
					b.want("the network is free", "1 a")
					b.wantGood()
				})
			})
		}
	})
}

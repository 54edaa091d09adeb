//go:build go1.25

package websocket

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// burstOf returns n messages.
func burstOf(n int) (list []peerFrame) {
	for i := range n {
		list = append(list, textFrame(fmt.Sprint(i)))
	}
	return list
}

// serve answers each message with the same, after a time.
func (b *bubble) serve(work time.Duration) {
	go func() {
		for {
			messageType, p, err := b.c.ReadMessage()
			if err != nil {
				return
			}
			if work > 0 {
				time.Sleep(work)
			}
			if b.c.WriteMessage(messageType, p) != nil {
				return
			}
		}
	}()
	synctest.Wait()
}

// wantAt checks the frames that have come, and when, not more than late later.
func (b *bubble) wantAt(reason string, late time.Duration, want ...arrival) {
	b.Helper()
	got := b.take()
	ok := len(got) == len(want)
	for i := range got {
		ok = ok && got[i].frame == want[i].frame && got[i].at >= want[i].at && got[i].at <= want[i].at+late
	}
	if !ok {
		b.Errorf("%s: got %v, want %v, at most %v later", reason, got, want, late)
	}
}

// answersAfter are the answers of serve to a burst that came at the start.
func answersAfter(start, work time.Duration, n int) (list []arrival) {
	for i := range n {
		list = append(list, arrival{fmt.Sprint("1 ", i), start + time.Duration(i+1)*work})
	}
	return list
}

// A burst that is handled slowly is answered message by message, without any delay.
func TestSlowHandlerAnswersAtOnce(t *testing.T) {
	for _, work := range []time.Duration{time.Millisecond, 3 * time.Millisecond, time.Second} {
		t.Run(fmt.Sprint(work), func(t *testing.T) {
			eachBubble(t, connOptions{}, func(b *bubble) {
				const n = 10
				b.serve(work)
				for i := range 3 {
					start := time.Since(b.start)
					b.send(burstOf(n)...)
					time.Sleep((n + 1) * work)
					b.wantAt(fmt.Sprint("burst ", i), 0, answersAfter(start, work, n)...)
				}
			})
		})
	}
}

// A handler that was quick and becomes slow delays nobody's answer by more than a timer's time.
func TestHandlerThatBecomesSlow(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		const n, work = 10, 3 * time.Millisecond
		slow := false
		go func() {
			for {
				messageType, p, err := b.c.ReadMessage()
				if err != nil {
					return
				}
				if slow {
					time.Sleep(work)
				}
				b.c.WriteMessage(messageType, p)
			}
		}()
		for range 3 {
			b.send(burstOf(n)...)
			b.wantAt("quick", 0, answersAfter(0, 0, n)...)
		}
		slow = true
		for range 3 {
			start := time.Since(b.start)
			b.send(burstOf(n)...)
			time.Sleep((n + 1) * work)
			b.wantAt("slow", time.Millisecond, answersAfter(start, work, n)...)
		}
	})
}

// Bursts that are handled quickly are answered in fewer writes than there are answers, and no later
// than the burst's end, which is at once here.
func TestQuickHandlerAnswersInFewWrites(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		const n, bursts, warm = 10, 6, 2 // the first may show that it is worth while
		b.serve(0)
		before := b.writes()
		for i := range bursts {
			b.send(burstOf(n)...)
			b.wantAt(fmt.Sprint("burst ", i), 0, answersAfter(0, 0, n)...)
			if i < warm {
				before = b.writes()
			}
		}
		if got, answers := b.writes()-before, (bursts-warm)*n; got > answers/2 {
			b.Errorf("got %d writes for %d answers, want at most %d", got, answers, answers/2)
		}
	})
}

// A single message is answered at once, also after bursts, and though nobody reads on.
func TestSingleMessageIsAnsweredAtOnce(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		for range 3 {
			b.send(burstOf(10)...)
			for i := range 10 {
				wantRead(b, b.c, fmt.Sprint(i))
				wantWrite(b, b.c, fmt.Sprint(i))
			}
			b.wantAt("the burst is over", 0, answersAfter(0, 0, 10)...)
			b.send(textFrame("single"))
			wantRead(b, b.c, "single")
			wantWrite(b, b.c, "single")
			b.wantAt("single", 0, arrival{"1 single", 0})
		}
	})
}

// Pings that have come at once are answered at once: their pongs wait for the end of the burst, also
// where it brings no message.
func TestPongsOfABurstInFewWrites(t *testing.T) {
	for name, last := range map[string][]peerFrame{"pings": nil, "pings, then a message": {textFrame("a")}} {
		t.Run(name, func(t *testing.T) {
			eachBubble(t, connOptions{}, func(b *bubble) {
				go func() {
					for {
						if _, _, err := b.c.ReadMessage(); err != nil {
							return
						}
					}
				}()
				const n = 10
				var pings []peerFrame
				var pongs []arrival
				for i := range n {
					pings = append(pings, pingFrame(fmt.Sprint(i)))
					pongs = append(pongs, arrival{fmt.Sprint("10 ", i), 0})
				}
				before := b.writes()
				b.send(append(pings, last...)...)
				b.wantAt("the burst is over", 0, pongs...)
				if got := b.writes() - before; got > n/2 {
					b.Errorf("got %d writes for %d pongs, want at most %d", got, n, n/2)
				}
			})
		})
	}
}

// Over the kernel's transports and TLS they are one write as well, which is read at once.
func TestPongsOfABurstOverTheKernel(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		c, peer := l.conn(t, connOptions{})
		go c.ReadMessage()
		const n = 8 // which one read brings, over TLS too
		together := 0
		for range 5 {
			var pings []peerFrame
			for i := range n {
				pings = append(pings, pingFrame(fmt.Sprint(i)))
			}
			peer.send(t, pings...)
			for i := range n {
				peer.want(t, "pongs", fmt.Sprint("10 ", i))
				if i == 0 && peer.has(n-1) {
					together++
				}
			}
		}
		if together < 4 { // the network may have cut the pings in two
			t.Errorf("got all pongs at once in %d of 5 cases, want 4", together)
		}
		c.Close()
	})
}

// has reports whether n further frames have been read with those before.
func (f *farEnd) has(n int) bool {
	b := f.b
	for range n {
		frame, rest := cutFrame(b)
		if frame == "" {
			return false
		}
		b = rest
	}
	return true
}

// A pong does not wait for a handler that takes long.
func TestPongsDoNotWaitForAHandler(t *testing.T) {
	for name, tt := range map[string]struct {
		in   []peerFrame
		want []string
	}{
		"before the only message":  {[]peerFrame{pingFrame("p"), textFrame("a")}, []string{"10 p"}},
		"before several messages":  {[]peerFrame{pingFrame("p"), textFrame("a"), textFrame("b")}, []string{"10 p"}},
		"between several messages": {[]peerFrame{textFrame("a"), pingFrame("p"), textFrame("b"), textFrame("c")}, []string{"1 a", "10 p"}},
		"between fragments": {[]peerFrame{{false, opText, "a"}, pingFrame("p"), {true, opContinuation, "b"}, textFrame("c")},
			[]string{"10 p"}},
	} {
		t.Run(name, func(t *testing.T) {
			eachBubble(t, connOptions{}, func(b *bubble) {
				for range 3 { // quick bursts, so that it seems worth while to wait
					b.send(burstOf(10)...)
					for i := range 10 {
						wantRead(b, b.c, fmt.Sprint(i))
						wantWrite(b, b.c, fmt.Sprint(i))
					}
				}
				time.Sleep(time.Second)
				b.take()
				b.send(tt.in...)
				for range tt.want {
					_, p, err := b.c.ReadMessage()
					if err != nil {
						b.Fatal(err)
					}
					if len(tt.want) > 1 && string(p) == "a" {
						wantWrite(b, b.c, "a")
					}
				}
				time.Sleep(time.Millisecond) // much less than what the handler takes
				var got []string
				for _, a := range b.take() {
					got = append(got, a.frame)
				}
				if !slices.Equal(got, tt.want) {
					b.Errorf("got %q, want %q", got, tt.want)
				}
			})
		})
	}
}

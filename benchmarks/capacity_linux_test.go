package main

import (
	"net"
	"testing"
	"time"
)

// pacedTo is a paced load on one connection to a server that keeps so many frames back
// until it answers them all.
func pacedTo(t *testing.T, hold int) *pacedLoad {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() }) // and with it the server's goroutine
	go perConnection(func(nc net.Conn) {
		defer nc.Close()
		var in framer
		var held []byte
		for n := 0; in.read(nc) == nil; {
			for frame := in.next(); frame != nil; frame = in.next() {
				held = append(held, frame...)
				if n++; n%hold == 0 {
					nc.Write(held)
					held = held[:0]
				}
			}
		}
	})(ln)
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l, err := newPacedLoad([]net.Conn{nc}, appendClientFrame(nil, finBit|opBinary, payload(16)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

// Each message of the schedule is sent and answered, and its time is counted from its moment: it has what
// the server has kept it back for.
func TestPacedLoad(t *testing.T) {
	const perSecond, hold = 2000, 32
	var due []time.Duration
	for s := newSchedule(perSecond); len(due) < hold; {
		due = append(due, s.next())
	}
	last := due[hold-1]
	l := pacedTo(t, hold)
	for range 2 { // nothing is left of one use in the next
		times, carried, err := l.measure(perSecond, last)
		if err != nil || !carried || len(times) != hold {
			t.Fatalf("got %d times, carried %v, error %v, want %d, true, none", len(times), carried, err, hold)
		}
		for i, got := range times {
			if got < last-due[i] {
				t.Errorf("message %d: got %v, want at least the %v until the last was sent", i, got, last-due[i])
			}
		}
	}
}

// A load for whose messages there is no room any more is not carried, and what was sent is answered.
func TestPacedLoadNotCarried(t *testing.T) {
	l := pacedTo(t, maxInFlight)
	times, carried, err := l.measure(1e12, 1) // a thousand at once
	if err != nil || carried || len(times) != maxInFlight {
		t.Fatalf("got %d times, carried %v, error %v, want %d, false, none", len(times), carried, err, maxInFlight)
	}
}

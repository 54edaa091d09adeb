package websocket

import (
	"bytes"
	"testing"
)

// newOutbox returns an outbox whose buffer has the given size, in which the bytes from start to end count up from 0.
func newOutbox(size, start, end, reported int) *outbox {
	o := &outbox{buf: acquireBuffer(size), start: int32(start), end: int32(end), reported: int32(reported)}
	for i := range end - start {
		o.buf.b[start+i] = byte(i)
	}
	return o
}

// want checks what is in the outbox: bytes that count up from 0, and how many of them were reported.
func (o *outbox) want(t *testing.T, name string, start, n, reported int) {
	t.Helper()
	want := make([]byte, n)
	for i := range want {
		want[i] = byte(i)
	}
	if int(o.start) != start || o.len() != n || int(o.reported) != reported || !bytes.Equal(o.bytes(), want) {
		t.Errorf("%s: got % x from %d, reported %d, want %d bytes from %d, reported %d",
			name, o.bytes(), o.start, o.reported, n, start, reported)
	}
}

func TestOutboxFits(t *testing.T) {
	o := newOutbox(200, 10, 110, 0)
	for n, want := range map[int]bool{0: true, maxBufferSize - 100: true, maxBufferSize - 99: false} {
		if got := o.fits(n); got != want {
			t.Errorf("%d bytes behind %d: got %v, want %v", n, o.len(), got, want)
		}
	}
}

// What is in the outbox moves only where it has to, and what was reported moves with it.
func TestOutboxReserve(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		start, end, reported, n int
		moves                   bool
		wantReported            int
	}{
		{"room to the last byte", 10, 50, 30, 14, false, 30},
		{"one byte too little", 10, 50, 30, 15, true, 20},
		{"what was reported has left", 30, 50, 20, 64, true, 0},
		{"nothing was reported", 30, 50, 0, 64, true, 0},
	} {
		o := newOutbox(64, tt.start, tt.end, tt.reported)
		old, start := o.buf, tt.start
		o.reserve(tt.n)
		if moved := o.buf != old; moved != tt.moves || int(o.end)+tt.n > len(o.buf.b) {
			t.Errorf("%s: moved %v, room for %d bytes, want %v and %d", tt.name, moved, len(o.buf.b)-int(o.end), tt.moves, tt.n)
		}
		if tt.moves {
			start = 0
		}
		o.want(t, tt.name, start, tt.end-tt.start, tt.wantReported)
	}
}

// An empty outbox takes the buffer itself, and another one copies the bytes.
func TestOutboxTake(t *testing.T) {
	for _, tt := range []struct {
		name         string
		o            *outbox
		reported     int
		start, n     int // then
		wantReported int
		same         bool // the outbox has the buffer that it was given
	}{
		{"empty", &outbox{}, 3, 0, 6, 3, true},
		{"reported", newOutbox(64, 10, 14, 12), 3, 10, 10, 17, false},
		{"not reported", newOutbox(64, 10, 14, 12), 0, 10, 10, 12, false},
	} {
		given := acquireBuffer(100)
		for i := range 6 {
			given.b[i] = byte(tt.o.len() + i)
		}
		tt.o.take(given, 6, int32(tt.reported))
		if (tt.o.buf == given) != tt.same {
			t.Errorf("%s: has the buffer that it was given: %v, want %v", tt.name, tt.o.buf == given, tt.same)
		}
		tt.o.want(t, tt.name, tt.start, tt.n, tt.wantReported)
	}
}

package websocket

import (
	"runtime"
	"testing"
	"time"
)

// fragmentTransport sends the same fragment for ever, after a first one.
type fragmentTransport struct {
	nullTransport
	first, rest []byte
	sent        int
}

func (f *fragmentTransport) Read(p []byte) (n int, err error) {
	for n < len(p) {
		unit := f.rest
		if f.sent < len(f.first) {
			unit = f.first
		}
		at := f.sent
		if f.sent >= len(f.first) {
			at = (f.sent - len(f.first)) % len(f.rest)
		}
		m := copy(p[n:], unit[at:])
		n += m
		f.sent += m
	}
	return n, nil
}

func (f *fragmentTransport) Write(p []byte) (int, error)      { return len(p), nil }
func (f *fragmentTransport) SetWriteDeadline(time.Time) error { return nil }

// A message of fragments without end ends at the limit, whatever the reader does,
// and takes memory of the order of the limit at most.
func TestEndlessFragments(t *testing.T) {
	const limit = 1 << 20
	for _, tt := range []struct {
		name, first, rest string
		want              error
	}{
		{"of one byte", "02 81 00000000 61", "00 81 00000000 61", ErrReadLimit},
		{"empty", "02 80 00000000", "00 80 00000000", errEmptyFragments},
		{"empty after a byte", "02 81 00000000 61", "00 80 00000000", errEmptyFragments},
	} {
		for name, read := range map[string]func(c *Conn) error{
			"ReadMessage": func(c *Conn) error {
				_, _, err := c.ReadMessage()
				return err
			},
			"NextReader, and what is discarded": func(c *Conn) error {
				if _, _, err := c.NextReader(); err != nil {
					return err
				}
				_, _, err := c.NextReader()
				return err
			},
		} {
			t.Run(tt.name+" by "+name, func(t *testing.T) {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				f := &fragmentTransport{first: unhex(t, tt.first), rest: unhex(t, tt.rest)}
				c := newConn(f, true, nil, connOptions{readLimit: limit})
				if err := read(c); err != tt.want {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				runtime.ReadMemStats(&after)
				if got := after.TotalAlloc - before.TotalAlloc; got > 8*limit {
					t.Errorf("got %d bytes allocated, want the order of the limit of %d", got, limit)
				}
			})
		}
	}
}

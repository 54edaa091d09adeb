package websocket

import (
	"compress/flate"
	"errors"
	"sync"
	"sync/atomic"
)

const (
	// defaultCompressionLevel is gorilla/websocket's: the fastest.
	defaultCompressionLevel = flate.BestSpeed

	// takeoverLevel is the level of messages that share a window. Since Go 1.27
	// compress/flate looks for no matches in a message of less than 128 bytes at levels
	// 1 to 6, and empties the window. Of the other levels 7 is the fastest.
	takeoverLevel = 7
)

func validCompressionLevel(level int) bool {
	return flate.HuffmanOnly <= level && level <= flate.BestCompression
}

// deflater compresses messages, one after the other.
type deflater struct {
	loan  loan
	w     *flate.Writer
	level int
	bits  int  // of the window that it may use
	stale bool // it starts anew with the next message, with no window
	since int  // bytes of input since it started anew

	out  []byte // what has come of the current message
	most int    // bytes that out may have; 0 means any
}

// errGrown ends the compression of a message that does not become shorter by it.
var errGrown = errors.New("websocket: BUG: message grows by compression")

// Write is for compress/flate.
func (d *deflater) Write(p []byte) (int, error) {
	if d.most > 0 && len(d.out)+len(p) > d.most {
		return 0, errGrown
	}
	d.out = append(d.out, p...)
	return len(p), nil
}

var deflaterPools [flate.BestCompression - flate.HuffmanOnly + 1]sync.Pool // by level

// acquireDeflater returns a deflater with an empty window.
func acquireDeflater(level, bits int) *deflater {
	d, _ := deflaterPools[level-flate.HuffmanOnly].Get().(*deflater)
	if d == nil {
		d = &deflater{level: level}
		d.w, _ = flate.NewWriter(d, level) // fails for a bad level only
	}
	d.loan.begin()
	d.bits = bits
	d.stale = true
	return d
}

func releaseDeflater(d *deflater) {
	d.loan.end()
	d.out = nil
	deflaterPools[d.level-flate.HuffmanOnly].Put(d)
}

// begin prepares for a message, whose first part has length bytes. What comes of it is appended to
// out, which becomes d.out.
func (d *deflater) begin(out []byte, most, length int) {
	d.out, d.most = out, most
	if d.stale || d.bits < maxWindowBits && d.since+length > 1<<d.bits {
		d.restart()
	}
}

// restart forgets the window.
func (d *deflater) restart() {
	d.w.Reset(d)
	d.stale, d.since = false, 0
}

// write compresses p. compress/flate has no window but the largest: where a smaller one
// is agreed on, the compression starts anew each time that it would be exceeded.
func (d *deflater) write(p []byte) error {
	for len(p) > 0 {
		n := len(p)
		if d.bits < maxWindowBits {
			if d.since == 1<<d.bits {
				if err := d.w.Flush(); err != nil {
					return err
				}
				d.restart()
			}
			n = min(n, 1<<d.bits-d.since)
		}
		if _, err := d.w.Write(p[:n]); err != nil {
			return err
		}
		d.since += n
		p = p[n:]
	}
	return nil
}

// end ends the message, without the bytes that the receiver puts there again.
func (d *deflater) end() error {
	if err := d.w.Flush(); err != nil {
		return err
	}
	d.out = d.out[:len(d.out)-len(deflateTail)]
	return nil
}

// message compresses a whole message. It appends the result to out, unless that would
// not be shorter than the message: then ok is false, and the window is forgotten.
func (d *deflater) message(out, p []byte) (b []byte, ok bool) {
	d.begin(out, len(out)+len(p)-1+len(deflateTail), len(p))
	err := d.write(p)
	if err == nil {
		err = d.end()
	}
	b, d.out = d.out, nil
	d.stale = err != nil
	return b, err == nil
}

// loan makes sure that a codec is given back once, and counts those that are not.
type loan bool

// codecsOnLoan is the number of codecs that were acquired and not released.
var codecsOnLoan atomic.Int64

func (l *loan) begin() {
	*l = true
	codecsOnLoan.Add(1)
}

func (l *loan) end() {
	if !*l {
		panic("websocket: BUG: release of a codec that was released before")
	}
	*l = false
	codecsOnLoan.Add(-1)
}

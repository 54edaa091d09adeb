package websocket

import (
	"fmt"
	"math"
	"time"
)

// burst is what the reader knows of the burst that it handles: messages that have come at once.
// Only where the messages of the burst before were handled quickly do the answers wait for the
// end of this one, to leave together.
type burst struct {
	start    uint32 // when its first message was delivered, in microseconds
	messages uint16 // that were delivered; 0 between bursts
	quick    bool   // the last one was handled quickly
	never    bool   // WriteThrough is set
}

// quickMessage is how many microseconds each message of a burst may take at most.
const quickMessage = 50

// clock is a time in microseconds for differences.
func clock() uint32 { return uint32(time.Since(clockStart) / time.Microsecond) }

var clockStart = time.Now()

// delivered takes note of a message that was delivered, behind which there is more of the burst
// or not, and reports whether what is written now is to wait for the end of the burst.
func (b *burst) delivered(more bool) (wait bool) {
	if b.never || !more && b.messages == 0 {
		return false
	}
	if b.messages == 0 {
		b.start = clock()
	}
	if b.messages < math.MaxUint16 {
		b.messages++
	}
	return more && b.quick
}

// end takes note that all messages have been handled.
func (b *burst) end() {
	if b.messages > 0 {
		b.quick = clock()-b.start <= quickMessage*uint32(b.messages)
		b.messages = 0
	}
}

// setMoreInput takes note that the current message was delivered.
func (c *Conn) setMoreInput() {
	if c.burst.delivered(c.recv.hasFrame()) {
		c.send.lock.state.Or(moreInput)
	} else {
		c.send.lock.clear(moreInput)
	}
}

// beforeWaiting has replies and corked frames leave, because the reader has handled all that has
// come, and gives back what of the buffer is not needed for that.
func (c *Conn) beforeWaiting() error {
	c.recv.shrink()
	c.burst.end()
	c.send.lock.clear(moreInput)
	c.send.tryFlush()
	if err := c.send.lock.lost(); err != nil {
		// Do not wrap the error: errors.Is(err, os.ErrDeadlineExceeded) would make callers
		// retry the read.
		return c.stop(phaseFailed, fmt.Errorf("websocket: messages that waited to be sent are lost: %v", err))
	}
	return nil
}

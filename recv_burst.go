package websocket

import (
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

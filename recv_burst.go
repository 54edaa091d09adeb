package websocket

import (
	"math"
	"time"
)

// burst is the reader's record of a burst: messages that were received together. If the program
// handled the messages of the last burst quickly, its answers to this one wait for the end of the
// burst, to leave together.
type burst struct {
	start    uint32 // the time when the first message was delivered, in microseconds
	messages uint16 // the number of messages delivered; 0 between bursts
	quick    bool   // the last burst was handled quickly
	never    bool   // WriteThrough is set
}

// quickMessage is the time in microseconds within which a message is handled quickly, on average.
const quickMessage = 50

// clock returns a time in microseconds, of which only differences count.
func clock() uint32 { return uint32(time.Since(clockStart) / time.Microsecond) }

var clockStart = time.Now()

// delivered records that a message was delivered. more says whether the burst goes on. It reports
// whether messages written now should wait for the end of the burst.
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

// end records that all messages of the burst were handled.
func (b *burst) end() {
	if b.messages > 0 {
		b.quick = clock()-b.start <= quickMessage*uint32(b.messages)
		b.messages = 0
	}
}

package websocket

import (
	"sync"
	"time"
)

// owed is a control frame that the reader owes the peer and that waits for the wire, or
// the rest of one.
type owed struct {
	op    opcode
	frame [maxUnit]byte
	rest  []byte // of frame, what has not left
}

var owedPool = sync.Pool{New: func() any { return new(owed) }}

// reply has the control frame written as soon as the wire is free, by this or
// another goroutine. It never waits for another writer. Only who reads may call it. A
// newer pong replaces one that waits: "the endpoint MAY elect to send a Pong frame for
// only the most recently processed Ping frame" (RFC 6455, 5.5.3). Nothing replaces a close.
func (s *send) reply(op opcode, payload []byte, deadline time.Time) {
	o := owedPool.Get().(*owed)
	o.op = op
	o.rest = s.append(o.frame[:0], &frame{fin: true, opcode: op, payload: payload})
	old := s.wire.pending.Swap(o)
	if old != nil && old.op == opClose {
		old = s.wire.pending.Swap(old) // unless o is being sent already, before it
	}
	if old != nil {
		owedPool.Put(old)
	}
	s.retry(deadline)
}

// retry has what is owed written, unless somebody is writing anyhow.
func (s *send) retry(deadline time.Time) {
	if s.wire.tryTake(wantWire) {
		b := until(deadline)
		s.release(&b)
	}
}

// await waits until what is owed has been written, and what is held, or the deadline has passed.
func (s *send) await(deadline time.Time) {
	b := until(deadline)
	if (s.wire.pending.Load() != nil || s.flags.has(holding)) && s.take(wantWire, &b) == nil {
		s.flush(&b, false)
		s.release(&b)
	}
}

// settle writes what is owed. Where the bound ends that within a frame, nothing is
// lost: the rest goes out before anything else. So a pong that a slow peer does not
// take fails nobody's connection. Who calls it has the wire.
func (s *send) settle(b *bound) error {
	for {
		o := s.takeOwed()
		if o == nil {
			return nil
		}
		s.applyBound(b)
		n, err := s.t.Write(o.rest)
		s.endBound(b)
		if err != nil && s.resumable(err) {
			o.rest = o.rest[n:]
			s.ownBounds().torn = o
			s.flags.put(owing, true)
			return b.waitError()
		}
		if err != nil {
			s.fail(err)
		}
		s.settled(o)
	}
}

// takeOwed returns what is to be written first: the rest of a frame that has left in part, or
// one that is pending and is not to be held, or nil.
func (s *send) takeOwed() *owed {
	if s.flags.has(owing) {
		return s.bounds.torn
	}
	for {
		o := s.wire.pending.Swap(nil)
		switch {
		case o == nil:
			return nil
		case s.failed() != nil: // nothing more is to leave
			owedPool.Put(o)
		case s.flags.has(holding) && s.holdOwed(o):
			owedPool.Put(o)
		default:
			if o.op == opClose {
				s.fail(ErrCloseSent)
			}
			return o
		}
	}
}

// settled gives up the owed frame. Until then there is one that has left in part: a reader that
// comes by must not wait for it as long as for the first attempt.
func (s *send) settled(o *owed) {
	if s.flags.has(owing) {
		s.bounds.torn = nil
		s.flags.put(owing, false)
	}
	owedPool.Put(o)
}

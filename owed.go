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
// another goroutine. It never waits for another writer. A newer pong replaces one
// that waits: "the endpoint MAY elect to send a Pong frame for only the most
// recently processed Ping frame" (RFC 6455, 5.5.3). Nothing replaces a close.
func (s *send) reply(op opcode, payload []byte, deadline time.Time) {
	o := owedPool.Get().(*owed)
	o.op = op
	o.rest = s.append(o.frame[:0], &frame{fin: true, opcode: op, payload: payload})

	s.wire.mu.Lock()
	old := s.wire.pending.Load()
	if old != nil && old.op == opClose {
		old = o
	} else {
		s.wire.pending.Store(o)
	}
	s.wire.mu.Unlock()
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
		if s.torn == nil {
			if s.wire.pending.Load() == nil {
				return nil
			}
			s.wire.mu.Lock()
			s.torn = s.wire.pending.Swap(nil)
			s.wire.mu.Unlock()
			if s.failed() != nil { // nothing more is to leave
				s.settled()
				continue
			}
			if s.flags.has(holding) {
				s.holdOwed()
				continue
			}
			if s.torn.op == opClose {
				s.fail(ErrCloseSent)
			}
		}
		s.applyBound(b)
		n, err := s.t.Write(s.torn.rest)
		s.endBound(b)
		if err != nil && s.resumable(err) {
			s.torn.rest = s.torn.rest[n:]
			s.flags.put(owing, true)
			return b.waitError()
		}
		if err != nil {
			s.fail(err)
		}
		s.settled()
	}
}

// settled gives up the owed frame.
func (s *send) settled() {
	owedPool.Put(s.torn)
	s.torn = nil
	s.flags.put(owing, false)
}

package websocket

import "sync"

// slot is encoded frames that no caller waits for: the reader's replies, keepalive's pings, and
// the small ones of a stream. Goroutines put them there without the write lock; the holder of the
// lock moves them to the outbox. The bit posted of the lock says whether there are any.
type slot struct {
	mu       sync.Mutex
	buf      *buffer // nil where the slot is empty
	n        int32   // bytes
	pong     int32   // where the pong at the end begins, or n
	reported int32   // the end of the last frame that was reported as written
	accepts  accepts // what may still be put here
}

// accepts says which frames the slot takes.
type accepts uint8

const (
	allFrames accepts = iota
	replies           // a caller's Close frame is being written
	noFrames          // the last one is a Close frame, which nothing follows
)

// maxReplies is up to where pongs are added; then each takes the place of the one before: "the
// endpoint MAY elect to send a Pong frame for only the most recently processed Ping frame" (RFC
// 6455, 5.5.3).
const maxReplies = defaultBufferSize - 2*maxControlSize

// reply puts a control frame into the slot. It waits for nothing; any goroutine may call it.
// tryFlush must follow before the reader waits or returns.
func (s *send) reply(op opcode, payload []byte) {
	b := own(&s.slot)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.accepts == noFrames || s.lock.has(ended) {
		return
	}
	if op != opClose && b.n > maxReplies {
		b.n = b.pong
	}
	begin := b.n
	s.addLocked(b, &frame{fin: true, opcode: op, payload: payload})
	switch op {
	case opClose:
		b.accepts = noFrames
	case opPong:
		b.pong = begin
	}
}

// post sends a frame that no caller waits for. A small frame goes into the slot. If it is large,
// or the slot is full, post waits for the lock within the limit, and puts it into the outbox. If
// wait is set, post then also waits for the network: until the limit where a write can be continued,
// else until the write is done. A data frame must not be posted while a message is open.
func (s *send) post(f *frame, l *limit, wait bool) error {
	if err := l.ended(); err != nil {
		return err
	}
	for !s.tryPost(f) {
		if _, err := s.lock.acquire(lockFrame, nil, l); err != nil {
			return err
		}
		err := s.takePosted()
		if err == nil {
			err = l.ended()
		}
		if err == nil && (s.lock.has(posted) || !s.outbox.fits(f.size())) {
			s.startFlusher() // which makes room, also if the outbox is corked
			continue
		}
		if err == nil {
			s.cork(f)
			if !s.link.resumable() {
				l = &noLimit // a timeout would fail the connection
			}
			if wait {
				s.flush(l) // its error is that of the next call
			}
		}
		s.unlock()
		return err
	}
	s.tryFlush()
	return nil
}

// tryPost puts a frame into the slot. It returns false if there is no room, or the connection
// has ended.
func (s *send) tryPost(f *frame) bool {
	if f.size() > maxCopied {
		return false
	}
	b := own(&s.slot)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.accepts != allFrames || s.lock.has(ended) || int(b.n)+f.size()+2*maxControlSize > maxBufferSize {
		return false
	}
	s.addLocked(b, f)
	b.reported = b.n
	return true
}

func (s *send) addLocked(b *slot, f *frame) {
	b.buf = growBuffer(b.buf, 0, int(b.n), f.size())
	b.n = int32(len(f.append(b.buf.b[:b.n], s.outbox.client)))
	b.pong = b.n
	s.lock.state.Or(posted)
}

// takePosted moves the frames in the slot to the outbox, if there is room, and returns the reason
// why no further frame may be written, or nil. The caller holds the lock.
func (s *send) takePosted() error {
	switch {
	case !s.lock.has(posted):
	case s.lock.err() == ErrCloseSent: // nothing more is to leave
		s.dropPosted()
	default:
		s.movePosted()
	}
	return s.lock.err()
}

// dropPosted empties the slot.
func (s *send) dropPosted() {
	b := s.slot.Load()
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf != nil {
		releaseBuffer(b.buf)
	}
	s.clearSlot(b)
}

// clearSlot takes note that the frames in the slot are gone. The caller holds b.mu.
func (s *send) clearSlot(b *slot) {
	b.buf, b.n, b.pong, b.reported = nil, 0, 0, 0
	s.lock.clear(posted)
}

func (s *send) movePosted() {
	b, o := s.slot.Load(), &s.outbox
	b.mu.Lock()
	defer b.mu.Unlock()
	if !o.fits(int(b.n)) {
		return
	}
	s.lock.state.Or(unsent) // before posted is cleared: Close looks at both
	o.take(b.buf, b.n, b.reported)
	if b.accepts == noFrames {
		// "The application MUST NOT send any more data frames after sending a Close
		// frame" (RFC 6455, 5.5.1).
		s.lock.end(phaseClosed, ErrCloseSent, nil)
	}
	s.clearSlot(b)
}

// hasReported reports whether there are frames in the slot that were reported as written.
func (s *send) hasReported() bool {
	b := s.slot.Load()
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reported > 0
}

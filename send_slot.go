package websocket

import "sync"

// slot holds encoded frames that no caller waits for: the reader's replies, keepalive's pings, and
// the small frames of a stream. A goroutine adds a frame without the write lock; the lock holder
// moves the frames to the outbox. The lock's bit statePosted is set while the slot is not empty.
type slot struct {
	mu       sync.Mutex
	buf      *buffer // nil where the slot is empty
	n        int32   // bytes
	pong     int32   // the start of the pong that is the last frame, or n
	reported int32   // the end of the last frame that was reported as written
	accepts  accepts
}

// accepts says which frames may be added to the slot.
type accepts uint8

const (
	acceptsAll     accepts = iota
	acceptsReplies         // a caller's Close frame is being written
	acceptsNothing         // the last frame is a Close frame, and nothing follows it
)

// maxReplies is the fill level up to which pongs are added; beyond it a pong replaces the pong
// before it: "the endpoint MAY elect to send a Pong frame for only the most recently processed Ping
// frame" (RFC 6455, 5.5.3).
const maxReplies = defaultBufferSize - 2*maxControlSize

// postReply adds a control frame to the slot. It does not block; any goroutine may call it. The
// reader must call tryFlush before it waits or returns.
func (s *send) postReply(op opcode, payload []byte) {
	b := own(&s.slot)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.accepts == acceptsNothing || s.lock.has(stateEnded) {
		return
	}
	if op != opClose && b.n > maxReplies {
		b.n = b.pong
	}
	begin := b.n
	s.addLocked(b, &frame{fin: true, opcode: op, payload: payload})
	switch op {
	case opClose:
		b.accepts = acceptsNothing
	case opPong:
		b.pong = begin
	}
}

// post sends a frame that no caller waits for. A small frame goes into the slot. If the frame is
// large, or the slot is full, post waits for the lock within the limit and adds the frame to the
// outbox. If wait is set, it then also waits for the transport: within the limit if a write can be
// continued after a timeout, else until the write is done. A data frame must not be posted while a
// message is open.
func (s *send) post(f *frame, l *limit, wait bool) error {
	if err := l.ended(); err != nil {
		return err
	}
	for !s.tryPost(f) {
		if _, err := s.lock.acquire(modeFrame, nil, l); err != nil {
			return err
		}
		err := s.takePosted()
		if err == nil {
			err = l.ended()
		}
		if err == nil && (s.lock.has(statePosted) || !s.outbox.fits(f.size())) {
			s.startFlusher() // makes room, even if the outbox is corked
			continue
		}
		if err == nil {
			s.cork(f)
			if !s.link.resumable() {
				l = &noLimit // a timeout would fail the connection
			}
			if wait {
				s.flush(l) // the next call returns its error
			}
		}
		s.unlock()
		return err
	}
	s.tryFlush()
	return nil
}

// tryPost adds a frame to the slot. It returns false if there is no room, or the direction has
// ended.
func (s *send) tryPost(f *frame) bool {
	if f.size() > maxCopied {
		return false
	}
	b := own(&s.slot)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.accepts != acceptsAll || s.lock.has(stateEnded) || int(b.n)+f.size()+2*maxControlSize > maxBufferSize {
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
	s.lock.state.Or(statePosted)
}

// takePosted moves the frames in the slot to the outbox, if there is room. It returns the error
// because of which no further frame may be written, or nil. The caller holds the lock.
func (s *send) takePosted() error {
	switch {
	case !s.lock.has(statePosted):
	case s.lock.phase() == phaseClosed: // nothing may follow the Close frame
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

// clearSlot forgets the slot's frames and its buffer, which has another owner. The caller holds b.mu.
func (s *send) clearSlot(b *slot) {
	b.buf, b.n, b.pong, b.reported = nil, 0, 0, 0
	s.lock.clear(statePosted)
}

func (s *send) movePosted() {
	b, o := s.slot.Load(), &s.outbox
	b.mu.Lock()
	defer b.mu.Unlock()
	if !o.fits(int(b.n)) {
		return
	}
	s.lock.state.Or(stateUnsent) // before statePosted is cleared: Close looks at both
	o.take(b.buf, b.n, b.reported)
	if b.accepts == acceptsNothing {
		// "The application MUST NOT send any more data frames after sending a Close
		// frame" (RFC 6455, 5.5.1).
		s.lock.end(phaseClosed, ErrCloseSent, nil)
	}
	s.clearSlot(b)
}

// hasReported reports whether the slot holds frames that were reported as written.
func (s *send) hasReported() bool {
	b := s.slot.Load()
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reported > 0
}

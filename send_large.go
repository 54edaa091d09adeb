package websocket

// Frames that are too large to be copied into the outbox.

// writeMasked writes a large frame of a client, masking it piece by piece in the outbox, which is empty.
func (s *send) writeMasked(f *frame, l *limit) error {
	o, h, payload := &s.outbox, f.header(true), f.payload
	pos := 0
	for begin := int32(0); ; begin = -1 { // a later piece cannot be taken back
		o.reserve(maxBufferSize)
		if begin == 0 {
			o.end = int32(len(h.append(o.buf.b[:0])))
		}
		space := o.buf.b[o.end:]
		part := payload[:min(len(payload), len(space))]
		pos = maskCopy(space[:len(part)], part, h.key, pos)
		o.end += int32(len(part))
		payload = payload[len(part):]
		if err := s.flushOrTakeBack(begin, l); err != nil || len(payload) == 0 {
			return err
		}
	}
}

// writeLarge writes a large frame from the caller's memory; the outbox is empty.
func (s *send) writeLarge(f *frame, l *limit) error {
	var space [maxHeaderSize]byte
	head, payload := space[:0], f.encoded
	if payload == nil {
		h := f.header(false)
		head, payload = h.append(head), f.payload
	}
	s.setLimit(l)
	n, err := s.writePieces(head, payload)
	timedOut, err := s.clearLimit(l, err)
	if timedOut && n == 0 {
		return l.err()
	}
	if err != nil {
		err = s.fail(err)
	}
	return err
}

// maxPiece is the largest part of a frame in one Write on a connection with keepalive, which looks for progress.
const maxPiece = 256 << 10

// writePieces writes a large frame; with keepalive, in pieces that show progress.
func (s *send) writePieces(head, payload []byte) (n int, err error) {
	p := s.progress()
	if p == nil {
		return s.link.writeFrame(head, payload)
	}
	piece := payload[:min(len(payload), maxPiece)]
	p.begin()
	n, err = s.link.writeFrame(head, piece)
	p.end(n)
	for err == nil && len(piece) < len(payload) {
		payload = payload[len(piece):]
		piece = payload[:min(len(payload), maxPiece)]
		var m int
		p.begin()
		m, err = s.link.Write(piece)
		p.end(m)
		n += m
	}
	return n, err
}

// progress returns the record of writes that keepalive looks at, or nil.
func (s *send) progress() *progress {
	if d := s.delayed.Load(); d != nil {
		return d.progress
	}
	return nil
}

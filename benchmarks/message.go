package main

import "errors"

// messageParser finds the messages in a stream of frames from a server.
type messageParser struct {
	rest       []byte // of a frame that is not complete
	message    []byte // of a message that is not complete
	compressed bool   // that message is
}

var errClosed = errors.New("the server has sent a Close frame")

// parse takes in b and calls f for each message that ends in it. The payload is valid during the call.
func (m *messageParser) parse(b []byte, f func(payload []byte, compressed bool) error) error {
	if len(m.rest) > 0 {
		m.rest = append(m.rest, b...)
		b = m.rest
	}
	for {
		h, size := parseFrameHeader(b)
		if size == 0 || uint64(len(b)-size) < h.length {
			m.rest = append(m.rest[:0], b...)
			return nil
		}
		payload := b[size:][:h.length]
		b = b[size:][h.length:]
		if err := m.frame(h, payload, f); err != nil {
			return err
		}
	}
}

func (m *messageParser) frame(h frameHeader, payload []byte, f func(payload []byte, compressed bool) error) error {
	switch {
	case h.opcode() == opClose:
		return errClosed
	case h.opcode() > opClose:
		return nil
	case h.opcode() != opContinuation:
		m.message, m.compressed = m.message[:0], h.first&rsv1Bit != 0
		if h.fin() {
			return f(payload, m.compressed)
		}
	}
	if m.message = append(m.message, payload...); !h.fin() {
		return nil
	}
	return f(m.message, m.compressed)
}

package websocket

// message is the data message that is being received. It belongs to the holder of the read lock.
type message struct {
	state    messageState
	kind     opcode         // opText or opBinary
	kept     *[]byte        // see keep
	inflater *inflater      // of a compressed message, until its end has come out
	reader   *messageReader // of the claimed message, or of the last one that was
}

// messageState says where the current message is.
type messageState uint8

const (
	// betweenMessages: the program has got the last message to its end, and no header of another has come.
	betweenMessages messageState = iota

	// begun: its first header has come. It is for the next call of ReadMessage or NextReader.
	begun

	// claimed: a reader from NextReader has it, message.reader.
	claimed

	// discarded: the rest of it is not wanted.
	discarded
)

// keep keeps p, what ReadMessage had of the current message when it was interrupted.
func (m *message) keep(p []byte) {
	if len(p) == 0 {
		return
	}
	if m.kept == nil {
		m.kept = new([]byte)
	}
	*m.kept = p
}

// bytes returns what is kept, or nil.
func (m *message) bytes() []byte {
	if m.kept == nil {
		return nil
	}
	return *m.kept
}

// drop gives up what is kept.
func (m *message) drop() {
	if m.kept != nil {
		*m.kept = nil
	}
}

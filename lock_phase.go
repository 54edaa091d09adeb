package websocket

// phase says how far one direction of a connection has come. Each ends on its own: after a Close
// frame was sent, what the peer still sends is read, and after a write has failed, what it had sent
// before. A phase is followed by later ones only.
type phase uint8

const (
	// phaseOpen: frames are read, or written.
	phaseOpen phase = iota

	// phaseDiscarded: Shutdown has discarded a message. It goes on reading; the program does not.
	phaseDiscarded

	// phaseClosed: a Close frame has come, or is in the outbox or has left. It is the last frame of
	// its direction (RFC 6455, 5.5.1). When both are closed, so is the connection, and cleanly (7.1.4).
	phaseClosed

	// phaseFailed: an error has ended the direction without a Close frame (7.1.7), or Close has.
	phaseFailed
)

// ending is how a direction has ended.
type ending struct {
	phase phase
	err   error // of every later call
	lost  error // why frames that were reported as written have not left, or nil
}

// end moves the direction of the lock to a later phase, in which calls return err, also those that
// wait for the lock. If it is closed or has failed already, all that can be new is that frames are
// lost.
func (k *lock) end(p phase, err, lost error) {
	for {
		old, e := k.ending.Load(), ending{p, err, lost}
		if old != nil && old.phase >= phaseClosed {
			e.phase, e.err = old.phase, old.err
			if old.lost != nil {
				e.lost = old.lost
			}
		}
		if k.ending.CompareAndSwap(old, &e) {
			break
		}
	}
	k.state.Or(ended)
	k.wakeYielders()
}

// replaceErr gives a direction that has ended another error.
func (k *lock) replaceErr(err error) {
	for {
		old := k.ending.Load()
		e := *old
		e.err = err
		if k.ending.CompareAndSwap(old, &e) {
			return
		}
	}
}

// phase returns how far the direction has come.
func (k *lock) phase() phase {
	if e := k.ending.Load(); e != nil {
		return e.phase
	}
	return phaseOpen
}

// err returns the error of all calls from now on, or nil.
func (k *lock) err() error {
	if e := k.ending.Load(); e != nil {
		return e.err
	}
	return nil
}

// lost returns the error because of which frames that were reported as written have not left,
// or nil.
func (k *lock) lost() error {
	if e := k.ending.Load(); e != nil {
		return e.lost
	}
	return nil
}

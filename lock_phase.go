package websocket

// phase is the progress of one direction of a connection. Each direction ends on its own: after
// a Close frame was sent, or a write has failed, frames of the peer can still be read. The last three
// phases are final.
type phase uint8

const (
	// phaseOpen: frames are read, or written.
	phaseOpen phase = iota

	// phaseDiscarded, of the incoming direction: Shutdown has discarded a message. It goes on reading; the
	// program's reads fail.
	phaseDiscarded

	// phaseDraining, of the outgoing direction: the program has called Close, which sends the frames that
	// were accepted before.
	phaseDraining

	// phaseClosed: a Close frame was received, or is in the outbox, or was sent. It is the last frame of
	// its direction (RFC 6455, 5.5.1). When both directions are closed, so is the connection, and
	// cleanly (7.1.4).
	phaseClosed

	// phaseFailed: an error has ended the direction without a Close frame (7.1.7), or Close has.
	phaseFailed
)

// ending describes how a direction has ended.
type ending struct {
	phase phase
	err   error // of every later call
	lost  error // the reason why frames that were reported as written have not left, or messages are not read; or nil
}

// end moves the direction to a phase in which all calls return err, including those that wait for
// the lock. If the phase is final already, only lost is recorded.
func (k *lock) end(p phase, err, lost error) {
	for {
		old, e := k.ending.Load(), ending{p, err, lost}
		if old != nil && old.lost != nil {
			e.lost = old.lost
		}
		if old != nil && old.phase >= phaseDraining {
			e.phase, e.err = old.phase, old.err
		}
		if k.ending.CompareAndSwap(old, &e) {
			break
		}
	}
	k.state.Or(stateEnded)
	k.wakeYielders()
}

// replace changes the phase and the error of a direction that has ended.
func (k *lock) replace(p phase, err error) {
	for {
		old := k.ending.Load()
		e := *old
		e.phase, e.err = p, err
		if k.ending.CompareAndSwap(old, &e) {
			return
		}
	}
}

// phase returns the phase of the direction.
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

// lost returns the reason why frames that were reported as written have not left, or messages are not read; or nil.
func (k *lock) lost() error {
	if e := k.ending.Load(); e != nil {
		return e.lost
	}
	return nil
}

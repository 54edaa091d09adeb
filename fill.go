package websocket

import "io"

const (
	// shortScratch is the size of the scratch array where one read more costs no system call,
	// and where nothing waits in it but the beginning of a unit.
	shortScratch = 48

	// maxEmptyReads bounds the reads of a transport that return neither bytes nor
	// an error.
	maxEmptyReads = 100
)

// fill waits for bytes and appends them to r.b, which is less than a unit and lies in
// scratch. It is for a transport that cannot be asked without waiting (TLS, wrappers). That
// is read into scratch, or into the caller's room; only when that came back full within a
// frame, and more must follow, is a buffer borrowed for the rest.
func (r *recv) fill(t transport) error {
	space := r.room()
	r.inRoom = space != nil
	switch {
	case r.inRoom:
	case r.full && (len(r.b) > 0 || r.remaining > 0):
		r.buf = acquireClass(r.class)
		space = r.buf.b
		r.b = space[:copy(space, r.b)]
	case r.keeps:
		space = r.ownScratch(len(r.b)+1, shortScratch)
	default:
		space = r.ownScratch(len(r.b)+1, maxControlFrame)
	}
	n, err := receive(t, space[len(r.b):])
	if err != nil {
		r.drain()
		return err
	}
	r.b = space[:len(r.b)+n]
	r.full = len(r.b) == len(space)
	return nil
}

// drain gives the borrowed buffer back, having moved to scratch what is left of
// r.b: the beginning of a unit at most.
func (r *recv) drain() {
	if len(r.b) > 0 {
		scratch := r.ownScratch(len(r.b), shortScratch)
		r.b = scratch[:copy(scratch, r.b)]
	} else {
		r.b = nil
	}
	if r.buf != nil {
		releaseBuffer(r.buf)
		r.buf = nil
	}
	r.inRoom = false
}

// ownScratch returns the scratch array, allocating it on first use: of the size, or of a whole
// control frame where that is less than the n bytes that are wanted.
func (r *recv) ownScratch(n, size int) []byte {
	if n > size {
		size = maxControlFrame
	}
	if r.scratch == nil || len(r.scratch.b) < size {
		grown := &buffer{b: make([]byte, size)}
		if r.scratch != nil {
			copy(grown.b, r.scratch.b)
		}
		r.scratch = grown
	}
	return r.scratch.b
}

// useRoom has the next read of an idle connection go into room, where the message shall
// be. It is unmasked there, on its way to where it begins. A connection of the kernel, for
// which a buffer is borrowed that is in the processor's cache, does so only if what has
// come lately was large and would have fitted. For any other, this stands for the scratch
// array, and a few kilobytes do.
func (r *recv) useRoom(room []byte, kernel bool) {
	most := maxBufferSize
	if !kernel {
		most = minBufferSize
	} else if r.class == r.leastClass || len(room) < classSize(int(r.class))/2+maxHeaderSize {
		return
	}
	r.b, r.inRoom = room[:0:min(len(room), most)], true
}

// room returns the memory of the caller that is to be read into, or nil. What is left of it
// after a control frame may be too little.
func (r *recv) room() []byte {
	if !r.inRoom || len(r.b) > 0 || cap(r.b) < maxControlFrame {
		return nil
	}
	return r.b[:cap(r.b)]
}

// leaveRoom takes what is not consumed out of the memory of the caller.
func (r *recv) leaveRoom() {
	switch {
	case !r.inRoom:
	case len(r.b) == 0:
		r.b, r.inRoom = nil, false
	default:
		buf := acquireBuffer(len(r.b))
		r.b = buf.b[:copy(buf.b, r.b)]
		r.buf, r.inRoom = buf, false
	}
}

// receive reads from the transport, at least one byte or an error.
func receive(t transport, p []byte) (n int, err error) {
	for range maxEmptyReads {
		if n, err = t.Read(p); n > 0 {
			return n, nil // an error that came with bytes comes again
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// adapt chooses the class of the next buffer after a read has filled n bytes of one. What
// comes of a message that has begun before says nothing about how small messages are.
func (r *recv) adapt(n int) {
	switch size := classSize(int(r.class)); {
	case n == size:
		r.class = min(r.class+1, maxBufferClass)
	case n < size/4 && r.class > r.leastClass && !r.open:
		r.class--
	}
}

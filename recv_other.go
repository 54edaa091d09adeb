//go:build !unix

package websocket

import "syscall"

// rawConn returns nil: descriptors are read without waiting on unix only.
func rawConn(transport) syscall.RawConn { return nil }

func (r *recv) tryRead(*rawReader) func(fd uintptr) (done bool) {
	panic("websocket: BUG: no raw connection on this system")
}

func (r *rawReader) err() error {
	panic("websocket: BUG: no raw connection on this system")
}

func newRawWriter() *rawWriter {
	panic("websocket: BUG: no raw connection on this system")
}

func rawError(_ *link, _ string, err error) error { return err }

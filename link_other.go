//go:build !unix

package websocket

import "syscall"

// rawConn returns nil: descriptors are used without waiting on unix only.
func rawConn(transport) syscall.RawConn { return nil }

func newRawWriter() *rawWriter {
	panic("websocket: BUG: no raw connection on this system")
}

func (l *link) rawError(_ string, err error) error { return err }

func readRaw(uintptr, []byte) (n int, wait bool) {
	panic("websocket: BUG: no raw connection on this system")
}

func (r *rawReader) err() error {
	panic("websocket: BUG: no raw connection on this system")
}

//go:build !unix

package websocket

func (r *recv) tryRead(*rawReader) func(fd uintptr) (done bool) {
	panic("websocket: BUG: no raw connection on this system")
}

func (r *rawReader) err() error {
	panic("websocket: BUG: no raw connection on this system")
}

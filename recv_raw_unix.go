//go:build unix

package websocket

import (
	"io"
	"syscall"
)

// tryRead returns the function that reads once, without waiting, and returns false where there
// was nothing. It is one function, since it runs deep in the stack.
func (r *recv) tryRead(raw *rawReader) func(fd uintptr) (done bool) {
	return func(fd uintptr) bool {
		buf := acquireBuffer(readBufferSize)
		had := copy(buf.b, r.b) // the beginning of a header or a control frame at most
		n, err := syscall.Read(int(fd), buf.b[had:])
		for err == syscall.EINTR {
			n, err = syscall.Read(int(fd), buf.b[had:])
		}
		if n > 0 {
			if r.buf != nil {
				releaseBuffer(r.buf)
			}
			r.b, r.buf = buf.b[:had+n], buf
			raw.n = n
			return true
		}
		releaseBuffer(buf)
		raw.n = 0
		if errno, ok := err.(syscall.Errno); ok {
			raw.n = -int(errno)
		}
		return err != syscall.EAGAIN
	}
}

// err returns the error of the last read.
func (r *rawReader) err() error {
	switch {
	case r.n > 0:
		return nil
	case r.n == 0:
		return io.EOF
	}
	return syscall.Errno(-r.n)
}

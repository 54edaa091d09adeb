//go:build unix

package websocket

import (
	"io"
	"net"
	"os"
	"syscall"
)

// rawConn returns access to the descriptor of t, or nil. Only the concrete types
// of package net qualify: a wrapper that offers SyscallConn may hold bytes of its own.
func rawConn(t transport) syscall.RawConn {
	var c syscall.RawConn
	var err error
	switch t := t.(type) {
	case *net.TCPConn:
		c, err = t.SyscallConn()
	case *net.UnixConn:
		c, err = t.SyscallConn()
	}
	if err != nil {
		return nil
	}
	return c
}

// tryRead returns the function that reads once, without waiting, and returns false where there
// was nothing. It is one function, since it runs deep in the stack.
func (r *recv) tryRead(raw *rawReader) func(fd uintptr) (done bool) {
	return func(fd uintptr) bool {
		var buf *buffer
		space := r.room()
		if space == nil {
			buf = acquireClass(r.class)
			space = buf.b
		}
		held := copy(space, r.b) // the beginning of a unit at most
		n, err := syscall.Read(int(fd), space[held:])
		for err == syscall.EINTR {
			n, err = syscall.Read(int(fd), space[held:])
		}
		if n > 0 {
			r.b, r.buf, r.inRoom = space[:held+n], buf, buf == nil
			r.adapt(held + n)
			raw.n = n
			return true
		}
		if buf != nil {
			releaseBuffer(buf)
		}
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

// newRawWriter returns a rawWriter that writes the bytes that the kernel takes now, which may be
// none.
func newRawWriter() *rawWriter {
	w := new(rawWriter)
	w.write = func(fd uintptr) {
		n, err := syscall.Write(int(fd), w.p)
		for err == syscall.EINTR {
			n, err = syscall.Write(int(fd), w.p)
		}
		w.n = max(n, 0)
		if err != syscall.EAGAIN {
			w.err = err
		}
	}
	return w
}

// rawError gives an error of a descriptor the form that net.Conn gives it. The operation
// is "read" or "write".
func rawError(l *link, operation string, err error) error {
	if op, ok := err.(*net.OpError); ok {
		op.Op = operation // not "raw-read": it reads like any other error of the connection
		return op
	}
	errno, ok := err.(syscall.Errno)
	if !ok {
		return err
	}
	c := l.netConn()
	return &net.OpError{
		Op:     operation,
		Net:    c.LocalAddr().Network(),
		Source: c.LocalAddr(),
		Addr:   c.RemoteAddr(),
		Err:    os.NewSyscallError(operation, errno),
	}
}

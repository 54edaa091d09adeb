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
func (l *link) rawError(operation string, err error) error {
	switch e := err.(type) {
	case *net.OpError:
		e.Op = operation // not "raw-read": it reads like any other error of the connection
	case syscall.Errno:
		return l.opError(operation, os.NewSyscallError(operation, e))
	}
	return err
}

// readRaw reads from a descriptor without waiting. n is 0 at the end, and a negative error number after an error;
// wait is true where there is nothing yet.
func readRaw(fd uintptr, p []byte) (n int, wait bool) {
	n, err := syscall.Read(int(fd), p)
	for err == syscall.EINTR {
		n, err = syscall.Read(int(fd), p)
	}
	if errno, ok := err.(syscall.Errno); ok {
		return -int(errno), errno == syscall.EAGAIN
	}
	return n, false
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

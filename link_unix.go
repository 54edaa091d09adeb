//go:build unix

package websocket

import (
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

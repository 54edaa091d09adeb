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

// readDescriptor reads what is there. again means that there was nothing yet.
func readDescriptor(fd uintptr, p []byte) (n int, again bool, err error) {
	for {
		n, err = syscall.Read(int(fd), p)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return 0, true, nil
		case err == nil && n == 0:
			return 0, false, io.EOF
		default:
			return n, false, err
		}
	}
}

// writeDescriptor writes what the kernel takes now, which may be nothing.
func writeDescriptor(fd uintptr, p []byte) (n int, err error) {
	for {
		n, err = syscall.Write(int(fd), p)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return 0, nil
		default:
			return max(n, 0), err
		}
	}
}

// rawError gives an error of a descriptor the form that net.Conn gives it. The operation
// is "read" or "write".
func rawError(t transport, operation string, err error) error {
	if op, ok := err.(*net.OpError); ok {
		op.Op = operation // not "raw-read": it reads like any other error of the connection
		return op
	}
	errno, ok := err.(syscall.Errno)
	if !ok {
		return err
	}
	c := t.(net.Conn)
	return &net.OpError{
		Op:     operation,
		Net:    c.LocalAddr().Network(),
		Source: c.LocalAddr(),
		Addr:   c.RemoteAddr(),
		Err:    os.NewSyscallError(operation, errno),
	}
}

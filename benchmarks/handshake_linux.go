package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// handshaker connects to a server again and again. As the load, it does not sleep
// where it has a core of its own.
type handshaker struct {
	address unix.SockaddrInet4
	source  *unix.SockaddrInet4 // nil: the system chooses
	request []byte
	in      [4 << 10]byte
}

func newHandshaker(address string) (*handshaker, error) {
	tcp, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return nil, err
	}
	h := &handshaker{request: request(false)}
	h.address.Port = tcp.Port
	copy(h.address.Addr[:], tcp.IP.To4())
	return h, nil
}

// from lets h connect from an address of its own: so many connections in a second can
// use up the ports of one, as a port rests after its connection has ended.
func (h *handshaker) from(address net.IP) {
	h.source = new(unix.SockaddrInet4)
	copy(h.source.Addr[:], address.To4())
}

// bind chooses the address, and leaves the port to connect, which can take one that
// connections to other addresses have.
func (h *handshaker) bind(fd int) error {
	if h.source == nil {
		return nil
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	return os.NewSyscallError("bind", unix.Bind(fd, h.source))
}

// once connects, upgrades and closes, and waits until the server has closed, too.
func (h *handshaker) once() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := h.bind(fd); err != nil {
		return err
	}
	if err := unix.Connect(fd, &h.address); err != nil {
		return os.NewSyscallError("connect", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	if _, err := unix.Write(fd, h.request); err != nil {
		return os.NewSyscallError("write", err)
	}
	n := 0
	for !bytes.HasSuffix(h.in[:n], endOfHeader) {
		k, err := h.read(fd, h.in[n:])
		if err != nil {
			return err
		}
		if k == 0 {
			return errBadHandshake
		}
		n += k
	}
	if !bytes.HasPrefix(h.in[:n], switching) {
		return errBadHandshake
	}
	if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
		return err
	}
	for { // a server may send a Close frame before it closes
		if k, err := h.read(fd, h.in[:]); k == 0 || err != nil {
			return err
		}
	}
}

// read waits for bytes, or the end.
func (h *handshaker) read(fd int, p []byte) (int, error) {
	begun := time.Now()
	for tries := 0; ; tries++ {
		n, err := unix.Read(fd, p)
		switch {
		case err == nil:
			return n, nil
		case err != unix.EAGAIN && err != unix.EINTR:
			return 0, os.NewSyscallError("read", err)
		case tries%1024 == 1023 && time.Since(begun) > setup:
			return 0, errors.New("the server does not answer")
		case cores.patience() > 0:
			poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			unix.Poll(poll, cores.patience())
		default:
			runtime.Gosched()
		}
	}
}

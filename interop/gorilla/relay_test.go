package gorilla

import (
	"io"
	"net"
	"sync"
)

// relay passes connections on to a target, and records what each end sends. Both
// ends keep real TCP connections: libraries treat these in a way of their own.
type relay struct {
	net.Listener
	target string
	links  []*link
	done   sync.WaitGroup
}

// link is one connection through a relay. What was sent is for the time after
// relay.wait.
type link struct {
	near, far        net.Conn
	toServer, toPeer []byte
}

func newRelay(target string) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{Listener: l, target: target}
	r.done.Add(1)
	go r.accept() // ends with the listener
	return r, nil
}

func (r *relay) accept() {
	defer r.done.Done()
	for {
		near, err := r.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", r.target)
		if err != nil {
			near.Close()
			continue
		}
		l := &link{near: near, far: far}
		r.links = append(r.links, l)
		r.done.Add(1)
		go func() { // ends when both ends have closed
			defer r.done.Done()
			l.run()
		}()
	}
}

// wait returns when all ends have closed their connections.
func (r *relay) wait() {
	r.Close()
	r.done.Wait()
}

func (l *link) run() {
	var both sync.WaitGroup
	both.Go(func() { l.toServer = pass(l.far, l.near) })
	both.Go(func() { l.toPeer = pass(l.near, l.far) })
	both.Wait()
	l.near.Close()
	l.far.Close()
}

// pass copies until the end of from, which it then makes the end of to, and
// returns all that came. That to does not take it any more changes nothing: what
// was sent was sent.
func pass(to, from net.Conn) (sent []byte) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		sent = append(sent, b[:n]...)
		if n > 0 {
			_, _ = to.Write(b[:n])
		}
		if err != nil {
			break
		}
	}
	_ = to.(*net.TCPConn).CloseWrite()
	return sent
}

// discard reads until the end, so that nothing blocks the other end.
func discard(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

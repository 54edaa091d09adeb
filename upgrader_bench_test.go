//go:build go1.25

package websocket

import (
	"bufio"
	"net"
	"net/http"
	"testing"
)

type upRW struct {
	http.ResponseWriter
	c  net.Conn
	rw *bufio.ReadWriter
	h  http.Header
}

func (u *upRW) Header() http.Header                          { return u.h }
func (u *upRW) Write(p []byte) (int, error)                  { return len(p), nil }
func (u *upRW) WriteHeader(int)                              {}
func (u *upRW) Hijack() (net.Conn, *bufio.ReadWriter, error) { return u.c, u.rw, nil }

func BenchmarkUpgrade(b *testing.B) {
	r, _ := http.NewRequest("GET", "http://a.example/", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-Websocket-Version", "13")
	r.Header.Set("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	c := &loopTransport{}
	w := &upRW{c: c, rw: bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c)), h: http.Header{}}
	var u Upgrader
	b.ReportAllocs()
	for b.Loop() {
		if _, err := u.Upgrade(w, r, nil); err != nil {
			b.Fatal(err)
		}
	}
}

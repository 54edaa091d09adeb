package api

import (
	"net"
	"net/http"
	"net/url"

	"github.com/gorilla/websocket"
)

// message is what the deprecated functions send and receive.
type message struct{ Text string }

// echoJSON is a handler as one wrote it before there was an Upgrader.
func echoJSON(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") == "http://evil.example" {
		http.Error(w, "Origin not allowed", http.StatusForbidden)
		return
	}
	//lint:ignore SA1019 there are programs that use it
	ws, err := websocket.Upgrade(w, r, nil, 1024, 1024)
	if _, ok := err.(websocket.HandshakeError); ok {
		http.Error(w, "not a websocket handshake", http.StatusBadRequest)
		return
	} else if err != nil {
		return
	}
	defer ws.Close()
	//lint:ignore SA1019 there are programs that use it
	if tcp, ok := ws.UnderlyingConn().(*net.TCPConn); ok {
		tcp.SetNoDelay(true)
	}
	for {
		var m message
		//lint:ignore SA1019 there are programs that use it
		if err := websocket.ReadJSON(ws, &m); err != nil {
			return
		}
		//lint:ignore SA1019 there are programs that use it
		if err := websocket.WriteJSON(ws, m); err != nil {
			return
		}
	}
}

// connect is a client as one wrote it before there was a Dialer.
func connect(rawURL string, header http.Header) (*websocket.Conn, *http.Response, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, nil, err
	}
	nc, err := net.Dial("tcp", u.Host)
	if err != nil {
		return nil, nil, err
	}
	//lint:ignore SA1019 there are programs that use it
	return websocket.NewClient(nc, u, header, 1024, 1024)
}

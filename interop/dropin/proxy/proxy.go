// Package proxy passes WebSocket connections on to another server, message by
// message, with their subprotocols and their close codes.
package proxy

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// Proxy is a handler that passes connections on to the backend.
type Proxy struct {
	Backend  *url.URL
	Dialer   *websocket.Dialer   // nil means the default one
	Upgrader *websocket.Upgrader // nil means one that leaves the check of the origin to the backend
}

var passOrigin = &websocket.Upgrader{
	ReadBufferSize:  1024,
	WriteBufferSize: 1024,
	CheckOrigin:     func(*http.Request) bool { return true },
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		http.Error(w, "a WebSocket, please", http.StatusBadRequest)
		return
	}
	backend, resp, err := p.Dialer.DialContext(r.Context(), p.Backend.String(), passedOn(r))
	if err != nil {
		refuse(w, resp)
		return
	}
	defer backend.Close()

	header := http.Header{}
	if protocol := backend.Subprotocol(); protocol != "" {
		header.Set("Sec-Websocket-Protocol", protocol)
	}
	for _, cookie := range resp.Header.Values("Set-Cookie") {
		header.Add("Set-Cookie", cookie)
	}
	upgrader := p.Upgrader
	if upgrader == nil {
		upgrader = passOrigin
	}
	client, err := upgrader.Upgrade(w, r, header)
	if err != nil {
		return
	}
	defer client.Close()

	passPings(backend, client)
	passPings(client, backend)
	done := make(chan struct{}, 2)
	go func() { pass(backend, client); done <- struct{}{} }()
	go func() { pass(client, backend); done <- struct{}{} }()
	<-done
	<-done
}

// passedOn is what the backend is to know of the request.
func passedOn(r *http.Request) http.Header {
	h := http.Header{}
	for _, name := range []string{"Origin", "Cookie", "Authorization"} {
		for _, v := range r.Header.Values(name) {
			h.Add(name, v)
		}
	}
	if protocols := websocket.Subprotocols(r); len(protocols) > 0 {
		h.Set("Sec-WebSocket-Protocol", strings.Join(protocols, ", "))
	}
	h.Set("X-Forwarded-Host", r.Host)
	return h
}

// refuse answers as the backend has answered.
func refuse(w http.ResponseWriter, resp *http.Response) {
	if resp == nil {
		http.Error(w, http.StatusText(http.StatusBadGateway), http.StatusBadGateway)
		return
	}
	for name, values := range resp.Header {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(resp.StatusCode)
	io.Copy(w, resp.Body)
}

func passPings(to, from *websocket.Conn) {
	from.SetPingHandler(func(data string) error {
		return to.WriteControl(websocket.PingMessage, []byte(data), time.Now().Add(time.Second))
	})
	from.SetPongHandler(func(data string) error {
		return to.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
	})
}

// pass copies messages until from ends, and ends to in the same way.
func pass(to, from *websocket.Conn) {
	// The answer to a Close frame is for the other end to give.
	from.SetCloseHandler(func(int, string) error { return nil })
	for {
		messageType, r, err := from.NextReader()
		if err != nil {
			passClose(to, err)
			return
		}
		w, err := to.NextWriter(messageType)
		if err != nil {
			from.Close()
			return
		}
		if _, err := io.Copy(w, r); err != nil {
			passClose(to, err)
			return
		}
		if err := w.Close(); err != nil {
			from.Close()
			return
		}
	}
}

func passClose(to *websocket.Conn, err error) {
	e, ok := err.(*websocket.CloseError)
	if !ok || e.Code == websocket.CloseAbnormalClosure {
		to.Close() // without a Close frame, as it came
		return
	}
	message := websocket.FormatCloseMessage(e.Code, e.Text)
	if err := to.WriteControl(websocket.CloseMessage, message, time.Now().Add(time.Second)); err != nil && err != websocket.ErrCloseSent {
		to.Close()
	}
}

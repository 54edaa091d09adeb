// Service counts words for its clients. It is written for gorilla/websocket.
package main

import (
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

const patience = 30 * time.Second

type question struct {
	Text string `json:"text"`
}

type answer struct {
	Words int `json:"words"`
}

var upgrader = websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024}

// serve answers the questions of one client until its connection ends.
func serve(w http.ResponseWriter, r *http.Request) {
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		log.Printf("%s: %v", r.RemoteAddr, err) // and has been answered
		return
	}
	defer c.Close()
	c.SetReadLimit(64 << 10)
	for {
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return
		}
		var q question
		if err := c.ReadJSON(&q); err != nil {
			if websocket.IsUnexpectedCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway) {
				log.Printf("%s: %v", r.RemoteAddr, err)
			}
			return
		}
		if err := c.SetWriteDeadline(time.Now().Add(patience)); err != nil {
			return
		}
		if err := c.WriteJSON(answer{Words: len(strings.Fields(q.Text))}); err != nil {
			log.Printf("%s: %v", r.RemoteAddr, err)
			return
		}
	}
}

func main() {
	http.HandleFunc("GET /words", serve)
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", nil))
}

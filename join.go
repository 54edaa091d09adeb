package websocket

import (
	"io"
	"strings"
)

// JoinMessages returns a reader of all messages that follow, one after the other,
// each with term appended. It returns the connection's read error in the end, never
// io.EOF. It is for one goroutine at a time, and nothing else may read meanwhile.
func JoinMessages(c *Conn, term string) io.Reader {
	return &joinReader{c: c, term: term}
}

type joinReader struct {
	c       *Conn
	term    string
	message io.Reader // with term; nil between messages
}

func (r *joinReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if r.message == nil {
			_, message, err := r.c.NextReader()
			if err != nil {
				return 0, err
			}
			r.message = io.MultiReader(message, strings.NewReader(r.term))
		}
		n, err := r.message.Read(p)
		if err == io.EOF {
			r.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

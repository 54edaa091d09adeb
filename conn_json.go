package websocket

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"sync"
)

// jsonPool holds buffers in which messages are encoded and decoded.
var jsonPool = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func releaseJSON(b *bytes.Buffer) {
	if b.Cap() <= maxBufferSize {
		b.Reset()
		jsonPool.Put(b)
	}
}

// WriteJSON sends the JSON encoding of v and a newline as a text message, as
// WriteMessage does. If v cannot be encoded, the error is that of encoding/json, and
// nothing is sent.
func (c *Conn) WriteJSON(v any) error {
	b := jsonPool.Get().(*bytes.Buffer)
	defer releaseJSON(b)
	if err := json.NewEncoder(b).Encode(v); err != nil {
		return err
	}
	return c.WriteMessage(TextMessage, b.Bytes())
}

// ReadJSON reads the next message, text or binary, and stores the JSON value at its
// start in v, as json.Unmarshal does; the rest of the message is ignored. For an
// empty or unfinished value the error is io.ErrUnexpectedEOF. After an error of
// encoding/json the message has been read, and the connection can still be used. Other
// errors are as for ReadMessage.
func (c *Conn) ReadJSON(v any) error {
	if err := c.awaitMessage(); err != nil {
		return err
	}
	return c.readJSON(v)
}

// readJSON is ReadJSON for a read that awaitMessage has begun.
func (c *Conn) readJSON(v any) error {
	b := jsonPool.Get().(*bytes.Buffer)
	defer releaseJSON(b)
	_, p, err := c.readMessage(b.AvailableBuffer())
	*b = *bytes.NewBuffer(p) // p may have outgrown b
	if err != nil {
		return err
	}
	if err = json.Unmarshal(p, v); err != nil && !json.Valid(p) {
		// Something follows the value, or the value is malformed or unfinished.
		err = json.NewDecoder(b).Decode(v)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// WriteJSON sends v as c.WriteJSON does.
//
// Deprecated: Use c.WriteJSON.
func WriteJSON(c *Conn, v any) error { return c.WriteJSON(v) }

// ReadJSON reads into v as c.ReadJSON does.
//
// Deprecated: Use c.ReadJSON.
func ReadJSON(c *Conn, v any) error { return c.ReadJSON(v) }

// JoinMessages returns a reader of all following messages, one after the other, each with
// term appended. It ends with the connection's read error, never with io.EOF. One goroutine
// at a time may use the reader, and nothing else may read from c meanwhile.
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

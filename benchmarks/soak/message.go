package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/switching-protocols/websocket"
)

// The kinds of messages. Each is numbered by itself, from 1.
const (
	kindRequest = 'r' // from the client: to be sent back as it is
	kindLast    = 'l' // the same, numbered as a request: the server is to close the connection then
	kindPush    = 'p' // from the server
)

// A message begins with its kind, its number in 7 hexadecimal digits, and in another 8 the checksum of the connection's
// ID, the type of the message, the 8 bytes before, and the bytes that follow. So it is text, if the rest is.
const (
	headerSize = 16
	sumAt      = 8
	maxSize    = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(id uint64, messageType int, p []byte) uint32 {
	var seed [9]byte
	binary.BigEndian.PutUint64(seed[:], id)
	seed[8] = byte(messageType)
	sum := crc32.Checksum(seed[:], castagnoli)
	sum = crc32.Update(sum, castagnoli, p[:sumAt])
	return crc32.Update(sum, castagnoli, p[headerSize:])
}

// appendMessage appends a message with the body to b, which is empty.
func appendMessage(b []byte, id uint64, kind byte, number uint64, messageType int, body []byte) []byte {
	b = fmt.Appendf(b, "%c%07x%08x", kind, number, 0)
	b = append(b, body...)
	copy(b[sumAt:headerSize], fmt.Sprintf("%08x", checksum(id, messageType, b)))
	return b
}

// parseMessage returns the kind and the number of a message of the connection, whose content it checks.
func parseMessage(id uint64, messageType int, p []byte) (kind byte, number uint64, err error) {
	if len(p) < headerSize {
		return 0, 0, fmt.Errorf("corrupt: %d bytes", len(p))
	}
	kind = p[0]
	number, err = strconv.ParseUint(string(p[1:sumAt]), 16, 64)
	sum, sumErr := strconv.ParseUint(string(p[sumAt:headerSize]), 16, 32)
	if err != nil || sumErr != nil {
		return 0, 0, fmt.Errorf("corrupt: header %q", p[:headerSize])
	}
	if uint32(sum) != checksum(id, messageType, p) {
		return 0, 0, fmt.Errorf("corrupt: message %q of %d bytes has a wrong checksum", p[:sumAt], len(p))
	}
	return kind, number, nil
}

// tally is how many messages were sent or received.
type tally struct{ Requests, Echoes, Pushes uint64 }

func (t *tally) add(u tally) {
	t.Requests += u.Requests
	t.Echoes += u.Echoes
	t.Pushes += u.Pushes
}

func (t *tally) sum() uint64 { return t.Requests + t.Echoes + t.Pushes }

// receive checks the message p: its content, and that it is the next one of its kind. The count to which it belongs
// follows from the kind and the side that receives.
func (t *tally) receive(id uint64, server bool, messageType int, p []byte) (kind byte, err error) {
	kind, number, err := parseMessage(id, messageType, p)
	if err != nil {
		return 0, err
	}
	var count *uint64
	switch asked := kind == kindRequest || kind == kindLast; {
	case asked && server:
		count = &t.Requests
	case asked:
		count = &t.Echoes
	case kind == kindPush && !server:
		count = &t.Pushes
	default:
		return 0, fmt.Errorf("corrupt: a message of kind %q", kind)
	}
	if number != *count+1 {
		return 0, fmt.Errorf("out of order: message %c%d after %d", kind, number, *count)
	}
	*count++
	return kind, nil
}

// bodies are bytes of which the bodies of messages are parts. Nobody changes them.
type bodies struct{ text, binary []byte }

func newBodies(seed uint64) *bodies {
	words := []string{"frame ", "message ", "größer ", "接続 ", "close ", "\"id\": ", "0123456789 ", "🙂 ", "the ", "and "}
	r := rand.New(rand.NewPCG(seed, 0))
	b := new(bodies)
	for len(b.text) < 2*maxSize {
		b.text = append(b.text, words[r.IntN(len(words))]...)
		b.text = binary.AppendUvarint(b.text, r.Uint64N(utf8.RuneSelf))
	}
	for len(b.binary) < 2*maxSize {
		b.binary = binary.BigEndian.AppendUint64(b.binary, r.Uint64())
	}
	return b
}

// take returns a type of message, and a body for a message of that type and about that size.
func (b *bodies) take(r *rand.Rand, size int) (messageType int, body []byte) {
	from := r.IntN(maxSize)
	to := from + max(size-headerSize, 0)
	if r.IntN(2) == 0 {
		return websocket.BinaryMessage, b.binary[from:to]
	}
	for !utf8.RuneStart(b.text[from]) {
		from++
	}
	for to = max(from, to); !utf8.RuneStart(b.text[to]); {
		to--
	}
	return websocket.TextMessage, b.text[from:to]
}

// size returns the size of a message: mostly below a kilobyte, and one in a thousand of 128 KiB to a megabyte.
func size(r *rand.Rand) int {
	switch n := r.IntN(1000); {
	case n < 900:
		return between(r, headerSize, 1<<10)
	case n < 990:
		return between(r, 1<<10, 16<<10)
	case n < 999:
		return between(r, 16<<10, 128<<10)
	default:
		return between(r, 128<<10, maxSize)
	}
}

// between returns a number from low to high, whose logarithm is distributed evenly.
func between(r *rand.Rand, low, high float64) int {
	return int(low * math.Pow(high/low, r.Float64()))
}

// writeMessage writes a message, if pieces is not nil with NextWriter and in pieces of random sizes.
func writeMessage(c *websocket.Conn, messageType int, p []byte, pieces *rand.Rand) error {
	if pieces == nil {
		return c.WriteMessage(messageType, p)
	}
	w, err := c.NextWriter(messageType)
	for err == nil && len(p) > 0 {
		n := 1 + pieces.IntN(len(p))
		_, err = w.Write(p[:n])
		p = p[n:]
	}
	if err != nil {
		return err
	}
	return w.Close()
}

// readMessage reads a message in one of the ways that the package has, whose number is way. A NextReader calls pause
// within the message. The memory of buf
// may be used.
func readMessage(c *websocket.Conn, way uint64, buf []byte, pause func()) (messageType int, p []byte, err error) {
	switch way % 4 {
	case 0:
		return c.ReadMessage()
	case 1:
		return c.AppendMessage(buf[:0])
	case 2:
		return readWithTimeouts(c)
	}
	messageType, r, err := c.NextReader()
	if err != nil {
		return 0, nil, err
	}
	var piece [700]byte
	for p = buf[:0]; ; {
		n, err := r.Read(piece[:])
		p = append(p, piece[:n]...)
		switch {
		case err == io.EOF:
			return messageType, p, nil
		case err != nil:
			return 0, nil, err
		}
		pause()
	}
}

// readWithTimeouts reads a message, and begins again each time a deadline or a context has ended the read.
func readWithTimeouts(c *websocket.Conn) (messageType int, p []byte, err error) {
	for {
		c.SetReadDeadline(time.Now().Add(readTimeout))
		messageType, p, err = c.ReadMessage()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return messageType, p, err
		}
		c.SetReadDeadline(time.Time{})
		ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
		messageType, p, err = c.ReadMessageContext(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			return messageType, p, err
		}
	}
}

const readTimeout = time.Second

// reuse returns the memory of p for the next message, unless it is so large that a connection should not keep it.
func reuse(p []byte) []byte {
	const most = 4 << 10
	if cap(p) > most {
		return nil
	}
	return p[:0]
}

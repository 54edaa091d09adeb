package compression

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"unicode/utf8"

	"github.com/switching-protocols/websocket"
)

// A message is one that this library sends, and gets back.
type message struct {
	messageType int
	data        []byte
	fragmented  bool

	compressible bool // to less than half of its size
	repeats      bool // the message before it, which is random
}

// text returns text of n bytes that compresses well, and has characters of one byte and
// of several.
func text(n int) []byte {
	const phrase = "In der Größe liegt die Würze: 圧縮されたメッセージ, and so on. "
	b := make([]byte, 0, n)
	for len(b) < n {
		for _, r := range phrase {
			if len(b)+utf8.RuneLen(r) > n {
				r = 'x'
			}
			if len(b) < n {
				b = utf8.AppendRune(b, r)
			}
		}
	}
	return b
}

// noise returns n bytes that do not compress.
func noise(r *rand.ChaCha8, n int) []byte {
	b := make([]byte, n)
	r.Read(b)
	return b
}

// source returns a source of bytes that are the same in every run.
func source(name string) *rand.ChaCha8 {
	var seed [32]byte
	copy(seed[:], name)
	return rand.NewChaCha8(seed)
}

// digits returns n bytes that compress to a little more than half, and no further. Noise would not
// do where messages refer to each other: what does not compress is sent as it is, and
// is in no window.
func digits(r *rand.ChaCha8, n int) []byte {
	return hex.AppendEncode(nil, noise(r, n/2))
}

// exchangeOf returns messages of every kind and size class, with those of 1 MiB or without.
func exchangeOf(large bool) []message {
	sizes := []int{0, 1, 125, 126, 4096, 65536, 192 << 10}
	if large {
		sizes = append(sizes, 1<<20)
	}
	r := source("exchange")
	var list []message
	for _, n := range sizes {
		for _, fragmented := range []bool{false, n >= 4096} {
			easy, hard := text(n), noise(r, n)
			letters := []byte(base64.StdEncoding.EncodeToString(hard))[:n]
			list = append(list,
				message{messageType: websocket.TextMessage, data: easy, compressible: n >= 4096, fragmented: fragmented},
				message{messageType: websocket.BinaryMessage, data: hard, fragmented: fragmented})
			if n < 1<<20 || fragmented {
				list = append(list,
					message{messageType: websocket.BinaryMessage, data: easy, compressible: n >= 4096, fragmented: fragmented},
					message{messageType: websocket.TextMessage, data: letters, fragmented: fragmented})
			}
			if n < 4096 {
				break
			}
		}
	}
	return append(list, repeats()...)
}

// repeats returns messages that compress well only with context takeover.
func repeats() (list []message) {
	random := digits(source("repeats"), 200)
	for i := range 4 {
		list = append(list, message{messageType: websocket.BinaryMessage, data: random, repeats: i > 0})
	}
	for i := range 20 {
		list = append(list, message{
			messageType: websocket.TextMessage,
			data:        fmt.Appendf(nil, `{"type":"position","id":%d,"x":%d.25,"y":%d.75,"text":"one of many that resemble each other"}`, i, 7*i, 11*i),
		})
	}
	return list
}

// distant returns messages that a compressor with a window of 32 KiB compresses by
// referring to what is far back: every second one repeats one that was 300 to 19,200 bytes
// before it. At the end they are all one message, and twice in another.
func distant() (list []message) {
	const size, lags = 300, 7
	r := source("distant")
	var all []byte
	for i := range 256 {
		data := digits(r, size)
		if lag := 1 << (i / 2 % lags); i%2 == 1 && lag <= i {
			data = all[(i-lag)*size:][:size]
		}
		all = append(all, data...)
		list = append(list, message{messageType: websocket.BinaryMessage, data: data})
	}
	return append(list,
		message{messageType: websocket.BinaryMessage, data: all},
		message{messageType: websocket.BinaryMessage, data: slices.Concat(all, all), fragmented: true})
}

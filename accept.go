package websocket

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
)

// acceptGUID is appended to the key before it is hashed (RFC 6455, 1.3).
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// keySize is the number of bytes that a Sec-WebSocket-Key stands for.
const keySize = 16

// acceptKey returns the Sec-WebSocket-Accept that answers a Sec-WebSocket-Key
// (RFC 6455, 4.2.2).
func acceptKey(key string) string {
	var accept [28]byte
	return string(appendAcceptKey(accept[:0], key))
}

func appendAcceptKey(b []byte, key string) []byte {
	var challenge [24 + len(acceptGUID)]byte
	sum := sha1.Sum(append(append(challenge[:0], key...), acceptGUID...))
	return base64.StdEncoding.AppendEncode(b, sum[:])
}

// newKey returns a Sec-WebSocket-Key: "a nonce consisting of a randomly selected
// 16-byte value that has been base64-encoded" (RFC 6455, 4.1).
func newKey() string {
	var nonce [keySize]byte
	rand.Read(nonce[:]) // never fails: it crashes the program rather
	return base64.StdEncoding.EncodeToString(nonce[:])
}

// validKey reports whether key is the base64 encoding of 16 bytes.
func validKey(key string) bool {
	const encodedSize = (keySize + 2) / 3 * 4
	if len(key) != encodedSize {
		return false // the decoder passes over line breaks, which would leave it too short
	}
	var nonce [encodedSize]byte
	n, err := base64.StdEncoding.Decode(nonce[:], []byte(key))
	return err == nil && n == keySize
}

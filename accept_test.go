package websocket

import (
	"encoding/base64"
	"math/bits"
	"testing"
)

// The example of RFC 6455, 1.3.
func TestAcceptKey(t *testing.T) {
	if got, want := acceptKey("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The answer is appended, whatever stands before it.
func TestAppendAcceptKey(t *testing.T) {
	if got, want := string(appendAcceptKey([]byte("x: "), "dGhlIHNhbXBsZSBub25jZQ==")), "x: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestValidKey(t *testing.T) {
	tests := []struct {
		name, in string
		want     bool
	}{
		{"RFC 6455, 1.3", "dGhlIHNhbXBsZSBub25jZQ==", true},
		{"all zero", "AAAAAAAAAAAAAAAAAAAAAA==", true},
		{"both special characters", "+/+/+/+/+/+/+/+/+/+/+w==", true},
		{"empty", "", false},
		{"15 bytes", base64.StdEncoding.EncodeToString(make([]byte, 15)), false},
		{"17 bytes", base64.StdEncoding.EncodeToString(make([]byte, 17)), false},
		{"18 bytes in 24 characters", base64.StdEncoding.EncodeToString(make([]byte, 18)), false},
		{"no padding", "AAAAAAAAAAAAAAAAAAAAAA", false},
		{"one padding character", "AAAAAAAAAAAAAAAAAAAAAA=", false},
		{"three padding characters", "AAAAAAAAAAAAAAAAAAAAA===", false},
		{"padding only", "========================", false},
		{"something behind it", "AAAAAAAAAAAAAAAAAAAAAA==A", false},
		{"characters of the other alphabet", "-_-_-_-_-_-_-_-_-_-_-w==", false},
		{"line feed in place of a character", "AAAAAAAAAAAAAAAAAAAAA\n==", false},
		{"line feed behind a short one", "AAAAAAAAAAAAAAAAAAAAA==\n", false},
		{"line feeds that the decoder passes over", "AAAAAAAAAAAA\nAAAAAAAAAA==", false},
		{"16 bytes and line feeds", "AAAAAAAAAAAAAAAAAAAAAA\r\n==", false},
		{"line feeds only", "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", false},
		{"space", "AAAAAAAAAAA AAAAAAAAAA==", false},
		{"NUL", "AAAAAAAAAAA\x00AAAAAAAAAA==", false},
		{"outside of ASCII", "AAAAAAAAAAAAAAAAAAAA\u00e4==", false},
	}
	for _, tt := range tests {
		if got := validKey(tt.in); got != tt.want {
			t.Errorf("%s: got %v for %q, want %v", tt.name, got, tt.in, tt.want)
		}
	}
}

// "The nonce MUST be selected randomly for each connection" (RFC 6455, 4.1).
func TestNewKey(t *testing.T) {
	const keys = 1000
	seen := make(map[string]bool)
	ones := 0
	for range keys {
		key := newKey()
		if !validKey(key) {
			t.Fatalf("got %q, want the base64 of 16 bytes", key)
		}
		if seen[key] {
			t.Fatalf("got %q twice, want a new key each time", key)
		}
		seen[key] = true
		nonce, _ := base64.StdEncoding.DecodeString(key)
		for _, b := range nonce {
			ones += bits.OnesCount8(b)
		}
	}
	// 128,000 fair coins: a deviation of 2,000 is eleven times the standard one.
	if want := keys * keySize * 8 / 2; ones < want-2000 || ones > want+2000 {
		t.Errorf("got %d one bits in %d keys, want about %d", ones, keys, want)
	}
}

//go:build go1.25

package websocket

import (
	"testing"
	"unicode/utf8"
)

// validatePieces feeds b in pieces that end at the cuts, and reports whether the
// whole is valid; bad is the piece that was refused, or -1.
func validatePieces(b []byte, cuts ...int) (valid bool, bad int) {
	var v utf8Validator
	from := 0
	for i, cut := range append(cuts, len(b)) {
		if !v.next(b[from:cut]) {
			return false, i
		}
		from = cut
	}
	return v.complete(), -1
}

// What utf8.Valid says of the whole, the validator says of any pieces of it, and
// never later than it must: a prefix is refused if and only if nothing can follow.
func FuzzUTF8Validator(f *testing.F) {
	for _, s := range []string{"", "Hello", "κόσμε", "\xe2\x82\xac", "\xf0\x9f\x98\x80!", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xc0\xaf", "\xef\xbf\xbd\xef"} {
		f.Add([]byte(s), uint(1), uint(2))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut1, cut2 uint) {
		i, j := int(cut1%uint(len(b)+1)), int(cut2%uint(len(b)+1))
		if got, _ := validatePieces(b, min(i, j), max(i, j)); got != utf8.Valid(b) {
			t.Errorf("% x cut at %d and %d: got %v, want %v", b, i, j, got, !got)
		}
		var v utf8Validator
		for n := range b {
			if ok := v.next(b[n : n+1]); ok != canBecomeValid(b[:n+1]) {
				t.Fatalf("% x: got %v, want %v", b[:n+1], ok, !ok)
			} else if !ok {
				return
			}
		}
	})
}

// canBecomeValid reports whether some bytes after b would make it valid.
func canBecomeValid(b []byte) bool {
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			return !utf8.FullRune(b)
		}
		b = b[size:]
	}
	return true
}

func BenchmarkUTF8Validator(b *testing.B) {
	for name, char := range map[string]string{"ascii": "a", "greek": "κ", "emoji": "😀"} {
		b.Run(name, func(b *testing.B) {
			var text []byte
			for len(text) < 4096 {
				text = append(text, char...)
			}
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				var v utf8Validator
				if !v.next(text) {
					b.Fatal("refused")
				}
			}
		})
	}
}

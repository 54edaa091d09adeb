//go:build go1.25

package websocket

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// utf8Line is a line of testdata/utf8.txt.
type utf8Line struct {
	where string
	b     []byte
	valid bool
	bad   int // the first byte that no text can have there; len(b) where b is valid or only incomplete
}

func readUTF8Table(t testing.TB) (table []utf8Line) {
	t.Helper()
	text, err := os.ReadFile("testdata/utf8.txt")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		l := utf8Line{where: fmt.Sprintf("utf8.txt:%d", i+1)}
		kind, rest, _ := strings.Cut(line, " ")
		switch l.valid = kind == "valid"; kind {
		case "valid":
			_, err = fmt.Sscanf(rest, "%x", &l.b)
			l.bad = len(l.b)
		case "invalid":
			_, err = fmt.Sscanf(rest, "%x %d", &l.b, &l.bad)
		default:
			err = fmt.Errorf("neither valid nor invalid")
		}
		if err != nil {
			t.Fatalf("%s: bad line %q (%v)", l.where, line, err)
		}
		table = append(table, l)
	}
	return table
}

// validate checks that the validator refuses the text, which comes in pieces, as soon as its bytes up to bad have
// come, the first byte that no text can have there, and no earlier.
func validate(t *testing.T, bad int, pieces ...[]byte) {
	t.Helper()
	var v utf8Validator
	var b []byte
	for _, piece := range pieces {
		b = append(b, piece...)
		want := len(b) <= bad
		if got := v.next(piece); got != want {
			t.Fatalf("in pieces % x: got %t after %d bytes, want %t", pieces, got, len(b), want)
		}
		if !want {
			return
		}
	}
	if got, want := v.complete(), utf8.Valid(b); got != want {
		t.Errorf("in pieces % x: got complete %t, want %t", pieces, got, want)
	}
}

// The table says what package utf8 says, and so does the validator, whatever the pieces are.
func TestUTF8Validator(t *testing.T) {
	for _, l := range readUTF8Table(t) {
		if valid, bad := utf8.Valid(l.b), firstBad(l.b); valid != l.valid || bad != l.bad {
			t.Fatalf("%s: got valid %t, bad at %d, package utf8 says %t, %d", l.where, l.valid, l.bad, valid, bad)
		}
		for i := range len(l.b) + 1 {
			for j := i; j <= len(l.b); j++ {
				validate(t, l.bad, l.b[:i], l.b[i:j], l.b[j:])
			}
		}
		validate(t, l.bad, slices.Collect(slices.Chunk(l.b, 1))...)
	}
}

// What utf8.Valid says of the whole, the validator says of any pieces of it, and
// never later than it must: a prefix is refused if and only if nothing can follow.
func FuzzUTF8Validator(f *testing.F) {
	for _, s := range []string{
		"", "Hello", "κόσμε", "\xf0\x9f\x98\x80!", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xc0\xaf", "\xef\xbf\xbd\xef",
	} {
		f.Add([]byte(s), uint(1), uint(2))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut1, cut2 uint) {
		i, j := int(cut1%uint(len(b)+1)), int(cut2%uint(len(b)+1))
		i, j = min(i, j), max(i, j)
		validate(t, firstBad(b), b[:i], b[i:j], b[j:])
		validate(t, firstBad(b), slices.Collect(slices.Chunk(b, 1))...)
	})
}

// firstBad returns the offset of the first byte that no text can have there, or the length.
func firstBad(b []byte) int {
	start := 0 // of a character
	for n := range b {
		switch char := b[start : n+1]; {
		case utf8.Valid(char):
			start = n + 1
		case utf8.FullRune(char):
			return n
		}
	}
	return len(b)
}

func BenchmarkUTF8Validator(b *testing.B) {
	for name, char := range map[string]string{"ascii": "a", "greek": "κ", "emoji": "😀"} {
		b.Run(name, func(b *testing.B) {
			text := []byte(strings.Repeat(char, 4096/len(char)))
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

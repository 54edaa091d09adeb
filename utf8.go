package websocket

import "unicode/utf8"

// utf8Validator checks text that arrives in pieces. Its zero value is at the
// beginning of a text.
type utf8Validator struct {
	tail [utf8.UTFMax - 1]byte // the beginning of a character that is not complete
	n    uint8                 // the number of bytes in tail
}

// next checks the bytes that follow. It returns false as soon as no
// continuation could make the text valid (RFC 3629), also in the middle of a
// character; then the validator is of no more use.
func (v *utf8Validator) next(b []byte) bool {
	if v.n > 0 {
		var char [utf8.UTFMax]byte
		had := copy(char[:], v.tail[:v.n])
		got := copy(char[had:], b)
		if !utf8.FullRune(char[:had+got]) {
			v.n = uint8(copy(v.tail[:], char[:had+got])) // all of b was too little
			return true
		}
		r, size := utf8.DecodeRune(char[:had+got])
		if r == utf8.RuneError && size == 1 {
			return false
		}
		b = b[size-had:]
		v.n = 0
	}

	// An incomplete character at the end begins in the last three bytes. FullRune
	// is true for bytes that cannot begin any character: utf8.Valid refuses these.
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		last := b[len(b)-i:]
		if !utf8.RuneStart(last[0]) {
			continue
		}
		if !utf8.FullRune(last) {
			v.n = uint8(copy(v.tail[:], last))
			b = b[:len(b)-i]
		}
		break
	}
	return utf8.Valid(b)
}

// complete reports whether the text may end here: not within a character.
func (v *utf8Validator) complete() bool { return v.n == 0 }

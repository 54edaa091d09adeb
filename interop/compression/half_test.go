package compression

import "testing"

// checkHalf looks at what one side has sent.
func (n negotiation) checkHalf(t *testing.T, who string, w *wireHalf, takeover bool) {
	t.Helper()
	if got := w.closeCode(); got != 1000 {
		t.Errorf("%s: got a Close frame with %d at the end, want 1000", who, got)
	}
	// "close" is one more, and only from us.
	if len(w.data) != len(n.messages) && len(w.data) != len(n.messages)+1 {
		t.Fatalf("%s: got %d messages, want %d", who, len(w.data), len(n.messages))
	}
	fragmented := who == "the peer" && n.fragmented
	repeats, found := 0, 0
	for i, m := range n.messages {
		got := w.data[i]
		if m.compressible && (!got.compressed || got.length >= len(m.data)/2) {
			t.Errorf("%s: got message %d of %d bytes as %d bytes, compressed %v, want it compressed", who, i, len(m.data), got.length, got.compressed)
		}
		large := len(m.data) >= 128<<10 && !m.compressible // than any buffer: Go 1.27's compressor keeps 64 KiB
		if large && got.frames < 2 && (who == "we" && m.fragmented || fragmented) {
			t.Errorf("%s: got message %d in %d frame, want fragments", who, i, got.frames)
		}
		if m.repeats {
			repeats++
			if got.compressed && got.length < len(m.data)/4 {
				found++
			}
		}
	}
	switch {
	case repeats == 0 || who == "the peer" && n.overlooks:
	case takeover && found == 0:
		t.Errorf("%s: no context takeover, which was agreed on", who)
	case !takeover && found > 0:
		t.Errorf("%s: context takeover, which was not agreed on", who)
	}
}

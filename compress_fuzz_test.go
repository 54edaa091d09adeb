//go:build go1.25

package websocket

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
)

// FuzzCompressedPayload has a peer send three messages of any payload, the third of which is
// the first again. None panics or becomes longer than the limit, and what is accepted, or
// refused, is what the strict decoder accepts or refuses, and compress/flate.
func FuzzCompressedPayload(f *testing.F) {
	text := textLike(300, 1)
	payloads := deflateMessages(6, text, text)
	f.Add(payloads[0], payloads[1], uint32(0))
	f.Add(payloads[0], payloads[1], uint32(0xffff))
	for i, p := range damaged() {
		f.Add(p, []byte{0}, uint32(i*77))
		f.Add([]byte{0, 5, 0, 0xfa, 0xff, 'H', 'e', 'l', 'l', 'o', 0}, p, uint32(i*1001))
	}
	f.Add(bomb(1), []byte("\x03\x00\x03\x00"), uint32(5))
	f.Add(finalBlocks(text, text), []byte("\x01\x09\x00\xf6\xff"), uint32(9))
	f.Fuzz(func(t *testing.T, first, second []byte, flags uint32) {
		server, takeover := flags&1 != 0, flags&2 != 0
		limit := []int{1, 10, 300, 5000, 70_000, 200_000, 4096, 65536}[flags>>2&7]
		cut := int(flags >> 5 & 15)
		before := codecsOnLoan.Load()
		bits := maxWindowBits - int(flags>>20&7)
		c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: takeover, WindowBits: bits, PeerWindowBits: bits})
		c.SetReadLimit(int64(limit))
		s := &strictInflater{bits: bits, takeover: takeover, most: limit}
		var got []byte
		var err error
		for i, payload := range [][]byte{first, second, first} {
			if len(payload) > 4000 {
				payload = payload[:4000]
			}
			k := min(cut, len(payload))
			wire.Write(closingFrame(server, "\x42"+string(payload[:k])))
			wire.Write(closingFrame(server, "\x80"+string(payload[k:])))
			_, got, err = receiveWays[int(flags>>9+uint32(i))%len(receiveWays)].read(c)
			if len(got) > limit {
				t.Fatalf("got %d bytes, of which %d may be", len(got), limit)
			}
			before := s.history
			want, wantErr := s.message(payload)
			if !takeover {
				before = nil
			}
			compareFlate(t, before, payload, want, wantErr)
			compareInflated(t, payload, got, err, want, wantErr, limit)
			if err != nil {
				break
			}
		}
		c.Close()
		if n := codecsOnLoan.Load() - before; n != 0 {
			t.Errorf("got %d codecs that were not returned", n)
		}
	})
}

// compareInflated compares what a connection has made of a message with what the strict
// decoder has.
func compareInflated(t *testing.T, payload, got []byte, err error, want []byte, wantErr error, limit int) {
	t.Helper()
	if err != nil && err != ErrReadLimit && !errors.Is(err, errCorruptMessage) {
		t.Fatalf("% x: got the error %v", payload, err)
	}
	switch {
	case len(payload) > limit+limit/4+1024:
		// The first fragment may be corrupt, which shows before the second one is announced.
		if err != ErrReadLimit && (wantErr == nil || !errors.Is(err, errCorruptMessage)) {
			t.Fatalf("%d bytes: got %v, want that they are too many", len(payload), err)
		}
	case wantErr == nil && len(want) > limit:
		if err != ErrReadLimit {
			t.Fatalf("% x: got %v, want ErrReadLimit", payload, err)
		}
	case wantErr == nil:
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("% x: got %q, %v, want %q", payload, got, err, want)
		}
	case errors.Is(wantErr, errStrictShort), errors.Is(wantErr, errStrictNoMarker):
		// It ends within a block, which a code made for it can have what is put behind it end.
	case err == nil:
		t.Fatalf("% x: got %q, want an error: %v", payload, got, wantErr)
	}
}

// compareFlate compares what the strict decoder has made of a message with what compress/flate makes of it. That
// knows no window of less than 32 KiB, and stops behind a block with BFINAL set.
func compareFlate(t *testing.T, history, payload, want []byte, wantErr error) {
	t.Helper()
	const lastBlock = "\x01\x00\x00\xff\xff"
	r := bytes.NewReader([]byte(string(payload) + deflateTail + lastBlock))
	got, err := io.ReadAll(io.LimitReader(flate.NewReaderDict(r, history[max(0, len(history)-1<<15):]), int64(len(want)+1)))
	stopped := err == nil && r.Len() > 0
	switch {
	case wantErr == nil && (err != nil || !bytes.HasPrefix(want, got) || len(got) < len(want) && !stopped):
		t.Fatalf("% x: got %d bytes, want what compress/flate has: %d bytes, %v", payload, len(want), len(got), err)
	case errors.Is(wantErr, errStrictWindow), errors.Is(wantErr, errStrictShort), errors.Is(wantErr, errStrictNoMarker):
	case errors.Is(wantErr, errStrictLong):
		if !stopped && !bytes.HasPrefix(got, want) {
			t.Fatalf("% x: got %d bytes and more, want what compress/flate has: %d bytes, %v", payload, len(want), len(got), err)
		}
	case wantErr != nil && err == nil && !stopped:
		t.Fatalf("% x: got %v, want what compress/flate has: %d bytes", payload, wantErr, len(got))
	}
}

// FuzzCompressedRoundTrip sends messages of any sequence of sizes and kinds, both ways, with
// any options. All arrive.
func FuzzCompressedRoundTrip(f *testing.F) {
	f.Add([]byte("\x00\x10\x01\x20\x02\xff\x03\x00\x04\x80\x05\x33"), uint32(0))
	f.Add([]byte("\xff\xff\x12\x34\x56\x78\x9a\xbc\xde\xf0"), uint32(0x7fffffff))
	f.Add(bytes.Repeat([]byte("\x31\x05\x72\x91"), 10), uint32(0x1234))
	text := textLike(200_000, 1)
	random := noise(200_000, 1)
	f.Fuzz(func(t *testing.T, script []byte, flags uint32) {
		o := CompressionOptions{
			ContextTakeover: flags&1 != 0,
			WindowBits:      8 + int(flags>>1&7),
			PeerWindowBits:  8 + int(flags>>4&7),
			Level:           int(flags>>7)%12 - 2,
			Threshold:       int(flags >> 11 & 0x3ff),
		}
		s, c := compressedPair(t, o, CompressionOptions{ContextTakeover: flags&(1<<21) != 0, WindowBits: 8 + int(flags>>22&7)})
		defer s.Close()
		defer c.Close()
		ends := [][2]*Conn{{s, c}, {c, s}}
		for len(script) >= 4 && len(script) < 200 {
			v := binary.LittleEndian.Uint32(script)
			script = script[4:]
			end := ends[v&1]
			size := int(v>>1&0xff) << (v >> 9 % 10)
			message := text[v>>13%1000:][:size]
			if v&(1<<10) != 0 {
				message = random[:size]
			}
			end[0].EnableWriteCompression(v>>11&3 > 0)
			if v>>20&7 == 0 {
				end[0].SetCompressionLevel(int(v>>23)%12 - 2)
			}
			if v>>27&7 == 0 { // is discarded
				if err := writePieces(end[0], BinaryMessage, message, 5000); err != nil {
					t.Fatal(err)
				}
				_, r, err := end[1].NextReader()
				if err != nil {
					t.Fatal(err)
				}
				io.CopyN(io.Discard, r, int64(size/2))
				continue
			}
			transfer2(t, end[0], end[1], int(v>>16), message)
		}
	})
}

// transfer2 is transfer for bytes that are no text.
func transfer2(t *testing.T, from, to *Conn, n int, message []byte) {
	t.Helper()
	w, r := sendWays[n%len(sendWays)], receiveWays[n/8%len(receiveWays)]
	if err := w.write(from, BinaryMessage, message); err != nil {
		t.Fatal(err)
	}
	if _, p, err := r.read(to); err != nil || !bytes.Equal(p, message) {
		t.Fatalf("%s, %s: got %d bytes, %v, want %d", w.name, r.name, len(p), err, len(message))
	}
}

// FuzzDeflate compresses messages of any content with any effort and window, in pieces and as a whole, some of which
// are not sent in the end. The strict decoder, which has just that window, and compress/flate get them, and none
// becomes much longer than it was.
func FuzzDeflate(f *testing.F) {
	text := textLike(3000, 1)
	for level := range 12 {
		f.Add(text[:1000], []byte{0, 0, 255, 4, 3, 99, 1, 50, 255, 0, 9, 200, 5, 1, 77, 0, 0, 255}, uint8(level<<3|level*5&7))
		f.Add([]byte("abcdefgh01234567abcdefgh"), []byte("\x00\x00\x18\x06\xff\x00\x00\x00\x18\x01\x00\x18\x02\x00\x18\x00\x00\x18"), uint8(level*11))
	}
	f.Add(noise(600, 1), []byte("\x00\x00\xff\x04\x00\xff\x02\x05\xff\x00\x00\xff\x06\x80\x00\x00\x00\xff"), uint8(0x1f))
	filler := noise(1<<16, 2)
	f.Fuzz(func(t *testing.T, content, script []byte, options uint8) {
		bits := minWindowBits + int(options&7)
		d := acquireDeflater(int(options>>3)%12-2, bits)
		defer releaseDeflater(d)
		s := &strictInflater{bits: bits, takeover: true}
		content = content[:min(len(content), 4000)]
		for total := 0; len(script) >= 3 && total < 20_000; {
			kind, at, size := script[0]%8, int(script[1]), int(script[2])
			script = script[3:]
			at = at * len(content) / 256
			message := content[at:][:size*(len(content)-at)/255]
			history := s.history
			var payload []byte
			sent := true
			switch kind {
			case 4: // in pieces
				piece := 1 + size*size%400
				for p := range slices.Chunk(message, piece) {
					payload = append(payload, d.part(nil, p)...)
				}
				payload = d.end(payload)
			case 5: // many times over, in several blocks
				message = bytes.Repeat(message, 1+40_000/(len(message)+1)%(size+1))
				fallthrough
			default:
				const prefix = "before"
				b, shorter := d.message([]byte(prefix), message)
				if payload = b[len(prefix):]; shorter != (len(payload) < len(message)) || string(b[:len(prefix)]) != prefix {
					t.Fatalf("got %d bytes for %d, and that it is shorter: %v", len(b), len(message), shorter)
				}
				if sent = kind != 1; sent {
					d.sent(message)
				}
			case 6: // positions are counted on
				total += 1000
				d.sent(filler[:size<<8])
				s.history = append(s.history, filler[:size<<8]...)
				continue
			case 7:
				total += 1000
				d.restart()
				d.setLevel(size%12 - 2)
				s.history = nil
				continue
			}
			total += 1000 + len(message)
			got, err := s.message(payload)
			if err != nil || !bytes.Equal(got, message) {
				t.Fatalf("message %q: got %q, %v from % x", message, got, err, payload)
			}
			compareFlate(t, history, payload, got, nil)
			if kind != 4 && len(payload) > len(message)+6*(1+len(message)/maxBlockSize) {
				t.Errorf("got %d bytes for %d", len(payload), len(message))
			}
			if !sent {
				s.history = history
			}
		}
	})
}

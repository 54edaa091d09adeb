package main

import (
	"bytes"
	"hash/crc32"
	"io"
	"slices"
	"testing"
)

// Messages are found wherever the stream is cut, in one frame or in several, with control frames between.
func TestMessageParser(t *testing.T) {
	frame := func(first byte, payload string) []byte {
		return append(appendHeader(nil, first, uint64(len(payload)), 0), payload...)
	}
	stream := slices.Concat(
		frame(finBit|opText, "one"),
		frame(finBit|rsv1Bit|opText, "two"),
		frame(rsv1Bit|opText, "th"), frame(finBit|9, "ping"), frame(opContinuation, "re"), frame(finBit|opContinuation, "e"),
		frame(finBit|opBinary, string(payload(300))),
		frame(finBit|opBinary, ""),
	)
	type message struct {
		payload    string
		compressed bool
	}
	want := []message{{"one", false}, {"two", true}, {"three", true}, {string(payload(300)), false}, {"", false}}
	for cut := range stream {
		var got []message
		var p messageParser
		for _, b := range [][]byte{stream[:cut], stream[cut:]} {
			if err := p.parse(b, func(payload []byte, compressed bool) error {
				got = append(got, message{string(payload), compressed})
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("cut at %d: got %+v, want %+v", cut, got, want)
		}
	}
	if err := new(messageParser).parse(frame(finBit|opClose, ""), nil); err != errClosed {
		t.Errorf("a Close frame: got %v, want %v", err, errClosed)
	}
}

// The time in a message is the one that it was made with.
func TestServiceTimes(t *testing.T) {
	const due = 123456789012345
	tests := map[string]struct {
		service *service
		want    int64
		size    int // of the frame; 0: any
	}{
		"chat":       {newChatService(false), due, 200 + 8},
		"compressed": {newChatService(true), due, 0},
		"game":       {gameService, due, gameSize + 6},
		"rpc":        {newRPCService(), due&^3 | 1, rpcSize + 6},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := tt.service.appendFrame(nil, due)
			if tt.size > 0 && len(b) != tt.size {
				t.Errorf("got a frame of %d bytes, want %d", len(b), tt.size)
			}
			h, size := parseFrameHeader(b)
			payload := b[size:]
			maskWords(payload, h.key)
			got, err := tt.service.timeOf(payload, h.first&rsv1Bit != 0)
			if err != nil || got != tt.want {
				t.Errorf("got %d, %v, want %d", got, err, tt.want)
			}
		})
	}
}

// A queue that is full skips messages, and a later one is kept again.
func TestQueueSkips(t *testing.T) {
	q := newQueue[int]()
	for i := range queueLength + 10 {
		q.post(i)
	}
	<-q
	q.post(1000)
	close(q)
	var got []int
	for m := range q {
		got = append(got, m)
	}
	if len(got) != queueLength || got[len(got)-1] != 1000 || got[len(got)-2] != queueLength-1 {
		t.Errorf("got %v, want 1 to %d, and 1000", got, queueLength-1)
	}
}

// Connections are put into rooms in their order.
func TestRooms(t *testing.T) {
	var r rooms[int]
	var firsts []bool
	var sizes []int
	var in []*room[int]
	for i := range 5 {
		joined, first := r.join(i, 2)
		firsts = append(firsts, first)
		in = append(in, joined)
	}
	for _, joined := range in {
		sizes = append(sizes, len(joined.conns))
	}
	if want := []bool{true, false, true, false, true}; !slices.Equal(firsts, want) {
		t.Errorf("first in a room: got %v, want %v", firsts, want)
	}
	if want := []int{2, 2, 2, 2, 1}; !slices.Equal(sizes, want) {
		t.Errorf("sizes of the rooms: got %v, want %v", sizes, want)
	}
}

// The receipt of an upload is the same, whatever the pieces are in which it was read.
func TestReceiveUpload(t *testing.T) {
	p := payload(1000)
	for _, size := range []int{1, 999, 1000, 4096} {
		got, err := receiveUpload(struct{ io.Reader }{bytes.NewReader(p)}, make([]byte, size))
		if want := newReceipt(1000, crc32.ChecksumIEEE(p)); err != nil || got != want {
			t.Errorf("in pieces of %d bytes: got %x, %v, want %x", size, got, err, want)
		}
	}
}

package main

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// service is how the load of a service makes messages, and finds the time in those that it gets.
type service struct {
	appendFrame func(b []byte, due int64) []byte                     // appends a frame with a message that has the time
	timeOf      func(payload []byte, compressed bool) (int64, error) // of a message that has come
}

// serviceScenarios are the services. Servers of all libraries do the same with their messages.
var serviceScenarios = []*scenario{
	{
		name:    patternChat,
		title:   "Chat: 500 connections in rooms of 50, each sends 200 B of JSON twice a second, per delivery",
		pattern: patternChat, limit: plain, quick: true,
		measure: measureService, service: newChatService(false), conns: 500, rate: 2,
	},
	{
		name:    patternChatDeflate,
		title:   "Chat: the same with permessage-deflate, and once a second, per delivery",
		pattern: patternChatDeflate, limit: plain, quick: true,
		measure: measureService, service: newChatService(true), conns: 500, rate: 1,
	},
	{
		name:    patternMarket,
		title:   "Market data: 100 messages of 300 B a second to 1,000 readers, 50 of them slow, per delivery",
		pattern: patternMarket, limit: plain, quick: true,
		measure: measureService, service: newMarketService(100), conns: 1000, slow: 50,
		settle: 4 * time.Second, // until the slow readers' buffers are full
	},
	{
		name:    patternGame,
		title:   "Game: 1,000 players, 30 messages of 60 B a second each way, per pair",
		pattern: patternGame, limit: plain, quick: true,
		measure: measureService, service: gameService, conns: 1000, rate: gameRate,
	},
	{
		name:    patternRPC,
		title:   "RPC: 16 connections with 64 requests of 100 B in flight, answered out of order, per request",
		pattern: patternRPC, limit: plain, quick: true,
		measure: measureService, service: rpcService, conns: 16, inFlight: 64,
	},
	{
		name:    patternUpload,
		title:   "Uploads: 8 connections, messages of 1 MiB, one in flight, per upload",
		pattern: patternUpload, limit: plain, quick: true,
		measure: measureEcho, conns: 8, inFlight: 1, size: uploadSize, settle: time.Second,
	},
}

// servicesNote says what the tables do not.
var servicesNote = fmt.Sprintf(`Ratios are to this library: above 1, another one needs more CPU time for the same.

- Each connection has a queue of %d messages, except in RPC and uploads. A message for which a queue has no room is
  skipped, so that a slow connection delays no other one.
- In the chat, the game and the market, all servers get the same load at a fixed rate. Times are those from when a
  message was due to its arrival at the load: in the chat, to be sent by the client, and in the market and the game, by
  the server, whose messages have the time of CLOCK_MONOTONIC, which all processes share. Fewer messages a second than
  the others have means that a server was too slow. In RPC and uploads, the next request follows the answer.
- Slow readers of the market read 10 KiB a second. Their times do not count, but what they cost the server does.
- Resident bytes are VmRSS at the end of the window, garbage included, less that of the server without connections, per
  connection; of the uploads the peak, VmHWM.

`, queueLength)

var servicesReport = &report{
	name: "services", title: "Services", scenarios: serviceScenarios,
	use:  func(l *library) string { return l.services },
	note: servicesNote,
}

// appendText appends a message of the chat. With a time of 15 digits, it has 200 bytes.
func appendText(b []byte, due int64) []byte {
	b = append(b, `{"type":"message","room":"general","from":"user-4711","due":`...)
	b = strconv.AppendInt(b, due, 10)
	b = append(b, `,"text":"`...)
	b = append(b, "I have looked at the figures again: the second half of the week is "+
		"better than we thought, and only Tuesday worse."...)
	return append(b, `"}`...)
}

// newChatService sends JSON, and finds the time in it by its name.
func newChatService(deflate bool) *service {
	var message []byte
	var d deflater
	appendFrame := func(b []byte, due int64) []byte {
		message = appendText(message[:0], due)
		if deflate {
			return appendClientFrame(b, finBit|rsv1Bit|opText, d.deflate(message))
		}
		return appendClientFrame(b, finBit|opText, message)
	}
	var i inflater
	timeOf := func(payload []byte, compressed bool) (due int64, err error) {
		if compressed {
			if payload, err = i.inflate(payload); err != nil {
				return 0, err
			}
		}
		return textTime(payload)
	}
	return &service{appendFrame, timeOf}
}

// textTime is the time in a message of the chat.
func textTime(p []byte) (int64, error) {
	_, rest, found := bytes.Cut(p, []byte(`"due":`))
	digits, _, ended := bytes.Cut(rest, []byte(","))
	if !found || !ended {
		return 0, fmt.Errorf("no time in %.300q", p)
	}
	return strconv.ParseInt(string(digits), 10, 64)
}

// deflater compresses messages as clients do (RFC 7692, 7.2.1), without context takeover.
type deflater struct {
	b bytes.Buffer
	w *flate.Writer
}

// deflate returns a message that is valid until the next one.
func (d *deflater) deflate(p []byte) []byte {
	if d.w == nil {
		w, err := flate.NewWriter(&d.b, flate.DefaultCompression)
		if err != nil {
			panic(err) // the level is a constant
		}
		d.w = w
	}
	d.b.Reset()
	d.w.Reset(&d.b)
	d.w.Write(p)
	d.w.Flush()
	return bytes.TrimSuffix(d.b.Bytes(), []byte{0, 0, 0xff, 0xff})
}

// inflater decompresses messages (RFC 7692, 7.2.2), without context takeover.
type inflater struct {
	in, out bytes.Buffer
	r       io.ReadCloser
}

// inflate returns a message that is valid until the next one.
func (i *inflater) inflate(p []byte) ([]byte, error) {
	i.in.Reset()
	i.in.Write(p)
	i.in.Write([]byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff}) // and an empty last block
	if i.r == nil {
		i.r = flate.NewReader(&i.in)
	} else if err := i.r.(flate.Resetter).Reset(&i.in, nil); err != nil {
		return nil, err
	}
	i.out.Reset()
	_, err := i.out.ReadFrom(i.r)
	return i.out.Bytes(), err
}

// newMarketService starts the server, which then sends so many messages per second.
func newMarketService(rate int) *service {
	return &service{
		appendFrame: func(b []byte, _ int64) []byte { return appendClientFrame(b, finBit|opBinary, marketStart(rate)) },
		timeOf:      binaryTime(marketSize),
	}
}

var gameService = &service{
	appendFrame: func(b []byte, due int64) []byte { return appendTimed(b, uint64(due), gameSize) },
	timeOf:      binaryTime(gameSize),
}

// rpcService has the time as the id, with two bits that differ, so that some requests take longer than others.
var rpcService = newRPCService()

func newRPCService() *service {
	n := uint64(0)
	return &service{
		appendFrame: func(b []byte, due int64) []byte {
			n++
			return appendTimed(b, uint64(due)&^3|n&3, rpcSize)
		},
		timeOf: binaryTime(rpcSize),
	}
}

// appendTimed appends a frame with a message of a size that begins with the time.
func appendTimed(b []byte, due uint64, size int) []byte {
	p := make([]byte, size)
	binary.BigEndian.PutUint64(p, due)
	return appendClientFrame(b, finBit|opBinary, p)
}

var errBadSize = errors.New("a message of another size")

// binaryTime is the time that messages of a size begin with.
func binaryTime(size int) func(payload []byte, compressed bool) (int64, error) {
	return func(payload []byte, compressed bool) (int64, error) {
		if compressed || len(payload) != size {
			return 0, errBadSize
		}
		return int64(binary.BigEndian.Uint64(payload)), nil
	}
}

//go:build go1.25

package websocket

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

// The transcripts are right over every kind of transport; over TLS every third is played.
func TestTranscriptLinks(t *testing.T) {
	if raceEnabled {
		t.Skip("a thousand handshakes of TLS take ten seconds under the race detector")
	}
	eachLink(t, func(t *testing.T, l testLink) {
		t.Parallel()
		for _, file := range wireTranscripts(t) {
			l.play(t, readTranscripts(t, file), connOptions{})
		}
		options := CompressionOptions{ContextTakeover: true}
		agreed := negotiate(t, options, options)
		o := connOptions{agreed: agreement{deflate: &agreed}, compression: options}
		l.play(t, readTranscripts(t, "testdata/rfc7692/vectors.txt"), o)
		l.play(t, readTranscripts(t, "testdata/rfc7692/takeover.txt"), o)
	})
}

// play plays the transcripts of the link's side, to a connection each.
func (l testLink) play(t *testing.T, list []*transcript, o connOptions) {
	for i, tr := range list {
		if strings.HasSuffix(t.Name(), "/tls") && i%3 > 0 {
			continue // a handshake takes longer than all the rest
		}
		for _, tr := range tr.sides(t) {
			if l.server != (tr.side == "server") {
				continue
			}
			if wrong := tr.playOver(t, l, o); wrong != "" {
				t.Errorf("%s: %s", tr.where, wrong)
			}
		}
	}
}

// playOver has a peer send the bytes of the transcript and end its direction, and returns what was wrong, or "".
// Frames are compared behind all else, since the transport may have them later.
func (tr *transcript) playOver(t *testing.T, l testLink, o connOptions) string {
	o.readLimit = tr.limit
	c, peer := l.conn(t, o)
	deadline := time.Now().Add(patience)
	peer.SetDeadline(deadline)
	c.SetReadDeadline(deadline)
	go func() {
		peer.Write(tr.in) // an endpoint that has failed need not take all of it
		peer.Conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	sent := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(peer)
		sent <- b
	}()

	var got []scriptEvent
	var err error
	for err == nil {
		var messageType int
		var data []byte
		messageType, data, err = c.ReadMessage()
		e := scriptEvent{kind: '=', what: scriptMessageType(messageType), data: data}
		if err != nil {
			e.what = "part " + e.what
		}
		if err == nil || messageType != -1 {
			got = append(got, e)
		}
	}
	want := tr.want
	got = append(got, scriptEvent{kind: '!', what: err.Error()})
	if last := &want[len(want)-1]; last.what == errScriptExhausted.Error() {
		last.what = "websocket: close 1006 (abnormal closure): unexpected EOF"
	}
	c.Close()
	for b := <-sent; len(b) > 0; {
		h, n, err := parseHeader(b)
		if err != nil || n == 0 || int64(len(b)-n) < h.length {
			return "got bytes that are no frame"
		}
		frame := b[:n+int(h.length)]
		b = b[len(frame):]
		if !l.server {
			if frame, err = unmaskFrames(frame); err != nil {
				return err.Error()
			}
		}
		got = append(got, scriptEvent{kind: '<', data: bytes.Clone(frame)})
	}
	return diffEvents(got, framesLast(want), false, false)
}

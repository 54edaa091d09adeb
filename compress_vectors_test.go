package websocket

import "testing"

// playDeflate plays the transcript to a connection that has negotiated compression, and
// returns what was wrong, or "".
func (tr *transcript) playDeflate(d scriptDelivery, m scriptMethod, o CompressionOptions, agreed deflateParams) string {
	return tr.playTo(connOptions{agreed: agreement{deflate: &agreed}, compression: o}, d, m, 1)
}

// runDeflate plays the transcript in all ways.
func (tr *transcript) runDeflate(t *testing.T, o CompressionOptions, skip bool) {
	agreed := negotiate(t, o, o)
	methods := scriptMethods
	if skip {
		methods = append(methods[:len(methods):len(methods)], scriptSkip)
	}
	for _, tr := range tr.sides(t) {
		deliveries := scriptDeliveries
		for k := range tr.in[:min(len(tr.in), 64)] {
			deliveries = append(deliveries[:len(deliveries):len(deliveries)], scriptCut(k, k%2 == 0))
		}
		for _, d := range deliveries {
			for _, m := range methods {
				if wrong := tr.playDeflate(d, m, o, agreed); wrong != "" {
					t.Fatalf("%s: %s, %s, %s: %s", tr.where, tr.side, d.name, m.name, wrong)
				}
			}
		}
	}
}

// The transcripts of testdata/rfc7692 are right however the bytes come and the messages are
// read. Each file is played with the options for which it is true.
func TestDeflateTranscripts(t *testing.T) {
	plain := CompressionOptions{}
	takeover := CompressionOptions{ContextTakeover: true}
	for _, tt := range []struct {
		file    string
		options []CompressionOptions
		skip    bool // it can be read by who takes no payload, too
	}{
		{"vectors", []CompressionOptions{plain, takeover, {ContextTakeover: true, WindowBits: 8, PeerWindowBits: 8}}, true},
		{"takeover", []CompressionOptions{takeover, {ContextTakeover: true, WindowBits: 8, PeerWindowBits: 8}}, false},
		{"no-takeover", []CompressionOptions{plain, {WindowBits: 15, PeerWindowBits: 8}}, false},
	} {
		for _, tr := range readTranscripts(t, "testdata/rfc7692/"+tt.file+".txt") {
			t.Run(tt.file+"/"+tr.name, func(t *testing.T) {
				for _, o := range tt.options {
					tr.runDeflate(t, o, tt.skip)
				}
			})
		}
	}
}

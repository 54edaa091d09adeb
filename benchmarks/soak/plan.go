package main

import (
	"math/rand/v2"
	"time"
)

// How a client ends a connection.
type ending int

const (
	endedEarly ending = iota // without the client's doing
	closedByClient
	closedByServer // the client asks for it
	closedByGroup  // at the end of the run
	torn           // between two frames; here begin the endings without a closing handshake
	tornByReset
	tornInFrame
	tornInMessage
	endings
)

func (e ending) String() string {
	return [...]string{
		"ended early", "closed by the client", "closed by the server", "closed by the server's Group",
		"torn between frames", "torn by a reset", "torn within a frame", "torn within a message",
	}[e]
}

// How a client reads.
type reading int

const (
	readsAlways    reading = iota
	readsSlowly            // with pauses
	stopsDeadline          // not at all any more, until the server's write deadline has passed
	stopsKeepalive         // the same for the server's keepalive
)

func (r reading) stops() bool { return r >= stopsDeadline }

func (r reading) path() string {
	switch r {
	case stopsDeadline:
		return pathDeadline
	case stopsKeepalive:
		return pathKeepalive
	}
	return pathNormal
}

// The ways of compressing.
const (
	uncompressed = iota
	withoutTakeover
	withTakeover
)

// plan is what a client is going to do with a connection.
type plan struct {
	tls         bool
	compression int
	reading     reading
	ending      ending
	after       time.Duration // until then
}

// part reports whether a slot, which is the index of a client, belongs to a part of all. The stride makes parts
// independent of each other.
func (o *options) part(slot int, share float64, stride int) bool {
	return float64(slot*stride%o.connections) < share*float64(o.connections)
}

// reading returns how the client reads, which it does in the same way on all of its connections.
func (o *options) reading(slot int) reading {
	if !o.part(slot, o.slow, 11) {
		return readsAlways
	}
	return [...]reading{readsSlowly, readsSlowly, stopsDeadline, stopsKeepalive}[slot%4]
}

// leaves reports whether the client closes its connection itself when the time is up. Slow clients do. If the server
// closed their connections, its handlers could be waiting for them to read, and so not read themselves for more than
// the second after which Shutdown discards messages.
func (o *options) leaves(slot int) bool { return slot%2 == 1 || o.reading(slot) != readsAlways }

// newPlan plans the next connection of a client.
func (o *options) newPlan(r *rand.Rand, slot int) plan {
	p := plan{
		tls:     o.part(slot, o.tls, 1),
		reading: o.reading(slot),
		ending:  closedByClient,
		after:   pause(r, (o.restart+o.tear)/60),
	}
	if o.part(slot, o.compress, 7) {
		p.compression = withoutTakeover + slot%2
	}
	switch {
	case p.reading.stops():
		p.after = forever // until the server gives it up
	case r.Float64()*(o.restart+o.tear) >= o.restart:
		p.ending = torn + ending(r.IntN(int(endings-torn)))
	case p.reading == readsAlways && r.IntN(2) == 0:
		p.ending = closedByServer
	}
	return p
}

const forever = 1000 * time.Hour

// pause returns a random time, such that what happens after it happens as often in a second as rate says.
func pause(r *rand.Rand, rate float64) time.Duration {
	if rate == 0 {
		return forever
	}
	return min(forever, time.Duration(r.ExpFloat64()/rate*float64(time.Second)))
}

// wait waits for a time. It returns false if one of the channels is closed before; nil is never closed.
func wait(a, b <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-a:
	case <-b:
	case <-timer.C:
		return true
	}
	return false
}

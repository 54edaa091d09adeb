package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"time"
)

// What one process holds and carries: the scenarios of -capacity.

// capacityLibraries are measured unless others are asked for: all would take hours.
const capacityLibraries = "^(websocket|gorilla|gorilla-lean|gws)$"

// capacityBase is the library that the ratios are of.
const capacityBase = "gorilla"

var capacityScenarios = slices.Concat(
	heldScenarios(descriptors()),
	[]*scenario{rateScenario(125), rateScenario(16 << 10)},
	[]*scenario{{
		name: "upgrades", title: fmt.Sprintf("Upgrades, connect to close, %d at a time", upgradesAtOnce),
		pattern: patternHandshake, limit: capacityBase, also: []string{"hijack"},
		measure: measureUpgrades, quick: true,
	}},
)

var capacityReport = &report{
	name: "capacity", title: "Capacity", note: capacityNote, scenarios: capacityScenarios,
	use: func(l *library) string { return l.about },
}

// capacityNote says what the tables have.
const capacityNote = `What one server process holds and carries, on one core.

- Idle connections: resident memory of the server for each, after a collection, and the times from a ping to its pong
  on 1,000 of them, one after the other. Between them the load and the server sleep.
- Rate: the most messages per second at which p99 is at most twice what it is at a tenth of the load. They are sent
  at moments fixed before, as those of independent clients, and their times count from those moments. "saturation" is
  the rate at which the server has no time left, by the CPU time of a message in a closed loop; the tenth is of this.
  More is better, also in the ratios.
- Upgrades: how many per second, and the CPU time of the server for each.

`

// heldScenarios are those of idle connections, as many as the limit of descriptors allows.
func heldScenarios(limit int) (list []*scenario) {
	for _, overTLS := range []bool{false, true} {
		name, over := "idle-tcp-", "TCP"
		if overTLS {
			name, over = "idle-tls-", "TLS"
		}
		for _, n := range held(limit) {
			title := fmt.Sprintf("%s idle connections over %s, and a ping on one", grouped(float64(n)), over)
			if n == limit-otherDescriptors {
				title += fmt.Sprintf(", as many as %s descriptors allow", grouped(float64(limit)))
			}
			list = append(list, &scenario{
				name: fmt.Sprint(name, n), title: title,
				pattern: patternIdle, limit: capacityBase, also: []string{"lean"},
				measure: measureHeld, rounds: 3, conns: n, tls: overTLS, quick: n == 1000,
			})
		}
	}
	return list
}

// otherDescriptors is room for those that are not connections.
const otherDescriptors = 100

// held is how many connections are held: 1,000 to 20,000, or what a process with so
// many descriptors can have.
func held(limit int) (list []int) {
	most := min(20_000, limit-otherDescriptors)
	for _, n := range []int{1000, 5000, 10_000} {
		if n < most {
			list = append(list, n)
		}
	}
	return append(list, most)
}

const (
	pings       = 1000 // that are measured, as far as there are connections
	warmUpPings = 100  // before: after a collection a server has to take memory again
)

// measureHeld is measureIdle, with pings.
func measureHeld(s *scenario, srv *server, p plan) (sample, error) {
	var times []time.Duration
	result, err := idle(s, srv, func(conns []net.Conn) (err error) {
		if _, err := pingEach(some(conns, warmUpPings)); err != nil {
			return err
		}
		times, err = pingEach(some(conns, pings))
		return err
	})
	slices.Sort(times)
	result.P50, result.P99 = percentile(times, 50), percentile(times, 99)
	return result, err
}

// some returns n of the list, or all, as far apart as can be.
func some[T any](list []T, n int) []T {
	n = min(n, len(list))
	chosen := make([]T, n)
	for i := range chosen {
		chosen[i] = list[i*len(list)/n]
	}
	return chosen
}

// pingEach pings one connection after the other, and returns the times to the pongs.
func pingEach(conns []net.Conn) ([]time.Duration, error) {
	ping := appendClientFrame(nil, finBit|opPing, []byte("12345678"))
	pong := append(appendHeader(nil, finBit|opPong, 8, 0), "12345678"...)
	got := make([]byte, len(pong))
	times := make([]time.Duration, len(conns))
	for i, nc := range conns {
		nc.SetDeadline(time.Now().Add(setup))
		begun := time.Now()
		if _, err := nc.Write(ping); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(nc, got); err != nil {
			return nil, err
		}
		times[i] = time.Since(begun)
		if !bytes.Equal(got, pong) {
			return nil, fmt.Errorf("the answer to a ping is % x, want % x", got, pong)
		}
		nc.SetDeadline(time.Time{})
	}
	return times, nil
}

// rateScenario looks for the rate of messages of a size at which they begin to wait.
func rateScenario(size int) *scenario {
	return &scenario{
		name: "rate-" + shortSize(size),
		title: fmt.Sprintf("Rate of %s messages at which p99 is twice that at a tenth of the load, 100 connections",
			longSize(size)),
		pattern: patternEcho, limit: capacityBase, also: []string{"frame1"},
		measure: measureRate, rounds: 5, conns: 100, inFlight: 1, size: size, quick: size == 125,
	}
}

// point is what was measured at a load.
type point struct {
	Load float64 `json:"load"` // part of the saturation
	P50  float64 `json:"p50_ns"`
	P99  float64 `json:"p99_ns"`
}

// loads are the parts of the saturation that are tried first, up to more than can be carried.
var loads = []float64{0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1, 1.1}

// p99AtTenth is that of the first of the loads.
func (x sample) p99AtTenth() float64 {
	if len(x.Curve) == 0 {
		return 0
	}
	return x.Curve[0].P99
}

var errTooSlow = errors.New("the server cannot carry a tenth of the load")

// measureRate finds the saturation, takes the times at parts of it, and looks between
// the last part that is good enough and the next one. The saturation is that of the
// CPU time in a closed loop, which other programs disturb less than its rate.
func measureRate(s *scenario, srv *server, p plan) (sample, error) {
	closed, err := measureEcho(s, srv, p)
	if err != nil {
		return sample{}, err
	}
	conns, err := dialAll(srv.address, s.conns, s.tls, false)
	if err != nil {
		return sample{}, err
	}
	l, err := newPacedLoad(conns, appendClientFrame(nil, finBit|opBinary, payload(s.size)))
	if err != nil {
		return sample{}, err
	}
	defer l.close()
	result := sample{Saturation: 1e9 / closed.CPU}
	if _, _, err := l.measure(result.Saturation*loads[0], p.warmUp); err != nil {
		return sample{}, err
	}
	for _, part := range loads {
		at, carried, err := l.try(result.Saturation, part, p)
		if err != nil {
			return sample{}, err
		}
		if carried {
			result.Curve = append(result.Curve, at)
		}
	}
	if len(result.Curve) == 0 || result.Curve[0].Load > loads[0] {
		return sample{}, errTooSlow
	}
	most := 2 * result.p99AtTenth()
	best, next := lastWithin(result.Curve, most)
	err = bisect(best.Load, next, bisections, func(part float64) (bool, error) {
		at, carried, err := l.try(result.Saturation, part, p)
		if !carried || at.P99 > most || err != nil {
			return false, err
		}
		best = at
		return true, nil
	})
	result.Rate, result.P50, result.P99 = result.Saturation*best.Load, best.P50, best.P99
	return result, err
}

// try measures a part of a rate twice, and returns the better one: a disturbance makes
// times longer, and none makes them shorter.
func (l *pacedLoad) try(rate, part float64, p plan) (best point, carried bool, err error) {
	for range 2 {
		times, ok, err := l.measure(rate*part, p.window)
		if err != nil {
			return point{}, false, err
		}
		slices.Sort(times)
		p99 := percentile(times, 99)
		if ok && (!carried || p99 < best.P99) {
			best, carried = point{part, percentile(times, 50), p99}, true
		}
	}
	return best, carried, nil
}

// lastWithin returns the highest load with a p99 of at most that, and the one of the
// loads that follows. Those below may have been disturbed, and are not looked at.
func lastWithin(curve []point, most float64) (last point, next float64) {
	for _, at := range curve {
		if at.P99 <= most {
			last = at
		}
	}
	i := slices.Index(loads, last.Load)
	return last, loads[min(i+1, len(loads)-1)]
}

const bisections = 3

// bisect looks for the highest value that is good, between one that is and one that
// is not.
func bisect(good, bad float64, steps int, try func(float64) (bool, error)) error {
	for range steps {
		middle := (good + bad) / 2
		ok, err := try(middle)
		if err != nil {
			return err
		}
		if ok {
			good = middle
		} else {
			bad = middle
		}
	}
	return nil
}

// schedule is when messages are sent: so many per second, at moments that have nothing
// to do with each other, as those of independent clients. It is the same at each use.
type schedule struct {
	gap    float64 // ns from one message to the next, on average
	at     float64
	random *rand.Rand
}

func newSchedule(perSecond float64) *schedule {
	return &schedule{gap: 1e9 / perSecond, random: rand.New(rand.NewPCG(5, 6))}
}

// next is when the next message is sent, from the beginning.
func (s *schedule) next() time.Duration {
	s.at += s.gap * s.random.ExpFloat64()
	return time.Duration(s.at)
}

const upgradesAtOnce = 16

// measureUpgrades keeps several at a time on their way from connect to close.
func measureUpgrades(_ *scenario, srv *server, p plan) (sample, error) {
	handshakers := make([]*handshaker, upgradesAtOnce)
	for i := range handshakers {
		var err error
		if handshakers[i], err = newHandshaker(srv.address); err != nil {
			return sample{}, err
		}
		handshakers[i].from(net.IPv4(127, 0, 0, byte(1+i)))
	}
	if _, err := upgradeAll(handshakers, p.warmUp); err != nil {
		return sample{}, err
	}
	w, err := beginWindow(srv)
	if err != nil {
		return sample{}, err
	}
	times, err := upgradeAll(handshakers, p.window)
	if err != nil {
		return sample{}, err
	}
	return w.end(int64(len(times)), times)
}

// upgradeAll lets each go on for d, and returns how long each upgrade took.
func upgradeAll(handshakers []*handshaker, d time.Duration) (times []time.Duration, err error) {
	type done struct {
		times []time.Duration
		err   error
	}
	results := make(chan done)
	end := time.Now().Add(d)
	for _, h := range handshakers {
		go func() {
			var r done
			for r.err == nil && (len(r.times) == 0 || time.Now().Before(end)) {
				begun := time.Now()
				r.err = h.once()
				r.times = append(r.times, time.Since(begun))
			}
			results <- r
		}()
	}
	for range handshakers {
		r := <-results
		times = append(times, r.times...)
		err = errors.Join(err, r.err)
	}
	return times, err
}

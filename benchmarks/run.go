package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// entrant is a library in a scenario.
type entrant struct {
	library *library
	result  *libraryResult
}

// measureAll measures what the options choose.
func measureAll(o options, p *progress) (*results, error) {
	cores.pinLoad()
	r := &results{Report: o.report.name, Environment: newEnvironment(o)}
	clock := readClock()
	chosen := choose(o)
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no scenario matches")
	}
	checked := map[string]error{}
	skipped := map[string]string{}
	for i, s := range chosen {
		entrants := enter(s, o, r, checked, skipped, p)
		if len(entrants) == 0 {
			continue
		}
		rounds := o.rounds
		if s.rounds > 0 {
			rounds = min(rounds, s.rounds)
		}
		for round := range rounds {
			rand.Shuffle(len(entrants), func(i, j int) { entrants[i], entrants[j] = entrants[j], entrants[i] })
			for j, e := range entrants {
				done := (float64(i) + (float64(round)+float64(j)/float64(len(entrants)))/float64(rounds)) / float64(len(chosen))
				p.show(done, fmt.Sprintf("%s, round %d of %d: %s", s.name, round+1, rounds, e.library.name))
				measureOnce(s, e, o)
			}
		}
		r.Scenarios = append(r.Scenarios, s.result(entrants))
		p.line(r.Scenarios[len(r.Scenarios)-1].brief())
	}
	for _, name := range slices.Sorted(maps.Keys(skipped)) {
		r.Skipped = append(r.Skipped, name+": "+skipped[name])
	}
	r.Environment.Stolen, r.Environment.Others = readClock().since(clock)
	return r, nil
}

func choose(o options) (chosen []*scenario) {
	for _, s := range o.report.scenarios {
		if o.scenario.MatchString(s.name) && (s.quick || !o.quick) {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

// enter returns the libraries that are there and do what the scenario wants.
func enter(s *scenario, o options, r *results, checked map[string]error, skipped map[string]string, p *progress) (list []entrant) {
	for _, l := range libraries {
		if !s.has(l) || !(l.limit || o.library.MatchString(l.name)) {
			continue
		}
		version, err := l.installed()
		if err != nil {
			skipped[l.name] = err.Error()
			continue
		}
		if s.bench == nil {
			key := l.name + ", " + s.pattern
			if _, done := checked[key]; !done {
				p.show(-1, "checking "+key)
				checked[key] = check(l, s.pattern)
			}
			if err := checked[key]; err != nil {
				skipped[key] = err.Error()
				continue
			}
		}
		r.addLibrary(l, version)
		list = append(list, entrant{l, &libraryResult{Name: l.name}})
	}
	return list
}

// compile is the least warm-up of a program that is compiled while it runs.
const compile = 400 * time.Millisecond

// measureOnce adds a sample, which is empty where the measurement has failed.
func measureOnce(s *scenario, e entrant, o options) {
	warmUp := max(o.window/4, s.settle)
	if e.library.script != "" {
		warmUp = max(warmUp, compile)
	}
	x, err := s.sample(e.library, plan{warmUp: warmUp, window: o.window})
	if err != nil {
		e.result.Error = err.Error()
		x = sample{}
	}
	e.result.Samples = append(e.result.Samples, x)
}

// sample measures the library once, in a process of its own.
func (s *scenario) sample(l *library, p plan) (sample, error) {
	if s.bench != nil {
		return measureInProcess(s.bench[l.name], p)
	}
	srv, err := startServer(l, s.pattern, s.tls, s.procs)
	if err != nil {
		return sample{}, err
	}
	defer srv.stop()
	return s.measure(s, srv, p)
}

// remaining is a guess from the time that a part has taken.
func remaining(begun time.Time, done float64) time.Duration {
	if done <= 0 {
		return 0
	}
	return time.Duration(float64(time.Since(begun)) * (1 - done) / done).Round(time.Second)
}

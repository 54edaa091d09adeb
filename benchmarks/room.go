package main

import "sync"

// room is the connections of a broadcasting server.
type room[C comparable] struct {
	mu    sync.Mutex
	conns []C
}

func (r *room[C]) join(c C) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, c)
}

func (r *room[C]) leave(c C) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.conns {
		if r.conns[i] == c {
			r.conns[i] = r.conns[len(r.conns)-1]
			r.conns = r.conns[:len(r.conns)-1]
			return
		}
	}
}

// each calls send for every connection.
func (r *room[C]) each(send func(C) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		send(c) // a connection that fails is found by its reader
	}
}

// contend runs write in so many goroutines at once until it fails in all.
func contend(write func() error) {
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for write() == nil {
			}
		})
	}
	wg.Wait()
}

// locked is write with a mutex around each call.
func locked(write func() error) func() error {
	var mu sync.Mutex
	return func() error {
		mu.Lock()
		defer mu.Unlock()
		return write()
	}
}

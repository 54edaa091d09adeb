package main

import (
	"context"
	"log"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	announceSubject  = "nodes"
	announceInterval = time.Second
	aliveTime        = 5 * time.Second // a node is alive for so long after an announcement
	knownTime        = 24 * time.Hour  // its pages may connect for so long
)

// peers are the nodes of the cluster, this one among them. Each announces its URL every second.
type peers struct {
	self string // the URL of this node

	mu    sync.Mutex
	heard map[string]time.Time // by URL
}

// newPeers announces this node, and listens to the others, until ctx ends.
func newPeers(ctx context.Context, nc *nats.Conn, self string) (*peers, error) {
	p := &peers{self: self, heard: make(map[string]time.Time)}
	sub, err := nc.Subscribe(announceSubject, func(m *nats.Msg) { p.hear(string(m.Data)) })
	if err != nil {
		return nil, err
	}
	p.hear(self)
	go func() { // ends with ctx
		defer sub.Unsubscribe()
		for {
			if err := nc.Publish(announceSubject, []byte(self)); err != nil {
				log.Printf("announcement: %v", err)
			}
			if !sleep(ctx, announceInterval) {
				return
			}
		}
	}()
	return p, nil
}

func (p *peers) hear(url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.heard[url] = now
	for old, last := range p.heard {
		if now.Sub(last) > knownTime {
			delete(p.heard, old)
		}
	}
}

// list returns the URLs of the nodes that are alive, among them this one.
func (p *peers) list() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var alive []string
	for url, last := range p.heard {
		if url == p.self || time.Since(last) < aliveTime {
			alive = append(alive, url)
		}
	}
	slices.Sort(alive)
	return alive
}

// known reports whether a node with the URL is, or was, in the cluster.
func (p *peers) known(url string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.heard[url]
	return ok
}

//go:build race

package websocket

// raceEnabled: under the race detector sync.Pool forgets on purpose, so that
// allocations cannot be counted.
const raceEnabled = true

package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// The services: what a server does with its connections.
const (
	patternChat        = "service-chat"         // sends each message, as JSON, to all in its room
	patternChatDeflate = "service-chat-deflate" // the same with permessage-deflate
	patternMarket      = "service-market"       // sends what it writes itself to all connections
	patternGame        = "service-game"         // sends each player a state many times a second
	patternRPC         = "service-rpc"          // answers requests in another order
	patternUpload      = "service-upload"       // receives large messages and acknowledges each
)

const (
	// queueLength is how many messages wait for a connection that is slow, at most. Those for which there is
	// no room are skipped: the connection never gets them.
	queueLength = 64

	// serviceWriteTimeout bounds the write of a message, after which the connection is closed.
	serviceWriteTimeout = 10 * time.Second

	chatRoom    = 50 // connections in a room
	marketSize  = 300
	gamePlayers = 10 // in a match
	gameRate    = 30 // states per second
	gameSize    = 60
	rpcSize     = 100
	uploadSize  = 1 << 20
)

// timeSize is the length of the time that the messages of a service begin with, if they are binary: when they
// were due, on the clock of monotonic.
const timeSize = 8

func writeDeadline() time.Time { return time.Now().Add(serviceWriteTimeout) }

// reader returns the next message of a connection. It is valid until the next call.
type reader = func() ([]byte, error)

// queue is the messages that wait for one connection. A goroutine of the connection writes them.
type queue[M any] chan M

func newQueue[M any]() queue[M] { return make(queue[M], queueLength) }

// post adds a message, or skips it if the queue is full.
func (q queue[M]) post(m M) {
	select {
	case q <- m:
	default:
	}
}

// postAll posts a message to all in a room.
func postAll[M any](in *room[queue[M]], m M) {
	in.each(func(q queue[M]) error {
		q.post(m)
		return nil
	})
}

// rooms puts connections into rooms of a size, in the order in which they come.
type rooms[C comparable] struct {
	mu     sync.Mutex
	joined int
	last   *room[C]
}

// join adds c to a room. It returns the room, and whether c is its first connection.
func (r *rooms[C]) join(c C, size int) (in *room[C], first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if first = r.joined%size == 0; first {
		r.last = new(room[C])
	}
	r.joined++
	r.last.join(c)
	return r.last, first
}

// chatMessage is a message of the chat.
type chatMessage struct {
	Type   string `json:"type"`
	Room   string `json:"room"`
	From   string `json:"from"`
	Due    int64  `json:"due"` // when it was to be sent
	Text   string `json:"text"`
	Number int64  `json:"number,omitempty"` // set by the server
}

var errNotChat = errors.New("not a message of the chat")

// chatNumber is the number of the last message.
var chatNumber atomic.Int64

// forwarded is the message for the room that a client has sent.
func forwarded(p []byte) ([]byte, error) {
	var m chatMessage
	if err := json.Unmarshal(p, &m); err != nil {
		return nil, err
	}
	if m.Type != "message" || m.Text == "" {
		return nil, errNotChat
	}
	m.Number = chatNumber.Add(1)
	return json.Marshal(m)
}

// chat is a chat of connections that have a queue. prepare makes of a message what the queues contain.
type chat[M any] struct {
	rooms   rooms[queue[M]]
	prepare func(p []byte) (M, error)
}

// serve forwards what read returns, until it fails.
func (c *chat[M]) serve(q queue[M], read reader) {
	in, _ := c.rooms.join(q, chatRoom)
	defer in.leave(q)
	for {
		p, err := read()
		if err != nil {
			return
		}
		if p, err = forwarded(p); err != nil {
			return
		}
		m, err := c.prepare(p)
		if err != nil {
			return
		}
		postAll(in, m)
	}
}

// market writes to its readers. The first message that it receives says how often.
type market struct{ started atomic.Bool }

// receive starts the market, if p is the first message. publish gets each message, and may keep it.
func (m *market) receive(p []byte, publish func(p []byte)) {
	if len(p) != 4 || m.started.Swap(true) {
		return
	}
	go runMarket(binary.BigEndian.Uint32(p), publish)
}

// marketStart is the message that starts the market.
func marketStart(rate int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(rate)) }

func runMarket(rate uint32, publish func(p []byte)) {
	number := uint64(0)
	periodically(time.Second/time.Duration(rate), func(due int64) {
		p := make([]byte, marketSize)
		binary.BigEndian.PutUint64(p, uint64(due))
		binary.BigEndian.PutUint64(p[timeSize:], number)
		number++
		publish(p)
	})
}

// periodically calls f with the time when it was due, as long as the server runs. A call that is late delays no
// later one.
func periodically(period time.Duration, f func(due int64)) {
	for due := monotonic(); ; due += int64(period) {
		time.Sleep(time.Duration(due - monotonic()))
		f(due)
	}
}

// marketOf is a market of connections that have a queue. prepare makes of a message what the queues contain.
type marketOf[M any] struct {
	market
	readers room[queue[M]]
	prepare func(p []byte) (M, error)
}

// serve receives until read fails.
func (m *marketOf[M]) serve(q queue[M], read reader) {
	m.readers.join(q)
	defer m.readers.leave(q)
	for {
		p, err := read()
		if err != nil {
			return
		}
		m.receive(p, m.publish)
	}
}

func (m *marketOf[M]) publish(p []byte) {
	message, err := m.prepare(p)
	if err != nil {
		panic(err) // the message is always the same kind
	}
	postAll(&m.readers, message)
}

// game is the players' matches.
type game struct{ matches rooms[*player] }

// player is a connection of a game.
type player struct {
	post func(state []byte) // which may keep the state

	mu    sync.Mutex
	input []byte // what it has sent last, without the time; empty before the first
}

// join adds a player to a match, which the first one starts. A player gets states after its first input.
func (g *game) join(post func(state []byte)) (p *player, leave func()) {
	p = &player{post: post}
	match, first := g.matches.join(p, gamePlayers)
	if first {
		go periodically(time.Second/gameRate, func(due int64) {
			match.each(func(p *player) error {
				p.tick(due)
				return nil
			})
		})
	}
	return p, func() { match.leave(p) }
}

// serve takes what read returns as the player's input, until it fails.
func (g *game) serve(post func(state []byte), read reader) {
	p, leave := g.join(post)
	defer leave()
	for {
		b, err := read()
		if err != nil {
			return
		}
		p.receive(b)
	}
}

func (p *player) receive(b []byte) {
	if len(b) != gameSize {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.input = append(p.input[:0], b[timeSize:]...)
}

// tick posts the state at a time: the player's input.
func (p *player) tick(due int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.input) == 0 {
		return
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, gameSize), uint64(due))
	p.post(append(b, p.input...))
}

// rpcAnswer is the answer to a request: its id, and a result.
type rpcAnswer [rpcSize]byte

// rpcID is the id that a request begins with.
func rpcID(p []byte) (id uint64, ok bool) {
	if len(p) != rpcSize {
		return 0, false
	}
	return binary.BigEndian.Uint64(p), true
}

// handleRPC makes the answer to a request. Some take longer than others, and then those behind them overtake.
func handleRPC(id uint64) *rpcAnswer {
	for range id % 4 {
		runtime.Gosched()
	}
	a := new(rpcAnswer)
	binary.BigEndian.PutUint64(a[:], id)
	for i := timeSize; i < len(a); i++ {
		a[i] = byte(id) + byte(i)
	}
	return a
}

// serveRPC answers each request that read returns in a goroutine of its own, until read fails. Any number of
// goroutines call write, which fails when the connection is closed.
func serveRPC(read reader, write func(p []byte) error) {
	for {
		p, err := read()
		if err != nil {
			return
		}
		id, ok := rpcID(p)
		if !ok {
			return
		}
		go func() { write(handleRPC(id)[:]) }() // if that fails, so does read
	}
}

// receipt acknowledges an upload: its length, and its CRC-32.
type receipt [12]byte

func newReceipt(length int64, sum uint32) (r receipt) {
	binary.BigEndian.PutUint64(r[:], uint64(length))
	binary.BigEndian.PutUint32(r[8:], sum)
	return r
}

// uploadBuffer is the size of the pieces in which uploads are read.
const uploadBuffer = 64 << 10

// receiveUpload reads an upload in pieces, in the memory of buf.
func receiveUpload(r io.Reader, buf []byte) (receipt, error) {
	h := crc32.NewIEEE()
	n, err := io.CopyBuffer(h, r, buf)
	return newReceipt(n, h.Sum32()), err
}

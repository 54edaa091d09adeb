package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	streamName    = "ROOMS"
	subjectPrefix = "rooms." // followed by the name of a room

	// What the stream keeps of a room.
	maxStored = 10_000
	maxAge    = 24 * time.Hour

	// A message with the id of another one is not stored if it follows within this time.
	dedupeWindow = 10 * time.Minute

	maxOlder = 16 // clients for which older messages are read at a time

	requestTimeout = 3 * time.Second // for one request to the cluster
	inactiveTime   = 10 * time.Second
	retryDelay     = 250 * time.Millisecond

	// After the loss of a leader the cluster elects another one, which takes up to ten seconds.
	electionTimeout = 20 * time.Second
)

// store is the stream with the messages of all rooms. Any goroutine may call its methods.
type store struct {
	js    jetstream.JetStream
	id    string        // differs for a stream that was made anew
	older chan struct{} // has an element for each client for which older messages are read
}

// newStore returns the stream, which it makes if there is none. It waits until the cluster can do that, or until ctx
// ends.
func newStore(ctx context.Context, nc *nats.Conn, replicas int) (*store, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	config := jetstream.StreamConfig{
		Name:              streamName,
		Subjects:          []string{subjectPrefix + "*"},
		Replicas:          replicas,
		MaxMsgsPerSubject: maxStored,
		MaxAge:            maxAge,
		Duplicates:        dedupeWindow,
	}
	for reported := ""; ; {
		bounded, cancel := context.WithTimeout(ctx, requestTimeout)
		stream, err := js.CreateOrUpdateStream(bounded, config)
		cancel()
		if err == nil {
			id := strconv.FormatInt(stream.CachedInfo().Created.UnixNano(), 36)
			return &store{js, id, make(chan struct{}, maxOlder)}, nil
		}
		if !sleep(ctx, retryDelay) {
			return nil, fmt.Errorf("the stream: %w", err)
		}
		if reported != err.Error() {
			reported = err.Error()
			log.Printf("waiting for the stream: %v", err)
		}
	}
}

// publish stores a message and returns its number. If another message with the id is stored, it returns the number
// of that one. It tries again until ctx ends or electionTimeout is over; after an error the message may be stored
// nevertheless.
func (s *store) publish(ctx context.Context, room, id string, data []byte) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, electionTimeout)
	defer cancel()
	for {
		bounded, cancel := context.WithTimeout(ctx, requestTimeout)
		m := &nats.Msg{Subject: subjectPrefix + room, Data: data}
		ack, err := s.js.PublishMsg(bounded, m, jetstream.WithMsgID(id))
		cancel()
		if err == nil {
			return ack.Sequence, nil
		}
		if !sleep(ctx, retryDelay) {
			return 0, err
		}
	}
}

// first returns the number of the oldest message of all rooms, or that of the next one if there is none.
func (s *store) first(ctx context.Context) (uint64, error) {
	info, err := s.info(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.FirstSeq, nil
}

// leader returns the name of the NATS server that leads the stream, or "" if it is the only one.
func (s *store) leader(ctx context.Context) (string, error) {
	info, err := s.info(ctx)
	if err != nil || info.Cluster == nil {
		return "", err
	}
	return info.Cluster.Leader, nil
}

func (s *store) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stream, err := s.js.Stream(ctx, streamName)
	if err != nil {
		return nil, err
	}
	return stream.CachedInfo(), nil
}

// stored is a message with its number.
type stored struct {
	number uint64
	data   []byte
}

// cursor reads the messages of a room in order. It is for one goroutine at a time, and must be closed.
type cursor struct {
	pending  uint64 // messages that were stored when the cursor was made
	messages jetstream.MessagesContext
	read     uint64
}

// open returns a cursor that begins with the first message of the room whose number is not less than start.
func (s *store) open(ctx context.Context, room string, start uint64) (*cursor, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	consumer, err := s.js.CreateConsumer(ctx, streamName, jetstream.ConsumerConfig{
		FilterSubject:     subjectPrefix + room,
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       max(start, 1),
		AckPolicy:         jetstream.AckNonePolicy,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: inactiveTime,
	})
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages(
		jetstream.PullHeartbeat(time.Second),
		jetstream.PullExpiry(30*time.Second),
		jetstream.WithMessagesErrOnMissingHeartbeat(true),
	)
	if err != nil {
		return nil, err
	}
	return &cursor{pending: consumer.CachedInfo().NumPending, messages: messages}, nil
}

// next returns the next message, and waits for it until ctx ends. After any other error the cursor is of no more use,
// and a new one continues after the last message. No message is skipped.
func (c *cursor) next(ctx context.Context) (stored, error) {
	m, err := c.messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		return stored{}, err
	}
	about, err := m.Metadata()
	if err != nil {
		return stored{}, err
	}
	if c.read++; about.Sequence.Consumer != c.read {
		return stored{}, errors.New("a message was lost on the way")
	}
	return stored{about.Sequence.Stream, m.Data()}, nil
}

// close ends the reading. The cluster removes the consumer when it has not been used for inactiveTime.
func (c *cursor) close() { c.messages.Stop() }

// sleep waits for d, and reports whether ctx has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

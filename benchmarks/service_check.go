package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"
)

// serviceChecks see that the servers of the services do what is measured.
var serviceChecks = map[string]func(c *checker, s *server) error{
	patternChat:        checkChat,
	patternChatDeflate: checkChat,
	patternMarket:      checkMarket,
	patternGame:        checkGame,
	patternRPC:         checkRPC,
	patternUpload:      checkUpload,
}

// checkChat sees that a message goes to all in the room, with a number that the server has set.
func checkChat(c *checker, s *server) error {
	nc, err := dial(s.address, false, deflates(s.pattern))
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(setup))
	second := &checker{Conn: nc, r: bufio.NewReader(nc)}
	service := newChatService(deflates(s.pattern))
	if err := c.chat(service, 1, c); err != nil {
		return err
	}
	return second.chat(service, 2, c, second)
}

// chat sends the message of a number, which the receivers get.
func (c *checker) chat(service *service, number int64, receivers ...*checker) error {
	if _, err := c.Write(service.appendFrame(nil, number)); err != nil {
		return err
	}
	for _, to := range receivers {
		if err := to.wantChat(number); err != nil {
			return err
		}
	}
	return nil
}

// wantChat reads the message of a number, behind earlier ones: whether a connection gets them depends on when it
// was in the room.
func (c *checker) wantChat(number int64) error {
	var want, got chatMessage
	if err := json.Unmarshal(appendText(nil, number), &want); err != nil {
		return err
	}
	want.Number = number
	for got.Number < number {
		h, p, err := c.inflated()
		if err != nil {
			return err
		}
		if h.opcode() != opText {
			return fmt.Errorf("chat: got opcode %d", h.opcode())
		}
		if err := json.Unmarshal(p, &got); err != nil {
			return err
		}
	}
	if got != want {
		return fmt.Errorf("chat: got %+v, want %+v", got, want)
	}
	return nil
}

// checkMarket sees that a connection that reads nothing does not delay another, and misses messages.
func checkMarket(c *checker, s *server) error {
	const rate, messages = 10000, 2000 // which are more than the buffers and the queue have room for
	nc, err := dialSlow(s.address)
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(setup))
	if _, err := c.Write(newMarketService(rate).appendFrame(nil, 0)); err != nil {
		return err
	}
	for last := uint64(0); last < messages; {
		number, err := c.marketNumber()
		if err != nil {
			return err
		}
		if number < last {
			return fmt.Errorf("market: message %d after %d", number, last)
		}
		last = number
	}
	slow := &checker{Conn: nc, r: bufio.NewReader(nc)}
	last, err := slow.marketNumber()
	for number := last; err == nil && number <= last+1; {
		last = number
		number, err = slow.marketNumber()
	}
	return err
}

// marketNumber is the number of the next message.
func (c *checker) marketNumber() (uint64, error) {
	_, p, err := c.message()
	if err != nil {
		return 0, err
	}
	if len(p) != marketSize {
		return 0, errBadSize
	}
	return binary.BigEndian.Uint64(p[timeSize:]), nil
}

// checkGame sees that the states contain what the player has sent last, and the time.
func checkGame(c *checker, _ *server) error {
	input := payload(gameSize)
	if _, err := c.Write(appendClientFrame(nil, finBit|opBinary, input)); err != nil {
		return err
	}
	last := uint64(0)
	for range gameRate {
		_, p, err := c.message()
		if err != nil {
			return err
		}
		if len(p) != gameSize {
			return errBadSize
		}
		due := binary.BigEndian.Uint64(p)
		if last > 0 && due-last != uint64(time.Second/gameRate) {
			return fmt.Errorf("game: %v between two states", time.Duration(due-last))
		}
		if last = due; string(p[timeSize:]) == string(input[timeSize:]) {
			return nil
		}
	}
	return errors.New("game: no state contains the input")
}

// checkRPC sees that all requests are answered, and not in their order.
func checkRPC(c *checker, _ *server) error {
	const requests = 64
	var b []byte
	var want []uint64
	for id := range uint64(requests) {
		b = appendTimed(b, id, rpcSize)
		want = append(want, id)
	}
	if _, err := c.Write(b); err != nil {
		return err
	}
	var got []uint64
	for range requests {
		h, p, err := c.message()
		if err != nil {
			return err
		}
		id, ok := rpcID(p)
		if !ok || h.opcode() != opBinary {
			return errBadSize
		}
		got = append(got, id)
	}
	if slices.Equal(got, want) {
		return errors.New("RPC: the answers are in the order of the requests")
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return fmt.Errorf("RPC: got answers to %v", got)
	}
	return nil
}

// checkUpload sees that all of a message was received.
func checkUpload(c *checker, _ *server) error {
	for _, size := range []int{1, uploadSize} {
		p := payload(size)
		if _, err := c.Write(appendClientFrame(nil, finBit|opBinary, p)); err != nil {
			return err
		}
		want := newReceipt(int64(size), crc32.ChecksumIEEE(p))
		if err := c.want("the receipt of an upload", opBinary, want[:]); err != nil {
			return err
		}
	}
	return nil
}

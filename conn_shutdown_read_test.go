//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// closingReaders are ways to read all messages.
var closingReaders = []struct {
	name string
	next func(c *Conn, ctx context.Context) (string, error)
}{
	{"ReadMessage", func(c *Conn, _ context.Context) (string, error) {
		_, p, err := c.ReadMessage()
		return string(p), err
	}},
	{"AppendMessage", func(c *Conn, _ context.Context) (string, error) {
		_, p, err := c.AppendMessage(make([]byte, 0, 8))
		return string(p), err
	}},
	{"ReadMessageContext", func(c *Conn, ctx context.Context) (string, error) {
		_, p, err := c.ReadMessageContext(ctx)
		return string(p), err
	}},
	{"NextReader", func(c *Conn, _ context.Context) (string, error) {
		_, r, err := c.NextReader()
		if err != nil {
			return "", err
		}
		p, err := io.ReadAll(oneByteReader{r})
		return string(p), err
	}},
	{"NextReader, not to io.EOF", func(c *Conn, _ context.Context) (string, error) {
		_, r, err := c.NextReader()
		if err != nil {
			return "", err
		}
		p := make([]byte, 1)
		if _, err := io.ReadFull(r, p); err == io.EOF {
			return "", nil // an empty message
		} else if err != nil {
			return "", err
		}
		rest := make([]byte, p[0]-'0') // the rest of a message begins with its length
		n, err := io.ReadFull(r, rest)
		return string(p) + string(rest[:n]), err
	}},
}

// oneByteReader reads one byte at a time.
type oneByteReader struct{ r io.Reader }

func (o oneByteReader) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

// closingMessages come after our Close frame: messages that begin with their length,
// in one frame and in several, an empty one, and control frames between them.
var closingMessages = []string{
	"\x813one", "\x82", "\x89ping", "\x012t", "\x80w", "\x025th", "\x89", "\x00r", "\x8aunasked", "\x00", "\x80ee", "\x814four",
}

var closingWant = []string{"3one", "", "2tw", "5three", "4four"}

// The reader that is at work, or comes soon, gets every message, and then the
// *CloseError, however it reads.
func TestShutdownReaderGetsAll(t *testing.T) {
	for _, reader := range closingReaders {
		for _, pause := range []time.Duration{0, 1, claimTime / 2, claimTime - 1} {
			for _, first := range []string{"the reader", "Shutdown", "the messages"} {
				t.Run(fmt.Sprint(reader.name, " every ", pause, ", first comes ", first), func(t *testing.T) {
					inClosing(t, func(t *testing.T, tc *closing) {
						readAll := func() (string, error) {
							var got []string
							for {
								if first != "the reader" || len(got) > 0 {
									time.Sleep(pause)
								}
								m, err := reader.next(tc.c, t.Context())
								if err != nil {
									return fmt.Sprint(got), err
								}
								got = append(got, m)
							}
						}
						var read, shutdown *call
						steps := map[string]func(){
							"the reader": func() { read = begin(t, readAll) },
							"Shutdown":   func() { shutdown = tc.shutdown(t.Context(), CloseNormalClosure, "") },
							"the messages": func() {
								tc.send(closingMessages...)
								tc.send(closeFrame(CloseNormalClosure, "bye"))
							},
						}
						steps[first]()
						synctest.Wait()
						for _, name := range []string{"Shutdown", "the reader", "the messages"} {
							if name != first {
								steps[name]()
							}
						}
						<-read.done
						if want := fmt.Sprint(closingWant); read.result != want || fmt.Sprint(read.err) != "websocket: close 1000 (normal): bye" {
							t.Errorf("got %v, %v, want %v and the peer's Close frame", read.result, read.err, want)
						}
						tc.wire.Close()
						<-shutdown.done
						if shutdown.err != nil {
							t.Errorf("Shutdown: got %v, want nil", shutdown.err)
						}
					})
				})
			}
		}
	}
}

// The reader and Shutdown change places at every byte.
func TestShutdownReaderAtEveryByte(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		go func() {
			for _, f := range append(slices.Clone(closingMessages), closeFrame(CloseNormalClosure, "bye")) {
				for _, b := range closingFrame(tc.server, f) {
					time.Sleep(10 * time.Millisecond)
					tc.wire.Write([]byte{b})
				}
			}
		}()
		var got []string
		for {
			time.Sleep(3 * time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_, p, err := tc.c.ReadMessageContext(ctx)
			cancel()
			if errors.Is(err, context.DeadlineExceeded) {
				continue
			}
			if err != nil {
				if err.Error() != "websocket: close 1000 (normal): bye" {
					t.Errorf("got %v, want the peer's Close frame", err)
				}
				break
			}
			got = append(got, string(p))
		}
		if !slices.Equal(got, closingWant) {
			t.Errorf("got %q, want %q", got, closingWant)
		}
		tc.wire.Close()
		<-shutdown.done
		if shutdown.err != nil {
			t.Errorf("Shutdown: got %v, want nil", shutdown.err)
		}
	})
}

// A reader within a message comes back in time, and gets the rest.
func TestShutdownWithinAMessageOfThePeer(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		tc.send("\x01one ")
		_, r, err := tc.c.NextReader()
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 4)
		io.ReadFull(r, p)
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		shutdown.wantWaiting("the reader may come back")
		tc.send("\x00message", "\x80 in parts", "\x82another", closeFrame(CloseNormalClosure, "bye"))
		tc.wire.Close()
		time.Sleep(claimTime - 1)
		if rest, err := io.ReadAll(r); string(rest) != "message in parts" || err != nil {
			t.Errorf("got %q, %v, want the rest of the message", rest, err)
		}
		time.Sleep(claimTime - 1)
		tc.read().wantMessage("the next one", "another")
		time.Sleep(claimTime - 1)
		tc.read().want("the last one", 0, "websocket: close 1000 (normal): bye")
		<-shutdown.done
		if shutdown.err != nil {
			t.Errorf("Shutdown: got %v, want nil", shutdown.err)
		}
	})
}

// The end of a message that was read to its last byte is its end, though Shutdown has
// gone on to the next one.
func TestShutdownReaderAtTheEndOfItsMessage(t *testing.T) {
	for _, message := range []string{"", "one"} {
		inClosing(t, func(t *testing.T, tc *closing) {
			tc.send("\x82" + message)
			_, r, err := tc.c.NextReader()
			if err != nil {
				t.Fatal(err)
			}
			io.ReadFull(r, make([]byte, len(message)))
			shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
			shutdown.wantWaiting("the peer has not answered")
			tc.send("\x82two")
			synctest.Wait() // Shutdown has seen it begin
			if n, err := r.Read(make([]byte, 10)); n != 0 || err != io.EOF {
				t.Errorf("got %d bytes, %v, want 0, io.EOF", n, err)
			}
			tc.read().wantMessage("nothing is lost", "two")
			tc.send(closeFrame(CloseNormalClosure, ""))
			synctest.Wait()
			tc.wire.Close()
			shutdown.want("the handshake is complete", 0, noError)
		})
	}
}

// What an interrupted read has of a message is kept for claimTime.
func TestShutdownAfterInterruptedRead(t *testing.T) {
	interrupt := func(t *testing.T, tc *closing) {
		t.Helper()
		tc.send("\x01one ")
		tc.c.SetReadDeadline(time.Now())
		if _, _, err := tc.c.ReadMessage(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %v, want a timeout", err)
		}
		tc.c.SetReadDeadline(time.Time{})
	}
	inClosing(t, func(t *testing.T, tc *closing) {
		interrupt(t, tc)
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		shutdown.wantWaiting("the program may go on reading")
		tc.send("\x80message", "\x82another")
		time.Sleep(claimTime - 1)
		tc.read().wantMessage("in time", "one message")
		tc.read().wantMessage("in time", "another")
		tc.send(closeFrame(CloseNormalClosure, ""))
		synctest.Wait()
		tc.wire.Close()
		shutdown.want("the handshake is complete", claimTime-1, noError)
	})
	inClosing(t, func(t *testing.T, tc *closing) {
		interrupt(t, tc)
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		tc.send("\x80message", "\x82another")
		time.Sleep(claimTime + 1)
		late := tc.read()
		late.want("too late for the one, and so for the other", 0, errDiscarded.Error())
		tc.send(closeFrame(CloseNormalClosure, "bye"))
		tc.wire.Close()
		if late.result != "" {
			t.Errorf("got %q with the error, want nothing", late.result)
		}
		<-shutdown.done
	})
}

// A reader whose context or deadline ends while Shutdown goes on loses nothing, and
// comes back.
func TestShutdownReaderWithTimeouts(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		var got []string
		reader := begin(t, func() (string, error) {
			for i := 0; ; i++ {
				var p []byte
				var err error
				if i%2 == 0 {
					ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
					_, p, err = tc.c.ReadMessageContext(ctx)
					cancel()
				} else {
					tc.c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
					_, p, err = tc.c.ReadMessage()
				}
				if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
					continue
				}
				if err != nil {
					return "", err
				}
				got = append(got, string(p))
			}
		})
		var want []string
		for i := range 20 {
			time.Sleep(time.Duration(i) * 37 * time.Millisecond)
			want = append(want, fmt.Sprint(i))
			tc.send("\x81" + fmt.Sprint(i))
		}
		tc.send(closeFrame(CloseNormalClosure, ""))
		<-reader.done
		if !slices.Equal(got, want) || !IsCloseError(reader.err, CloseNormalClosure) {
			t.Errorf("got %v, %v, want %v and the peer's Close frame", got, reader.err, want)
		}
		tc.wire.Close()
		<-shutdown.done
		if shutdown.err != nil {
			t.Errorf("Shutdown: got %v, want nil", shutdown.err)
		}
	})
}

// The program's read deadline applies to what the program reads, also of a message that
// Shutdown has found.
func TestShutdownReadDeadlineWithinAMessage(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		tc.c.SetReadDeadline(time.Now().Add(time.Second))
		tc.send("\x01part")
		synctest.Wait() // Shutdown has found it
		read := tc.read()
		<-read.done
		if !errors.Is(read.err, os.ErrDeadlineExceeded) || read.took != time.Second {
			t.Errorf("got %v after %v, want a timeout after 1s", read.err, read.took)
		}
		tc.c.SetReadDeadline(time.Time{})
		tc.send("\x80 and rest", closeFrame(CloseNormalClosure, ""))
		tc.wire.Close()
		tc.read().wantMessage("nothing is lost", "part and rest")
		shutdown.want("the handshake is complete", time.Second, noError)
	})
}

// Who has come for a message may take his time with it: the next one waits its own time.
func TestShutdownSlowReader(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		read := tc.read()
		synctest.Wait()
		tc.send("\x81one")
		read.wantMessage("the reader has waited for it", "one")
		time.Sleep(5 * claimTime)
		tc.send("\x81two", closeFrame(CloseNormalClosure, ""))
		tc.wire.Close()
		time.Sleep(claimTime - 1)
		tc.read().wantMessage("in time", "two")
		shutdown.want("the handshake is complete", 6*claimTime-1, noError)
	})
}

// A read that Shutdown makes way for may fail before it has begun: Shutdown does not wait for it.
func TestShutdownMakesWayForAReadThatFails(t *testing.T) {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tt := range []struct {
		name string
		read func(c *Conn) error
		want error
	}{
		{"the context has ended", func(c *Conn) error { return c.awaitRead(&limit{ctx: canceled}) }, context.Canceled},
		{"messages are discarded", func(c *Conn) error {
			c.readLock.end(phaseDiscarded, errDiscarded, nil)
			return second3(c.ReadMessage())
		}, errDiscarded},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, _ := newTestConn(t, true)
			other := make(chan struct{})
			c.readLock.tryAcquire(lockDrain)
			done := make(chan bool)
			go func() {
				came, err := c.readLock.yield(lockDrain, func() bool { return true }, time.Time{}, &noLimit)
				done <- came && err == nil
			}()
			synctest.Wait()
			c.readLock.tryAcquire(lockDrain) // another one has been faster, so that the read must wait
			go func() {
				defer close(other)
				if err := tt.read(c); err != tt.want {
					t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
				}
			}()
			<-other
			c.readLock.release(false)
			if held := <-done; !held {
				t.Errorf("%s: got the lock to another one, want it back", tt.name)
			}
			c.endRead()
		})
	}
}

// The reader of an empty message returns io.EOF, whatever Shutdown and the next message do meanwhile.
func TestShutdownBehindAnEmptyMessage(t *testing.T) {
	for _, next := range []string{"a message", "the Close frame"} {
		synctest.Test(t, func(t *testing.T) {
			c, peer := newConnPair(t)
			defer c.Close()
			defer peer.Close()
			peer.WriteMessage(BinaryMessage, nil)
			if next == "the Close frame" {
				peer.WriteControl(CloseMessage, nil, time.Time{})
			}
			_, empty, err := c.NextReader()
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			go c.Shutdown(ctx, CloseNormalClosure, "")
			synctest.Wait()
			second := empty
			if next == "a message" {
				peer.WriteMessage(BinaryMessage, []byte("second"))
				synctest.Wait()
				if _, second, err = c.NextReader(); err != nil {
					t.Fatal(err)
				}
			}
			if n, err := empty.Read(make([]byte, 3)); n != 0 || err != io.EOF {
				t.Errorf("before %s: got %d bytes, %v from the reader of the empty message, want io.EOF", next, n, err)
			}
			if p, err := io.ReadAll(second); second != empty && string(p) != "second" || err != nil {
				t.Errorf("got %q, %v, want the second message", p, err)
			}
		})
	}
}

// A message that was read to its last byte has been read, though the program did not ask for io.EOF:
// Shutdown does not wait for that.
func TestShutdownBehindTheLastByte(t *testing.T) {
	message := strings.Repeat("text that compresses ", 3)
	d := acquireDeflater(defaultCompressionLevel, maxWindowBits)
	p, _ := d.message(nil, []byte(message))
	releaseDeflater(d)
	compressed := string(p)
	for name, frames := range map[string][]string{
		"one frame":                     {"\x82" + message},
		"an empty fragment":             {"\x02" + message, "\x80"},
		"several empty fragments":       {"\x02" + message, "\x00", "\x00", "\x80"},
		"compressed":                    {"\xc2" + compressed},
		"compressed, with BFINAL":       {"\xc2" + compressed + deflateTail + "\x01\x00\x00\xff\xff"},
		"compressed, in fragments":      {"\x42" + compressed[:9], "\x00" + compressed[9:], "\x00", "\x80"},
		"compressed, the end by itself": {"\x42" + compressed[:len(compressed)-1], "\x80" + compressed[len(compressed)-1:]},
	} {
		for _, takeover := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				c, wire := newCompressedConn(t, true, CompressionOptions{ContextTakeover: takeover})
				for _, f := range frames {
					wire.Write(closingFrame(true, f))
				}
				_, r, err := c.NextReader()
				if err != nil {
					t.Fatal(err)
				}
				got := make([]byte, len(message))
				if _, err := io.ReadFull(r, got); err != nil || string(got) != message {
					t.Fatalf("%s: got %q, %v, want the message", name, got, err)
				}
				closing := begin(t, func() (string, error) { return "", c.Shutdown(t.Context(), CloseNormalClosure, "") })
				wire.Write(closingFrame(true, closeFrame(CloseNormalClosure, "")))
				closing.want(name, 0, noError)
				if held := borrowed(c); held != "" {
					t.Errorf("%s: got that %s was not given back", name, held)
				}
			})
		}
	}
}

// timeoutConn is a network connection whose reads fail for ever with an error that passes for a timeout.
type timeoutConn struct {
	net.Conn
	err error
}

func (c timeoutConn) Read([]byte) (int, error) { return 0, c.err }

// Shutdown does not try again and again what fails with a timeout though there is no deadline, and neither
// does a program afterwards that repeats a read which has timed out.
func TestShutdownReadsThatAlwaysTimeOut(t *testing.T) {
	for err, want := range map[error]string{
		os.ErrDeadlineExceeded:              "websocket: a read has timed out without a deadline: i/o timeout",
		&keepaliveError{"the peer is dead"}: "websocket: the peer is dead",
	} {
		synctest.Test(t, func(t *testing.T) {
			near, _ := newPipe(t, 1000)
			c := newConn(timeoutConn{near, err}, true, nil, connOptions{})
			if got := c.Shutdown(t.Context(), CloseNormalClosure, ""); got == nil || got.Error() != want {
				t.Errorf("got %v, want %s", got, want)
			}
			if got := second3(c.ReadMessage()); got == nil || got.Error() != want || isTimeout(got) {
				t.Errorf("got %v of a read, want %s, and no timeout", got, want)
			}
		})
	}
}

// The context of one Shutdown ends while a message waits for the program, which has time left to come for it.
// The program is not told that the peer has closed the connection cleanly behind what it has not got.
func TestShutdownWhoseContextEndsDiscardsNothing(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			near, far := newPipe(t, 1<<20)
			c := newConn(slowConn{near}, true, nil, connOptions{})
			defer c.Close()
			far.Write(peerFrames(true, peerFrame{true, opText, "message"}, peerClose))
			var calls []*call
			for _, limit := range []time.Duration{claimTime / 2, time.Hour} {
				calls = append(calls, begin(t, func() (string, error) {
					ctx, cancel := context.WithTimeout(t.Context(), limit)
					defer cancel()
					return "", c.Shutdown(ctx, CloseNormalClosure, "")
				}))
			}
			time.Sleep(claimTime * 6 / 10)
			if _, p, err := c.ReadMessage(); err == nil || IsCloseError(err, CloseNormalClosure) {
				t.Errorf("got %q, %v, want that the connection was closed by Shutdown", p, err)
			}
			for _, x := range calls {
				<-x.done
			}
		})
	}
}

// slowConn is a connection whose writes take a little longer than half of claimTime.
type slowConn struct{ *pipeConn }

func (c slowConn) Write(p []byte) (int, error) {
	time.Sleep(claimTime/2 + time.Millisecond)
	return c.pipeConn.Write(p)
}

//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// Several goroutines, and several times: one Close frame, one result.
func TestShutdownSeveral(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		var all []*call
		for i := range 10 {
			all = append(all, tc.shutdown(t.Context(), 4000+i, ""))
		}
		synctest.Wait()
		if got := len(readFrames(t, tc.wire, 1)); got != 1 {
			t.Fatalf("got %d frames, want one Close frame", got)
		}
		for _, c := range all {
			c.wantWaiting("the peer has not answered")
		}
		tc.send(closeFrame(CloseNormalClosure, ""))
		synctest.Wait()
		tc.wire.Close()
		for _, c := range all {
			c.want("all of them", 0, noError)
		}
		for range 3 {
			tc.shutdown(t.Context(), CloseNormalClosure, "").want("again", 0, noError)
		}
	})
}

// The one whose context ends first closes the connection for all.
func TestShutdownSeveralContexts(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		patient := tc.shutdown(t.Context(), CloseNormalClosure, "")
		hasty := tc.shutdown(short, CloseNormalClosure, "")
		hasty.want("its own context", time.Second, "context deadline exceeded")
		<-patient.done
		if !errors.Is(patient.err, net.ErrClosed) || patient.took != time.Second {
			t.Errorf("got %v after %v, want net.ErrClosed after 1s", patient.err, patient.took)
		}
		err := tc.c.Shutdown(t.Context(), CloseNormalClosure, "")
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("again: got %v, want net.ErrClosed", err)
		}
	})
}

// Shutdown in the close handler answers in place of the default.
func TestShutdownInCloseHandler(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		var got error
		tc.c.SetCloseHandler(func(code int, text string) error {
			got = tc.c.Shutdown(t.Context(), 4001, "from the handler")
			return got
		})
		read := tc.read()
		tc.send(closeFrame(4000, ""))
		read.want("the peer's Close frame", 0, "websocket: close 4000")
		if got != nil {
			t.Errorf("got %v, want nil", got)
		}
		tc.want("the handler's Close frame is the answer", closeFrame(4001, "from the handler"))
		tc.wantClosed("Shutdown closes the network connection", true)
	})
}

// Another goroutine's Shutdown while the close handler runs and waits for it.
func TestShutdownWhileCloseHandlerWaits(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		var shutdown *call
		tc.c.SetCloseHandler(func(code int, text string) error {
			shutdown = tc.shutdown(t.Context(), 4001, "")
			<-shutdown.done
			return nil
		})
		read := tc.read()
		tc.send(closeFrame(4000, ""))
		read.want("the peer's Close frame", 0, "websocket: close 4000")
		shutdown.want("the peer's Close frame has come", 0, noError)
	})
}

// Within a ping or pong handler Shutdown waits for the read that has called the handler, but
// not longer than its context.
func TestShutdownInPingHandler(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		handler := func(string) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return tc.c.Shutdown(ctx, CloseNormalClosure, "")
		}
		tc.c.SetPingHandler(handler)
		tc.c.SetPongHandler(handler)
		read := tc.read()
		tc.send("\x89", closeFrame(CloseNormalClosure, ""))
		tc.want("Shutdown begins with it", closeFrame(CloseNormalClosure, ""))
		read.want("the handler's error", time.Second, "context deadline exceeded")
		tc.wantClosed("Shutdown closes the network connection", true)
	})
}

// The goroutine that reads closes, in its loop or after it.
func TestShutdownByTheReader(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		reader := begin(t, func() (string, error) {
			for {
				_, p, err := tc.c.ReadMessage()
				if err != nil {
					return "", err
				}
				if string(p) == "quit" {
					if err := tc.c.Shutdown(t.Context(), CloseNormalClosure, ""); err != nil {
						t.Errorf("got %v, want nil", err)
					}
				}
			}
		})
		tc.send("\x81one", "\x81quit")
		tc.want("the loop shuts down", closeFrame(CloseNormalClosure, ""))
		tc.send(closeFrame(CloseNormalClosure, "bye"))
		synctest.Wait()
		tc.wire.Close()
		reader.want("and then reads on", 0, "websocket: close 1000 (normal): bye")
	})
	inClosing(t, func(t *testing.T, tc *closing) {
		loop := begin(t, func() (string, error) {
			for {
				if _, _, err := tc.c.ReadMessage(); err != nil {
					return "", tc.c.Shutdown(t.Context(), CloseInternalServerErr, "")
				}
			}
		})
		tc.send("\x81one", "\xc1")
		tc.want("the reader fails the connection", "\x88\x03\xeareserved bit RSV1 is set")
		time.Sleep(time.Second)
		tc.wire.Close()
		loop.want("the peer's end is waited for", time.Second, "websocket: reserved bit RSV1 is set")
	})
}

// The deadlines that the program has set are for its own reads and writes.
func TestShutdownIgnoresDeadlines(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		tc.c.SetReadDeadline(time.Now().Add(time.Second))
		tc.c.SetWriteDeadline(aLongTimeAgo)
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		tc.want("no write deadline applies", closeFrame(CloseNormalClosure, ""))
		time.Sleep(2 * time.Second)
		shutdown.wantWaiting("no read deadline applies")
		tc.c.SetReadDeadline(aLongTimeAgo)
		shutdown.wantWaiting("nor one that is set meanwhile")
		tc.send(closeFrame(CloseNormalClosure, ""))
		synctest.Wait()
		tc.wire.Close()
		shutdown.want("the handshake is complete", 2*time.Second, noError)
	})
}

// Shutdown waits for nothing that a message writer holds.
func TestShutdownWithinAMessage(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		w, err := tc.c.NextWriter(TextMessage)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte("never finished"))
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		tc.want("a Close frame passes between fragments", closeFrame(CloseNormalClosure, ""))
		tc.send(closeFrame(CloseNormalClosure, ""))
		synctest.Wait()
		tc.wire.Close()
		shutdown.want("the handshake is complete", 0, noError)
		if err := w.Close(); err != ErrCloseSent && !errors.Is(err, net.ErrClosed) {
			t.Errorf("the message writer: got %v, want ErrCloseSent or net.ErrClosed", err)
		}
	})
}

// Shutdown answers what comes, and runs none of the program's handlers: they would run at the same time
// as the program's own code, which a panic of theirs would end.
func TestShutdownRunsNoHandlers(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		tc.c.SetPingHandler(func(string) error { panic("ping") })
		tc.c.SetPongHandler(func(string) error { panic("pong") })
		tc.c.SetCloseHandler(func(int, string) error { panic("close") })
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		tc.send("\x891", "\x8a2", closeFrame(4000, "3"))
		tc.want("no pong follows a Close frame", closeFrame(CloseNormalClosure, ""))
		tc.wire.Close()
		shutdown.want("the handshake is complete", 0, noError)
		tc.read().want("it is over", 0, "websocket: close 4000: 3")
	})
}

// A handler of the program's read is at work: Shutdown waits for the read, as long as its context lasts.
func TestShutdownWaitsForHandlers(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		tc.c.SetPongHandler(func(string) error { time.Sleep(time.Minute); return nil })
		read := tc.read()
		tc.send("\x8a")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		tc.shutdown(ctx, CloseNormalClosure, "").want("the context ends", time.Second, "context deadline exceeded")
		<-read.done
		if !errors.Is(read.err, net.ErrClosed) || read.took != time.Minute {
			t.Errorf("got %v after %v, want net.ErrClosed after the handler", read.err, read.took)
		}
	})
}

// While Shutdown reads, the program's read makes it give way, and has its own deadline, context and
// message.
func TestShutdownGivesWayToReads(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		synctest.Wait()
		tc.want("Shutdown begins with it", closeFrame(CloseNormalClosure, ""))
		for range 3 {
			read := tc.read()
			synctest.Wait()
			tc.c.SetReadDeadline(time.Now().Add(time.Second))
			<-read.done
			if !errors.Is(read.err, os.ErrDeadlineExceeded) || read.took != time.Second {
				t.Errorf("got %v after %v, want a timeout after a second", read.err, read.took)
			}
			tc.c.SetReadDeadline(time.Time{})

			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, _, err := tc.c.ReadMessageContext(ctx)
			if err != context.DeadlineExceeded {
				t.Errorf("got %v, want the context's error", err)
			}
			cancel()

			read = tc.read()
			synctest.Wait()
			tc.send("\x82message")
			read.wantMessage("it is for the program", "message")
		}
		read := tc.read()
		tc.send(closeFrame(4000, ""))
		read.want("the peer's Close frame", 0, "websocket: close 4000")
		tc.wire.Close()
		<-shutdown.done
		if shutdown.err != nil {
			t.Errorf("got %v, want nil", shutdown.err)
		}
	})
}

// While Shutdown discards messages, reads fail at once, instead of going on behind a gap.
func TestReadsWhileShutdownDiscards(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		tc.send("\x82one", "\x02part")
		time.Sleep(claimTime + 1)
		const discarded = "websocket: Shutdown has discarded messages: use of closed network connection"
		for range 2 {
			read := tc.read()
			read.want("a message was discarded", 0, discarded)
			wantErrorIs(t, read.err, net.ErrClosed)
			tc.send("\x80ial", "\x02part")
		}
		shutdown.wantWaiting("the peer's Close frame has not come")
		tc.send("\x80", closeFrame(4000, ""))
		synctest.Wait()
		tc.wire.Close()
		shutdown.want("it has come", claimTime+1, noError)
		tc.read().want("it is over", 0, "websocket: close 4000")
	})
}

// The limits and rules for messages hold for those that Shutdown discards.
func TestShutdownChecksWhatItDiscards(t *testing.T) {
	for _, tt := range []struct {
		frames []string
		want   string
	}{
		{[]string{"\x82" + string(make([]byte, 101))}, "websocket: read limit exceeded"},
		{[]string{"\x81one", "\x81\xff"}, "websocket: text is not valid UTF-8"},
		{[]string{"\x81one", "\x80"}, "websocket: continuation frame without a message to continue"},
	} {
		inClosing(t, func(t *testing.T, tc *closing) {
			tc.c.SetReadLimit(100)
			shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
			tc.send(tt.frames...)
			time.Sleep(claimTime)
			synctest.Wait()
			tc.wire.Close()
			<-shutdown.done
			if fmt.Sprint(shutdown.err) != tt.want {
				t.Errorf("got %v, want %s", shutdown.err, tt.want)
			}
		})
	}
}

// The program sets limits and handlers while Shutdown reads in its place.
func TestShutdownAndSetters(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		tc.send("\x89ping", "\x8apong", "\x82message", closeFrame(CloseNormalClosure, ""))
		tc.c.SetReadLimit(100)
		tc.c.SetPingHandler(nil)
		tc.c.SetPongHandler(nil)
		tc.c.SetCloseHandler(nil)
		synctest.Wait()
		tc.read().wantMessage("in time", "message")
		tc.read()
		synctest.Wait()
		tc.wire.Close()
		shutdown.want("the handshake is complete", 0, noError)
	})
}

// After Shutdown has given up, reads say that the connection is closed, again and again.
func TestShutdownThenRead(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		ctx, cancel := context.WithTimeout(t.Context(), claimTime/2)
		defer cancel()
		tc.wire.Write(append(closingFrame(tc.server, "\x82one"), closingFrame(tc.server, "\x82two")...))
		tc.shutdown(ctx, CloseNormalClosure, "").want("nobody has come for them", claimTime/2, "context deadline exceeded")
		for range 3 {
			if _, p, err := tc.c.ReadMessage(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %q, %v, want net.ErrClosed", p, err)
			}
		}
	})
}

// Close ends Shutdown at once, whatever that is waiting for.
func TestCloseDuringShutdown(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(tc *closing)
	}{
		{"the peer's Close frame", func(tc *closing) {}},
		{"the program to read a message", func(tc *closing) { tc.send("\x81hello") }},
		{"a read that is at work", func(tc *closing) { tc.read().wantWaiting("nothing has come") }},
	} {
		inClosing(t, func(t *testing.T, tc *closing) {
			shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
			shutdown.wantWaiting("the peer has not answered")
			tt.before(tc)
			shutdown.wantWaiting(tt.name)
			tc.c.Close()
			shutdown.want(tt.name, 0, "read pipe pipe->pipe: use of closed network connection")
		})
	}
}

// Close has ended the reading, in which a handler is still at work: the handshake is not complete, and
// Shutdown does not wait for the handler.
func TestShutdownAfterCloseInAHandler(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		handling, done := make(chan struct{}), make(chan struct{})
		tc.c.SetPingHandler(func(string) error {
			close(handling)
			<-done
			return nil
		})
		read := tc.read()
		tc.send("\x89")
		<-handling
		tc.c.WriteControl(CloseMessage, FormatCloseMessage(CloseNormalClosure, ""), time.Time{})
		tc.c.Close()
		const closed = "read pipe pipe->pipe: use of closed network connection"
		tc.shutdown(t.Context(), CloseNormalClosure, "").want("no Close frame has come", 0, closed)
		close(done)
		read.want("the read goes on behind the handler", 0, closed)
	})
}

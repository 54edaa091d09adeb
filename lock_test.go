package websocket

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestLockExcludes(t *testing.T) {
	var l lock
	var wg sync.WaitGroup
	inside, count := 0, 0
	for range 16 {
		wg.Go(func() {
			for range 1000 {
				if !l.acquire(&bound{}) {
					t.Error("acquire without a deadline gave up")
					return
				}
				inside++
				if inside != 1 {
					t.Errorf("got %d holders, want 1", inside)
				}
				count++
				inside--
				l.release()
			}
		})
	}
	wg.Wait()
	if count != 16000 {
		t.Errorf("got %d sections, want 16000", count)
	}
}

func TestLockWaitEndsAtDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lock
		l.acquire(&bound{})
		start := time.Now()
		if l.acquire(&bound{deadline: start.Add(time.Second)}) {
			t.Fatal("acquired a lock that is held")
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("got a wait of %v, want 1s", d)
		}
		l.release()
		if !l.acquire(&bound{deadline: start}) {
			t.Error("a free lock was refused because the deadline has passed")
		}
	})
}

// A waiter that gave up leaves the lock in a state in which the others still get
// their turn.
func TestLockWaitersSurviveOneThatGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lock
		l.acquire(&bound{})
		got := 0
		for i := range 8 {
			go func() {
				var deadline time.Time
				if i%2 == 0 {
					deadline = time.Now().Add(time.Second)
				}
				if l.acquire(&bound{deadline: deadline}) {
					got++
					time.Sleep(time.Second)
					l.release()
				}
			}()
		}
		time.Sleep(2 * time.Second)
		l.release()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got != 4 {
			t.Errorf("got %d of the waiters without a deadline through, want 4", got)
		}
		if !l.tryAcquire() {
			t.Error("the lock is still held after all have released it")
		}
	})
}

// Codec compares what compression takes: this library's codec with gws's, and with compress/flate and
// klauspost/compress by themselves. See ../README.md.
//
// For the two libraries a message is sent over the loopback interface, compressed by one side and decompressed by
// the other, and what the same takes without compression is subtracted.
package main

import (
	"compress/flate"
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	klauspost "github.com/klauspost/compress/flate"
	"github.com/lxzan/gws"
	"github.com/switching-protocols/websocket"
)

var (
	count  = flag.Int("messages", 200, "messages of each kind")
	rounds = flag.Int("rounds", 20, "rounds, of which the medians are taken")
	slice  = flag.Duration("slice", 20*time.Millisecond, "for how long each contender runs in a round, about")
	conns  = flag.Int("connections", 1000, "connections of which the memory is measured")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	if i, err := strconv.Atoi(os.Getenv(serveVariable)); err == nil {
		if err := serveMemory(i); err != nil {
			log.Fatal(err)
		}
		return
	}
	runtime.GOMAXPROCS(1)
	fmt.Printf("%s, %s/%s, %d rounds\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, *rounds)
	for _, takeover := range []bool{false, true} {
		if err := compare(takeover); err != nil {
			log.Fatal(err)
		}
	}
	if err := compareMemory(*conns); err != nil {
		log.Fatal(err)
	}
}

// The levels that commit 1859a8c used by default, without and with context takeover.
const oldLevel, oldTakeoverLevel = flate.BestSpeed, 2

// entry is a contender with what was measured of it.
type entry struct {
	name string
	*contender
	plain int             // the index of the entry whose time is subtracted, or -1
	times []time.Duration // for a message, one of each round
	size  float64         // relative to the messages
}

// contest is the contenders, which take turns.
type contest []*entry

// entries returns the contenders. The first is what the others are compared with.
func entries(takeover bool) (list contest, err error) {
	add := func(name string, plain int, c *contender, e error) {
		if e != nil && err == nil {
			err = fmt.Errorf("%s: %w", name, e)
		}
		list = append(list, &entry{name: name, contender: c, plain: plain})
	}
	std := func(level int) *contender {
		w, _ := flate.NewWriter(nil, level)
		return direct(w, flate.NewReader(nil), takeover)
	}
	other := func(level int) *contender {
		w, _ := klauspost.NewWriter(nil, level)
		return direct(w, flate.NewReader(nil), takeover)
	}
	level := oldLevel
	if takeover {
		level = oldTakeoverLevel
	}
	add(fmt.Sprintf("compress/flate %d, as at 1859a8c", level), -1, std(level), nil)
	add("compress/flate 6", -1, std(6), nil)
	add("klauspost 1", -1, other(1), nil)
	add("klauspost 6", -1, other(6), nil)
	plain := len(list)
	c, e := ours(nil)
	add("websocket, plain", -1, c, e)
	c, e = ours(&websocket.CompressionOptions{ContextTakeover: takeover})
	add("websocket, default level", plain, c, e)
	c, e = ours(&websocket.CompressionOptions{ContextTakeover: takeover, Level: 6})
	add("websocket, level 6", plain, c, e)
	plain = len(list)
	c, e = ofGws(gws.PermessageDeflate{})
	add("gws, plain", -1, c, e)
	o := gws.PermessageDeflate{Enabled: true, ServerContextTakeover: takeover, ClientContextTakeover: takeover}
	c, e = ofGws(o)
	add("gws, default", plain, c, e)
	o.ServerMaxWindowBits, o.ClientMaxWindowBits = 15, 15
	c, e = ofGws(o)
	add("gws, 15 bits", plain, c, e)
	return list, err
}

func compare(takeover bool) error {
	fmt.Printf("\ncontext takeover: %t\n\n", takeover)
	fmt.Println("| messages | contender | CPU | size | size relative to zlib 6 |")
	fmt.Println("|---|---|---|---|---|")
	for _, k := range kinds {
		list, err := entries(takeover)
		if err != nil {
			return err
		}
		messages := k.messages(*count)
		total := 0
		for _, m := range messages {
			total += len(m)
		}
		for range *rounds {
			for _, e := range list {
				if err := e.measure(messages, total); err != nil {
					return fmt.Errorf("%s, %s: %w", k.name, e.name, err)
				}
			}
		}
		zlib := zlibSize(messages, takeover)
		for _, e := range list {
			e.stop()
			if strings.HasSuffix(e.name, "plain") {
				continue
			}
			size, relative := e.size, "-"
			if e.plain >= 0 {
				size -= list[e.plain].size - 1 // the headers of the frames
			}
			if zlib > 0 {
				relative = fmt.Sprintf("%.3f", size*float64(total)/float64(zlib))
			}
			fmt.Printf("| %s | %s | %s | %.3f | %s |\n", k.name, e.name, list.ratio(e), size, relative)
		}
	}
	return nil
}

// measure runs the contender for a slice, and takes note of its time for a message.
func (e *entry) measure(messages [][]byte, total int) error {
	runtime.GC()
	before, wire, n := cpu(), e.wire.Load(), 0
	for start := time.Now(); n == 0 || time.Since(start) < *slice; n += len(messages) {
		if err := e.send(messages); err != nil {
			return err
		}
	}
	e.times = append(e.times, (cpu()-before)/time.Duration(n))
	e.size = float64(e.wire.Load()-wire) / float64(n) * float64(len(messages)) / float64(total)
	return nil
}

// cpu returns the time that the process has run.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ratio returns the median over the rounds of the contender's time relative to the first one's.
func (list contest) ratio(e *entry) string {
	var ratios []float64
	for i, t := range e.times {
		if e.plain >= 0 {
			t -= list[e.plain].times[i]
		}
		ratios = append(ratios, float64(t)/float64(list[0].times[i]))
	}
	slices.Sort(ratios)
	return fmt.Sprintf("%.2f (%.2f to %.2f)", ratios[len(ratios)/2], ratios[len(ratios)/4], ratios[len(ratios)*3/4])
}

// zlibScript prints the size of the messages on its input, compressed by zlib at level 6.
const zlibScript = `
import struct, sys, zlib
new = lambda: zlib.compressobj(6, zlib.DEFLATED, -15)
c, size = new(), 0
while head := sys.stdin.buffer.read(4):
    if sys.argv[1] == "false":
        c = new()
    p = sys.stdin.buffer.read(struct.unpack("<I", head)[0])
    size += len(c.compress(p) + c.flush(zlib.Z_SYNC_FLUSH)) - 4
print(size)
`

// zlibSize returns the size that zlib gives the messages, or 0 if there is no Python.
func zlibSize(messages [][]byte, takeover bool) (n int) {
	var in []byte
	for _, m := range messages {
		in = append(binary.LittleEndian.AppendUint32(in, uint32(len(m))), m...)
	}
	c := exec.Command("python3", "-c", zlibScript, fmt.Sprint(takeover))
	c.Stdin = strings.NewReader(string(in))
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err == nil {
		fmt.Sscan(string(out), &n)
	}
	return n
}

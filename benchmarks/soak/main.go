// Command soak holds thousands of connections for a long time, with every kind of traffic and of ending, and checks
// that no message is lost and that nothing is left over in the end. See ../README.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

// options are the command line.
type options struct {
	connections                int
	duration                   time.Duration
	tls, compress, slow        float64 // parts of the connections
	restart, tear              float64 // parts of the connections, each minute
	rate, pushes               float64 // for each connection, each second
	writeTimeout, pingInterval time.Duration
	patience                   time.Duration
	seed                       uint64
	out                        string

	args   []string            // the command line itself
	enough func(*soaking) bool // set by tests: the run is not over before it returns true
	show   func(line string)   // shows the progress
}

// errFailed is the result of a run that was completed and has found something.
var errFailed = errors.New("the run has failed")

func main() {
	var err error
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		err = serve(os.Args[2:], os.Stdin, os.Stdout)
	} else {
		err = soak(os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func soak(args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	p := newProgress(os.Stderr, o)
	o.show = p.show
	r, err := run(o)
	p.done()
	if err != nil {
		return err
	}
	r.write(os.Stdout)
	if o.out != "" {
		if err := r.writeDir(o.out); err != nil {
			return err
		}
	}
	if len(r.failures) > 0 {
		return errFailed
	}
	return nil
}

func parseOptions(args []string) (*options, error) {
	o := &options{args: args}
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.IntVar(&o.connections, "connections", 10000, "connections at the same time")
	flags.DurationVar(&o.duration, "duration", 10*time.Minute, "how long the traffic lasts once all are connected")
	flags.Float64Var(&o.tls, "tls", 0.3, "part of the connections that use TLS")
	flags.Float64Var(&o.compress, "compress", 0.3, "part of the connections that compress")
	flags.Float64Var(&o.slow, "slow", 0.02, "part of the connections whose client reads slowly, or stops reading")
	flags.Float64Var(&o.restart, "restart", 0.1, "part of the connections that are closed and opened again each minute")
	flags.Float64Var(&o.tear, "tear", 0.1, "part of the connections that are torn and opened again each minute")
	flags.Float64Var(&o.rate, "rate", 0.5, "what each client does in a second: messages, bursts and pings")
	flags.Float64Var(&o.pushes, "pushes", 0.2, "messages that the server sends of itself to each client in a second")
	flags.DurationVar(&o.writeTimeout, "write-timeout", 5*time.Second, "the server's write deadline for clients that stop reading")
	flags.DurationVar(&o.pingInterval, "ping-interval", 2*time.Second, "the server's ping interval for clients that stop reading")
	flags.DurationVar(&o.patience, "patience", time.Minute, "how long anything may take that is bound to happen")
	flags.Uint64Var(&o.seed, "seed", 0, "seed of all random choices; 0 chooses one")
	flags.StringVar(&o.out, "out", "", "write SOAK.md and soak.svg to this `directory`")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return o, o.check()
}

func (o *options) check() error {
	for _, part := range []struct {
		name  string
		value float64
	}{{"tls", o.tls}, {"compress", o.compress}, {"slow", o.slow}} {
		if part.value < 0 || part.value > 1 {
			return fmt.Errorf("-%s is %v, but a part is from 0 to 1", part.name, part.value)
		}
	}
	if o.connections < 1 || o.restart < 0 || o.tear < 0 || o.rate <= 0 || o.pushes < 0 {
		return errors.New("-connections and -rate must be positive, and the other rates not negative")
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano())
	}
	return nil
}

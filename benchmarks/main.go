// Command benchmarks measures this library against others and against the least
// that is possible. See README.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"
)

// options are the command line.
type options struct {
	report            *report
	quick             bool
	scenario, library *regexp.Regexp
	rounds            int
	window            time.Duration
	out, json, read   string
	profiles          string
	list              bool
}

func main() {
	var err error
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		err = serve(os.Args[2:])
	} else {
		err = run(os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if o.list {
		list()
		return nil
	}
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o755); err != nil {
			return err
		}
		os.Setenv(profileVariable, o.profiles) // the servers inherit it
	}
	var r *results
	if o.read != "" {
		r, err = readResults(o.read)
	} else {
		r, err = measureAll(o, newProgress(os.Stderr))
	}
	if err != nil {
		return err
	}
	if o.json != "" {
		if err := r.writeFile(o.json); err != nil {
			return err
		}
	}
	if o.out != "" {
		return r.writeDir(o.out)
	}
	return r.writeMarkdown(os.Stdout)
}

func parseOptions(args []string) (o options, err error) {
	flags := flag.NewFlagSet("benchmarks", flag.ExitOnError)
	flags.BoolVar(&o.quick, "quick", false, "the most important scenarios, in about a minute")
	services := flags.Bool("services", false, "measure services (a chat, market data, a game, RPC, uploads), and nothing else")
	capacity := flags.Bool("capacity", false, "measure what one process holds and carries, and nothing else")
	scenario := flags.String("scenario", "", "measure only the scenarios that match this `regexp`")
	library := flags.String("library", "",
		"measure only the libraries that match this `regexp`, and the limits (default all; capacity "+capacityLibraries+")")
	flags.IntVar(&o.rounds, "rounds", 0, "how often each library is measured (default 9, quick 3)")
	flags.DurationVar(&o.window, "duration", 0, "how long each measurement takes (default 500ms, quick 100ms, services 2s)")
	flags.StringVar(&o.out, "out", "", "write results.json and RESULTS.md, or those of services or capacity, and the charts to this `directory`")
	flags.StringVar(&o.json, "json", "", "write the results as JSON to this `file`")
	flags.StringVar(&o.read, "read", "", "measure nothing, and report the results in this `file`")
	flags.StringVar(&o.profiles, "profile", "", "write a CPU profile of each Go server to this `directory`")
	flags.BoolVar(&o.list, "list", false, "list the scenarios and libraries")
	flags.Parse(args)
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.scenario, err = regexp.Compile(*scenario); err != nil {
		return o, err
	}
	o.report = resultsReport
	switch {
	case *services && *capacity:
		return o, errors.New("either -services or -capacity")
	case *services:
		o.report = servicesReport
	case *capacity:
		o.report = capacityReport
	}
	if *library == "" && *capacity {
		*library = capacityLibraries
	}
	if o.library, err = regexp.Compile(*library); err != nil {
		return o, err
	}
	rounds, window := 9, 500*time.Millisecond
	if *services {
		window = 2 * time.Second
	}
	if o.quick {
		rounds, window = 3, 100*time.Millisecond
	}
	if o.rounds == 0 {
		o.rounds = rounds
	}
	if o.window == 0 {
		o.window = window
	}
	return o, nil
}

func list() {
	for _, r := range reports {
		fmt.Printf("scenarios of %s:\n", r.file())
		for _, s := range r.scenarios {
			fmt.Printf("  %-20s %s\n", s.name, s.title)
		}
	}
	fmt.Println("libraries:")
	for _, l := range libraries {
		version, err := l.installed()
		if err != nil {
			version = err.Error()
		}
		fmt.Printf("  %-22s %s (%s)\n", l.name, l.about, version)
	}
}

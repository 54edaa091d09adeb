package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// process is the process of the server.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	hello   serverReport
	reports chan serverReport // but records, which go to the ledger; closed when the process has ended
}

// startServer starts the server with the options of this process.
func startServer(o *options, l *ledger) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := append([]string{"serve"}, o.args...)
	p := &process{
		cmd:     exec.Command(self, append(args, "-seed", fmt.Sprint(o.seed))...),
		reports: make(chan serverReport, 1),
	}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.receive(out, l) // ends with the process
	if p.hello, err = p.next(); err != nil {
		p.stop()
	}
	return p, err
}

func (p *process) receive(out io.Reader, l *ledger) {
	defer close(p.reports)
	for d := json.NewDecoder(bufio.NewReader(out)); ; {
		var r serverReport
		if d.Decode(&r) != nil {
			return
		}
		if r.Record != nil {
			l.addServer(r.Record)
			continue
		}
		p.reports <- r
	}
}

func (p *process) next() (serverReport, error) {
	r, ok := <-p.reports
	if !ok {
		return r, fmt.Errorf("the server has ended: %v", p.cmd.Wait())
	}
	return r, nil
}

// ask sends a command, and returns the answer.
func (p *process) ask(command string) (serverReport, error) {
	if _, err := io.WriteString(p.in, command+"\n"); err != nil {
		return serverReport{}, fmt.Errorf("the server has ended: %w", err)
	}
	return p.next()
}

// wait waits until the process has ended, and all it has reported was received.
func (p *process) wait() error {
	for range p.reports {
	}
	return p.cmd.Wait()
}

// stop ends the process, if it has not ended.
func (p *process) stop() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// soaking is a run in progress.
type soaking struct {
	options *options
	server  *process
	fleet   *fleet
	ledger  *ledger
	report  *report
	begun   time.Time
}

// run runs the server and the clients, and returns the report.
func run(o *options) (*report, error) {
	if err := raiseDescriptorLimit(o.connections); err != nil {
		return nil, err
	}
	if err := warmUp(o.connections); err != nil {
		return nil, err
	}
	l, b := newLedger(), newBodies(o.seed)
	r := &report{options: o}
	r.client.start = measureUsage()
	if err := soakWith(o, l, b, r); err != nil {
		return nil, err
	}
	r.client.end = awaitUsage(r.client.start, o.patience)
	runtime.KeepAlive(b) // they are not to be missing at the end
	r.complete(l)
	return r, nil
}

// soakWith is the run, from the start of the server to its end.
func soakWith(o *options, l *ledger, b *bodies, r *report) error {
	server, err := startServer(o, l)
	if err != nil {
		return err
	}
	defer server.stop()
	r.server.start = *server.hello.Used
	s := &soaking{options: o, server: server, ledger: l, report: r, begun: time.Now()}
	s.fleet = newFleet(o, b, l, server.hello.Plain, server.hello.TLS)
	s.fleet.start()
	if err := s.traffic(); err != nil {
		return err
	}
	return s.finish()
}

// traffic waits until the time is up, and watches.
func (s *soaking) traffic() error {
	connected := s.fleet.connected
	interval := max(s.options.duration/300, 500*time.Millisecond)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var end <-chan time.Time
	over := false
	for !over || s.options.enough != nil && !s.options.enough(s) {
		select {
		case <-connected:
			connected = nil
			s.report.connected = time.Since(s.begun)
			end = time.After(s.options.duration)
		case <-end:
			over = true
		case <-ticker.C:
			if err := s.sample(); err != nil {
				return err
			}
		}
	}
	s.report.trafficEnded = time.Since(s.begun)
	return s.sample()
}

// sample records what both processes use now.
func (s *soaking) sample() error {
	r, err := s.server.ask(commandSample)
	if err != nil {
		return err
	}
	s.report.add(sample{
		at:          time.Since(s.begun),
		server:      *r.Used,
		client:      sampleUsage(),
		connections: r.Connections,
		received:    s.fleet.received.Load(),
	})
	s.options.show(s.report.line())
	return nil
}

// finish ends the traffic: half of the clients close their connections, and then the server those of the others. In
// between it has no other connections: all that were torn or dropped are closed.
func (s *soaking) finish() error {
	close(s.fleet.stop)
	s.fleet.leaving.Wait()
	for limit := time.Now().Add(s.options.patience); ; time.Sleep(50 * time.Millisecond) {
		r, err := s.server.ask(commandSample)
		if err != nil {
			return err
		}
		clients := int(s.fleet.open.Load())
		if r.Connections == clients {
			break
		}
		if time.Now().After(limit) {
			s.ledger.fail("the server has %d connections, and the clients %d", r.Connections, clients)
			break
		}
	}
	last, err := s.server.ask(commandFinish)
	if err != nil {
		return err
	}
	if last.Shutdown != "" {
		s.ledger.fail("the server's Shutdown: %s", last.Shutdown)
	}
	s.report.server.end = *last.Used
	s.fleet.clients.Wait()
	if err := s.server.wait(); err != nil {
		return fmt.Errorf("the server has ended: %w", err)
	}
	s.ledger.finish()
	s.report.counts(s.fleet, s.ledger)
	return nil
}

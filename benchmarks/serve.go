package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
	"time"
)

// memory is what a server process says about its own; zero where it cannot.
type memory struct {
	Heap  uint64 `json:"heap"`  // bytes of objects
	Stack uint64 `json:"stack"` // bytes of goroutines' stacks
}

// serve is the command that the benchmark starts itself with: one server in a
// process of its own. It prints its address, answers each line "memory" on its
// standard input with what it takes after a collection, and ends with its input.
func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	name := flags.String("library", "", "name of the library")
	pattern := flags.String("pattern", patternEcho, "what the server does")
	overTLS := flags.Bool("tls", false, "serve TLS")
	flags.Parse(args)

	l := findLibrary(*name)
	if l == nil || l.servers[*pattern] == nil {
		return errNoPattern
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	if *overTLS {
		config, err := selfSigned()
		if err != nil {
			return err
		}
		ln = tls.NewListener(ln, config)
	}
	stop, err := profile(l.name + "-" + *pattern)
	if err != nil {
		return err
	}
	go control(stop)
	return l.servers[*pattern](ln)
}

// profileVariable names a directory for the CPU profiles of the servers.
const profileVariable = "WEBSOCKET_BENCHMARKS_PROFILE"

// profile begins a CPU profile where one is asked for. The last server of a name wins.
func profile(name string) (stop func(), err error) {
	dir := os.Getenv(profileVariable)
	if dir == "" {
		return func() {}, nil
	}
	f, err := os.Create(filepath.Join(dir, name+".prof"))
	if err != nil {
		return nil, err
	}
	return pprof.StopCPUProfile, pprof.StartCPUProfile(f)
}

// control lives as long as the process, and calls stop at its end.
func control(stop func()) {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if in.Text() == "memory" {
			json.NewEncoder(os.Stdout).Encode(readMemory())
		}
	}
	stop()
	os.Exit(0)
}

func readMemory() memory {
	debug.FreeOSMemory()
	debug.FreeOSMemory() // sync.Pool keeps what it has for one collection more
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
	}
	metrics.Read(samples)
	return memory{Heap: samples[0].Value.Uint64(), Stack: samples[1].Value.Uint64()}
}

// selfSigned is a certificate that nobody checks.
func selfSigned() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(24 * time.Hour),
		DNSNames:     []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, nil
}

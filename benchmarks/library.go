package main

import (
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
)

// What a server does with its connections.
const (
	patternEcho      = "echo"      // sends back each message
	patternIdle      = "idle"      // the same, in the way that takes the least memory
	patternHandshake = "handshake" // the same, or just reads to the end
	patternDeflate   = "deflate"   // echoes with permessage-deflate
	patternBroadcast = "broadcast" // sends each message to all connections
	patternContended = "contended" // after a message, 64 goroutines write to its connection without end
)

// writers is how many goroutines write to one connection in patternContended, and
// contendedSize how many bytes each of their messages has.
const (
	writers       = 64
	contendedSize = 125
)

// library is one way to serve WebSocket connections that is measured.
type library struct {
	name   string
	about  string // how it is used here, for the output
	module string // for its version; "" where there is none
	limit  bool   // written for this comparison; does the least that is possible

	services string // how it is used in the services

	// servers are the functions that accept connections until the listener fails.
	servers servers

	// Of a server that is not written in Go.
	script   string   // in js/
	runtime  string   // the program that runs it
	args     []string // of that program
	needs    string   // a package in js/node_modules
	patterns []string
}

// installed returns the library's version, or why it is not there.
func (l *library) installed() (version string, err error) {
	if l.script != "" {
		return l.scriptVersion()
	}
	return moduleVersion(l.module), nil
}

// offers reports whether the library has a server of the pattern.
func (l *library) offers(pattern string) bool {
	return l.servers[pattern] != nil || slices.Contains(l.patterns, pattern)
}

// libraries are all that are compared. Each is in a file of its own.
var libraries = []*library{
	limitRaw, limitFrame, limitFrame1, limitFrame1New, limitLean, limitParked, limitHijack,
	libWebsocket, libReadMessage, libNextReader, libStream,
	libGobwas, libGobwasWsutil, libGws, libGorilla, libGorillaLean, libFasthttp, libCoder,
	libBun, libNode,
}

func findLibrary(name string) *library {
	for _, l := range libraries {
		if l.name == name {
			return l
		}
	}
	return nil
}

var errNoPattern = errors.New("the library has no such server")

// onHTTP is a server of net/http.
func onHTTP(handler http.HandlerFunc) func(net.Listener) error {
	return func(ln net.Listener) error { return http.Serve(ln, handler) }
}

// perConnection is a server that runs serve in a goroutine for each connection.
func perConnection(serve func(net.Conn)) func(net.Listener) error {
	return func(ln net.Listener) error {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return err
			}
			go serve(nc)
		}
	}
}

// moduleVersion is the version of a module that this program was built with.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok || path == "" {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path != path {
			continue
		}
		if m.Replace != nil {
			return "this checkout"
		}
		return m.Version
	}
	return ""
}

// servers are the servers of a library by their pattern.
type servers map[string]func(net.Listener) error

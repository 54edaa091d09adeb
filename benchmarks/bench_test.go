package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// The scenarios in process, for go test -bench and benchstat.

func BenchmarkUpgrade(b *testing.B) { runBenchmarks(b, "upgrade", "") }
func BenchmarkRead(b *testing.B)    { runBenchmarks(b, "read-", "/size=") }
func BenchmarkWrite(b *testing.B)   { runBenchmarks(b, "write-", "/size=") }

func runBenchmarks(b *testing.B, prefix, parameter string) {
	for _, s := range inProcess {
		size, found := strings.CutPrefix(s.name, prefix)
		if !found {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(s.bench)) {
			f := s.bench[name]
			if parameter != "" {
				b.Run("lib="+name+parameter+size, f)
			} else {
				b.Run("lib="+name, f)
			}
		}
	}
}

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/switching-protocols/websocket/examples/cluster/internal/process"
)

// memory returns the resident memory of a node in bytes.
func memory(n *process.Node) (int64, error) {
	file := fmt.Sprintf("/proc/%d/status", n.Cmd.Process.Pid)
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kilobytes int64
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		return 0, fmt.Errorf("%s: %w", file, err)
	}
	return kilobytes * 1024, nil
}

// processorTime returns the time for which a node has had a processor.
func processorTime(n *process.Node) (time.Duration, error) {
	file := fmt.Sprintf("/proc/%d/stat", n.Cmd.Process.Pid)
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	// The fields behind the name, which is in parentheses: the 12th is utime and the 13th stime, see proc(5).
	fields := strings.Fields(string(text)[strings.LastIndex(string(text), ")")+1:])
	var total time.Duration
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		total += time.Duration(ticks) * time.Second / 100 // USER_HZ
	}
	return total, nil
}

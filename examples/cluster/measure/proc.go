package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// memory returns the resident memory of a process in bytes.
func memory(pid int) (int64, error) {
	file := fmt.Sprintf("/proc/%d/status", pid)
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

// processorTime returns the time for which a process has had a processor.
func processorTime(pid int) (time.Duration, error) {
	file := fmt.Sprintf("/proc/%d/stat", pid)
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

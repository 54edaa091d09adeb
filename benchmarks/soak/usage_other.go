//go:build !linux

package main

import "errors"

// What a process uses is read from /proc.

func (*usage) readSystem() {}

func raiseDescriptorLimit(int) error { return errors.New("it runs on Linux only") }

//go:build race

package peers

// raceDetector reports whether the tests run under the race detector.
const raceDetector = true

package main

import "slices"

// median is 0 where there are no values.
func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile is the value below which so much of the values lies, interpolated.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	i := min(int(at), len(sorted)-1)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	part := at - float64(i)
	return sorted[i]*(1-part) + sorted[i+1]*part
}

// spread is the distance of the quartiles as part of the median.
func spread(values []float64) float64 {
	m := median(values)
	if m == 0 {
		return 0
	}
	return (quantile(values, 0.75) - quantile(values, 0.25)) / m
}

// machineClock is the time of all cores, in ticks.
type machineClock struct {
	total, stolen float64 // stolen: what a hypervisor gave to others
	busy, own     float64 // what programs had, and what this one and its servers had
}

// since returns which part of the time since then was stolen, and which part other
// programs had.
func (c machineClock) since(then machineClock) (stolen, others float64) {
	total := c.total - then.total
	if total <= 0 {
		return 0, 0
	}
	others = (c.busy - then.busy) - (c.own - then.own)
	return (c.stolen - then.stolen) / total, max(others, 0) / total
}

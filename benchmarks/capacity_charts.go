package main

import (
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// curves are a chart with a line for each library.
type curves struct {
	file, title  string
	xAxis, yAxis string
	log          bool // the y axis
	points       func(r *results, library string) plotter.XYs
}

var capacityCharts = []curves{
	{
		file: "capacity-tcp", title: "Memory of an idle connection over TCP", points: memoryOf("idle-tcp-"),
		xAxis: "connections", yAxis: "resident KB per connection",
	},
	{
		file: "capacity-tls", title: "Memory of an idle connection over TLS", points: memoryOf("idle-tls-"),
		xAxis: "connections", yAxis: "resident KB per connection",
	},
	{
		file: "capacity-125", title: "Time to the answer, 125 B, 100 connections", points: p99Of("rate-125"),
		xAxis: "messages per second", yAxis: "p99, us", log: true,
	},
	{
		file: "capacity-16k", title: "Time to the answer, 16 KiB, 100 connections", points: p99Of("rate-16k"),
		xAxis: "messages per second", yAxis: "p99, us", log: true,
	},
}

// memoryOf is the memory of a connection over the number of them, in the scenarios whose names begin so.
func memoryOf(scenarios string) func(*results, string) plotter.XYs {
	return func(r *results, library string) (points plotter.XYs) {
		for i := range r.Scenarios {
			s := &r.Scenarios[i]
			if y := resident(s, library); y > 0 && strings.HasPrefix(s.Name, scenarios) {
				points = append(points, plotter.XY{X: float64(s.Conns), Y: y / 1000})
			}
		}
		return points
	}
}

// p99Of is the p99 over the rate, at the loads that were carried in more than half of the rounds.
func p99Of(scenario string) func(*results, string) plotter.XYs {
	return func(r *results, library string) (points plotter.XYs) {
		s := r.scenario(scenario)
		if s == nil || s.library(library) == nil {
			return nil
		}
		samples := s.library(library).Samples
		for _, load := range loads {
			var rates, p99s []float64
			for _, x := range samples {
				for _, at := range x.Curve {
					if at.Load == load {
						rates, p99s = append(rates, load*x.Saturation), append(p99s, at.P99/1000)
					}
				}
			}
			if 2*len(p99s) > len(samples) {
				points = append(points, plotter.XY{X: median(rates), Y: median(p99s)})
			}
		}
		return points
	}
}

func (r *results) writeCurves(dir string, c curves, t theme) error {
	p := newPlot(c.title, t)
	p.X.Label.Text, p.Y.Label.Text, p.X.Min = c.xAxis, c.yAxis, 0
	drawn := false
	for i, name := range chartLibraries {
		points := c.points(r, name)
		if len(points) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		line.Color, line.Width, dots.Color = t.bars[i], vg.Points(1.5), t.bars[i]
		dots.Shape = draw.CircleGlyph{}
		p.Add(line, dots)
		p.Legend.Add(name, line)
		drawn = true
	}
	switch {
	case !drawn:
		return nil // nothing of it was measured
	case c.log:
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
		p.Y.Min = math.Pow10(int(math.Floor(math.Log10(p.Y.Min)))) // powers of ten are what is labelled
		p.Y.Max = math.Pow10(int(math.Ceil(math.Log10(p.Y.Max))))
	default:
		p.Y.Min = 0
		p.Y.Max *= 1.3 // room for the legend
	}
	return savePlot(p, dir, c.file, t)
}

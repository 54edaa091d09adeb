package main

import (
	"fmt"
	"image/color"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// theme is the colours of a chart: one for light pages and one for dark ones.
type theme struct {
	name             string
	ground, ink, dim color.Color
	bars             []color.Color // of the libraries; the first is ours
}

var themes = []theme{
	{
		name: "light", ground: rgb(0xffffff), ink: rgb(0x1f2328), dim: rgb(0xd0d7de),
		bars: []color.Color{rgb(0x0969da), rgb(0x1b9e9e), rgb(0x4ac26b), rgb(0xbf8700), rgb(0xd4a72c), rgb(0xa475f9), rgb(0x8c959f)},
	},
	{
		name: "dark", ground: rgb(0x0d1117), ink: rgb(0xe6edf3), dim: rgb(0x30363d),
		bars: []color.Color{rgb(0x58a6ff), rgb(0x39c5cf), rgb(0x3fb950), rgb(0xd29922), rgb(0x9e6a03), rgb(0xa371f7), rgb(0x6e7681)},
	},
}

func rgb(v uint32) color.Color {
	return color.NRGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 0xff}
}

// chart is a group of bars for each of some scenarios, with a bar for each library.
type chart struct {
	file, title, axis string
	scenarios, labels []string
	figure            func(s *scenarioResult, library string) float64
	line              bool // at 1, the limit
}

// chartLibraries are those that are drawn: one way to use each, and none that would
// make all others look alike.
var chartLibraries = []string{"websocket", "gobwas", "gws", "gorilla", "fasthttp", "coder", "bun"}

var charts = []chart{
	{
		file: "echo", title: "Echo, 100 connections, one message in flight", axis: "CPU per message, of the limit",
		scenarios: []string{"echo-16", "echo-125", "echo-1k", "echo-16k", "echo-64k"},
		labels:    []string{"16 B", "125 B", "1 KiB", "16 KiB", "64 KiB"},
		figure:    overLimit, line: true,
	},
	{
		file: "burst", title: "Echo with several messages in flight", axis: "CPU per message, of the limit",
		scenarios: []string{"burst-125-16x100", "burst-1k-16x100", "burst-125-64x1", "burst-1k-64x1"},
		labels:    []string{"16 x 125 B", "16 x 1 KiB", "64 x 125 B", "64 x 1 KiB"},
		figure:    overLimit, line: true,
	},
	{
		file: "idle", title: "Memory of an idle connection", axis: "resident KB per connection",
		scenarios: []string{"idle", "idle-tls"}, labels: []string{"TCP", "TLS"},
		figure: func(s *scenarioResult, name string) float64 { return resident(s, name) / 1000 },
	},
}

func overLimit(s *scenarioResult, name string) float64 { return s.ratio(name, s.Limit) }

// writeCharts draws each chart in each theme, as far as it was measured.
func (r *results) writeCharts(dir string) error {
	for _, t := range themes {
		for _, c := range charts {
			if err := r.writeChart(dir, c, t); err != nil {
				return err
			}
		}
		for _, c := range capacityCharts {
			if err := r.writeCurves(dir, c, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// newPlot is an empty chart with a grid.
func newPlot(title string, t theme) *plot.Plot {
	p := plot.New()
	p.Title.Text = title
	p.BackgroundColor = t.ground
	p.Title.TextStyle.Color, p.Legend.TextStyle.Color = t.ink, t.ink
	p.Title.Padding = vg.Points(8)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color, axis.Label.TextStyle.Color = t.ink, t.ink
		axis.Tick.Color, axis.Tick.Label.Color = t.ink, t.ink
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = nil, t.dim
	p.Add(grid)
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.Padding = vg.Points(2)
	return p
}

// savePlot writes a chart in a theme.
func savePlot(p *plot.Plot, dir, file string, t theme) error {
	return p.Save(18*vg.Centimeter, 9*vg.Centimeter, filepath.Join(dir, fmt.Sprintf("%s-%s.svg", file, t.name)))
}

func (r *results) writeChart(dir string, c chart, t theme) error {
	p := newPlot(c.title, t)
	p.Y.Label.Text, p.Y.Min = c.axis, 0
	labels, bars := r.bars(c)
	if len(labels) == 0 {
		return nil // nothing of it was measured
	}
	width := vg.Points(min(11, 400/float64(len(labels)*len(chartLibraries))))
	for i, name := range chartLibraries {
		b, err := plotter.NewBarChart(bars[i], width)
		if err != nil {
			return err
		}
		b.Color, b.LineStyle.Width = t.bars[i], 0
		b.Offset = width * vg.Length(float64(i)-float64(len(chartLibraries)-1)/2)
		p.Add(b)
		p.Legend.Add(name, b)
	}
	if c.line {
		p.Add(limitLine(len(labels), t))
	}
	p.NominalX(labels...)
	p.X.Tick.Length = 0
	p.Y.Max *= 1.45 // room for the legend
	return savePlot(p, dir, c.file, t)
}

// bars are the figures of each library, over the scenarios that were measured.
func (r *results) bars(c chart) (labels []string, bars []plotter.Values) {
	bars = make([]plotter.Values, len(chartLibraries))
	for i, name := range c.scenarios {
		s := r.scenario(name)
		if s == nil {
			continue
		}
		labels = append(labels, c.labels[i])
		for j, library := range chartLibraries {
			bars[j] = append(bars[j], c.figure(s, library))
		}
	}
	return labels, bars
}

// limitLine is a line at 1.
func limitLine(groups int, t theme) plot.Plotter {
	line, err := plotter.NewLine(plotter.XYs{{X: -0.5, Y: 1}, {X: float64(groups) - 0.5, Y: 1}})
	if err != nil {
		panic(err) // the points are constants
	}
	line.LineStyle = draw.LineStyle{Color: t.ink, Width: vg.Points(0.8), Dashes: []vg.Length{vg.Points(3), vg.Points(3)}}
	return line
}

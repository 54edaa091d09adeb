package main

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// writeChart draws the memory of the server over time.
func (r *report) writeChart(path string) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = "Memory of the server", "minutes", "MB"
	p.Title.Padding = vg.Points(8)
	p.BackgroundColor = color.White
	p.Y.Min = 0
	grid := plotter.NewGrid()
	grid.Vertical.Color = nil
	p.Add(grid)
	for _, curve := range []struct {
		name  string
		color color.Color
		of    func(usage) uint64
	}{
		{"resident", color.NRGBA{0x8c, 0x95, 0x9f, 0xff}, func(u usage) uint64 { return u.Resident }},
		{"heap, of reachable objects", color.NRGBA{0x09, 0x69, 0xda, 0xff}, func(u usage) uint64 { return u.Heap }},
		{"stacks", color.NRGBA{0xbf, 0x87, 0x00, 0xff}, func(u usage) uint64 { return u.Stacks }},
	} {
		line, err := plotter.NewLine(r.points(curve.of))
		if err != nil {
			return err
		}
		line.Color, line.Width = curve.color, vg.Points(1.2)
		p.Add(line)
		p.Legend.Add(curve.name, line)
	}
	p.Legend.Top = true
	p.Y.Max *= 1.3 // room for the legend
	return p.Save(18*vg.Centimeter, 9*vg.Centimeter, path)
}

// points are a figure of the server's over time, in megabytes and minutes.
func (r *report) points(of func(usage) uint64) plotter.XYs {
	points := make(plotter.XYs, len(r.samples))
	for i, s := range r.samples {
		points[i] = plotter.XY{X: s.at.Minutes(), Y: float64(of(s.server)) / 1e6}
	}
	return points
}

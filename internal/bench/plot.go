package bench

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
)

// The measures of the plot in pixels, and its colours, which show on white and on black.
const (
	plotWidth, plotHeight           = 720, 420
	plotLeft, plotRight             = 70, 24
	plotTop, plotBottom             = 44, 54
	colourAxis, colourGrid          = "#808080", "#80808040"
	colourMedian, colourNinetyNinth = "#1f77b4", "#d62728"
)

// plot draws latency against throughput: the points of the curve and the peak. Latency is on a logarithmic scale, since it
// grows by powers near the peak.
type plot struct {
	points    []point
	title     string
	mostX     float64
	lowY, upY float64 // powers of ten
	out       strings.Builder
}

// writePlot writes the plot of r in SVG.
func (r *Result) writePlot(path string) error {
	return os.WriteFile(path, []byte(r.plot()), 0o644) //nolint:gosec // a picture, to be seen by anybody
}

func (r *Result) plot() string {
	points := slices.Clone(r.Curve)
	if r.TxPerS > 0 {
		points = append(points, point{TxPerS: r.TxPerS, P50MS: r.P50MS, P99MS: r.P99MS})
	}
	slices.SortFunc(points, func(a, b point) int { return cmp.Compare(a.TxPerS, b.TxPerS) })
	p := &plot{points: points, title: fmt.Sprintf("%s, suite %s, %d validators: latency until committed", r.Workload, r.Suite, r.Validators)}
	p.scale()
	p.draw()
	return p.out.String()
}

// scale chooses the axes: from 0 to a round number above the largest throughput, and whole powers of ten around the latencies.
func (p *plot) scale() {
	p.mostX, p.lowY, p.upY = 1, 0, 1
	low, up := math.Inf(1), 0.0
	for _, one := range p.points {
		p.mostX = max(p.mostX, one.TxPerS)
		for _, y := range []float64{one.P50MS, one.P99MS} {
			if y > 0 {
				low, up = min(low, y), max(up, y)
			}
		}
	}
	step := p.stepX()
	p.mostX = math.Ceil(p.mostX/step) * step
	if up > 0 {
		p.lowY, p.upY = math.Floor(math.Log10(low)), math.Ceil(math.Log10(up))
		p.upY = max(p.upY, p.lowY+1)
	}
}

// stepX is the distance between the marks of the throughput: 1, 2 or 5 times a power of ten, at most eight of them.
func (p *plot) stepX() float64 {
	step := math.Pow(10, math.Floor(math.Log10(p.mostX))-1)
	for _, factor := range []float64{1, 2, 5, 10, 20} {
		if p.mostX/(step*factor) <= 8 {
			return step * factor
		}
	}
	return step * 50
}

func (p *plot) x(v float64) float64 {
	return plotLeft + v/p.mostX*(plotWidth-plotLeft-plotRight)
}

func (p *plot) y(ms float64) float64 {
	share := (math.Log10(max(ms, math.Pow(10, p.lowY))) - p.lowY) / (p.upY - p.lowY)
	return plotHeight - plotBottom - share*(plotHeight-plotTop-plotBottom)
}

func (p *plot) add(format string, args ...any) { fmt.Fprintf(&p.out, format+"\n", args...) }

func (p *plot) line(x1, y1, x2, y2 float64, colour string) {
	p.add(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`, x1, y1, x2, y2, colour)
}

func (p *plot) text(x, y float64, anchor, text string) {
	p.add(`<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`, x, y, anchor, colourAxis, text)
}

func (p *plot) draw() {
	p.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`, plotWidth, plotHeight)
	p.add(`<title>%s</title>`, p.title)
	p.text(plotLeft, plotTop-24, "start", p.title)
	for step, v := p.stepX(), 0.0; v <= p.mostX; v += step {
		p.line(p.x(v), plotTop, p.x(v), plotHeight-plotBottom, colourGrid)
		p.text(p.x(v), plotHeight-plotBottom+18, "middle", fmt.Sprintf("%.6g", v))
	}
	for power := p.lowY; power <= p.upY; power++ {
		v := math.Pow(10, power)
		p.line(plotLeft, p.y(v), plotWidth-plotRight, p.y(v), colourGrid)
		p.text(plotLeft-8, p.y(v)+4, "end", fmt.Sprintf("%g ms", v))
	}
	p.text((plotLeft+plotWidth-plotRight)/2, plotHeight-12, "middle", "committed transactions per second")
	p.series("p50", 0, colourMedian, func(one point) float64 { return one.P50MS })
	p.series("p99", 1, colourNinetyNinth, func(one point) float64 { return one.P99MS })
	p.add(`</svg>`)
}

// series draws one line with its points and the n-th entry of the legend.
func (p *plot) series(name string, n int, colour string, of func(point) float64) {
	var path strings.Builder
	for i, one := range p.points {
		x, y := p.x(one.TxPerS), p.y(of(one))
		fmt.Fprintf(&path, "%s%.1f %.1f", map[bool]string{true: "M", false: " L"}[i == 0], x, y)
		p.add(`<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"><title>%s %.1f ms at %.0f tx/s</title></circle>`, x, y, colour, name, of(one), one.TxPerS)
	}
	if path.Len() > 0 {
		p.add(`<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`, path.String(), colour)
	}
	x := float64(plotLeft + 16 + 70*n)
	p.add(`<circle cx="%.1f" cy="%d" r="5" fill="%s"/>`, x, plotTop+12, colour)
	p.text(x+10, plotTop+16, "start", name)
}

package forecast

// maxPast is how many rows are kept to find seasons in: five weeks of minutes.
const maxPast = 5 * 7 * 24 * 60

// Past holds the newest rows, oldest overwritten.
type Past struct {
	Values []float32
	Next   int
}

func (p *Past) push(v float64) {
	if len(p.Values) < maxPast {
		p.Values = append(p.Values, float32(v))
		return
	}
	p.Values[p.Next] = float32(v)
	p.Next = (p.Next + 1) % maxPast
}

func (p *Past) skip(n int) {
	for range min(n, maxPast) {
		p.push(unknown)
	}
}

// seek looks for seasons.
func (f *Forecaster) seek(*Spec) {}

// at returns the i-th row, the oldest first.
func (p *Past) at(i int) float32 { return p.Values[(p.Next+i)%len(p.Values)] }

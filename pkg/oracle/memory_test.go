package oracle

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// long is a search on a load of many hours, of which only the work of each cell is known.
func long(hours int, replicas float64) *search {
	p := crowd()
	p.Target.Max = 0
	s := &search{p: p, survey: &survey{clock: clock{cell: time.Second}, requests: 1}, most: 1 << 20}
	s.span = time.Duration(hours)*time.Hour - 1
	for len(s.work) < hours*3600 {
		s.work = append(s.work, replicas)
		s.arrived, s.lost = append(s.arrived, 1), append(s.lost, 0)
	}
	return s
}

func TestPlannerKeepsToItsTable(t *testing.T) {
	for name, tc := range map[string]struct {
		hours    int
		replicas float64
		want     int // cells in a slot, zero where nothing is planned
	}{
		"an hour of few replicas by the second":  {1, 20, 1},
		"a day of many replicas by longer slots": {18, 100, 2},
		"more than that not at all":              {18, 10000, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := long(tc.hours, tc.replicas)
			p := s.planner(1)
			if p == nil {
				if tc.want != 0 {
					t.Fatal("nothing is planned")
				}
				return
			}
			if p.per != tc.want || p.states() > mostStates {
				t.Errorf("%d cells in a slot and %d states, want %d and at most %d", p.per, p.states(), tc.want, mostStates)
			}
			plan := make([]int32, len(p.work))
			plan[len(plan)-1] = 7
			if got := p.cells(plan); len(got) != len(s.work) || got[0] != 0 || got[len(got)-1] != 7 {
				t.Errorf("a plan of %d slots makes %d cells that end with %d, want %d and 7", len(plan), len(got), got[len(got)-1], len(s.work))
			}
			arrived := 0.0
			for _, n := range p.arrived {
				arrived += n
			}
			if arrived != float64(len(s.arrived)) {
				t.Errorf("%v requests in the slots, want %d", arrived, len(s.arrived))
			}
		})
	}
}

func TestSurveyKeepsWhatIsSmall(t *testing.T) {
	for name, tc := range map[string]struct {
		requests, blocks int
		kept             bool
	}{
		"some thousand requests":           {10000, 0, true},
		"as many with thousands of blocks": {10000, 1000, false},
	} {
		t.Run(name, func(t *testing.T) {
			var s survey
			blocks := make([]uint64, tc.blocks)
			for i := range tc.requests {
				s.keep(trace.Request{At: time.Duration(i), Blocks: blocks})
			}
			again := crowd()
			read := 0
			again.Load = func() (trace.Stream, error) { read++; return &replayed{}, nil }
			stream, err := s.open(again)
			if err != nil {
				t.Fatal(err)
			}
			if (read == 0) != tc.kept || (s.kept != nil) != tc.kept {
				t.Errorf("read again %d times with %d pieces kept, want it kept: %v", read, len(s.kept), tc.kept)
			}
			for i := 0; tc.kept && i < tc.requests; i++ {
				if q, err := stream.Next(); err != nil || q.At != time.Duration(i) {
					t.Fatalf("request %d: %v, error %v", i, q, err)
				}
			}
			held := int64(len(s.kept)) * chunk * requestBytes
			if most := Memory(int64(tc.requests), int64(tc.requests*tc.blocks), time.Hour); held > most {
				t.Errorf("%d bytes kept, said to be %d at most in all", held, most)
			}
		})
	}
}

func TestMemoryIsBoundedButForBlocks(t *testing.T) {
	week, year := Memory(27e6, 0, 7*24*time.Hour), Memory(1e12, 0, 365*24*time.Hour)
	if week != year || year > 160<<20 {
		t.Errorf("%d MiB for a week, %d MiB for a year, want the same and no more than 160", week>>20, year>>20)
	}
	if small := Memory(20000, 0, time.Hour); small > 64<<20 {
		t.Errorf("%d MiB for an hour of 20,000 requests, want 64 at most", small>>20)
	}
}

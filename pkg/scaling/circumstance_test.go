package scaling_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// start adds a pod that has just become ready after a start under a circumstance, which took so long to load.
func (l *line) start(x leadtime.Circumstance, loading time.Duration) *pod {
	p := l.add(scaling.Ready, l.now)
	p.Started = p.Created.Add(3 * time.Second)
	p.ReadyAt = p.Started.Add(loading)
	p.Circumstance = x
	l.now = p.ReadyAt
	return p
}

func TestStartsAreLearnedUnderTheCircumstanceThatIsTold(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	nodes := []leadtime.Node{leadtime.NodeUnknown, leadtime.NodePresent, leadtime.NodeMade}
	images := []leadtime.Image{leadtime.ImageUnknown, leadtime.ImageCached, leadtime.ImagePulled}
	l := newLine(t, config(), 1)
	l.tick(1)
	for range 60 {
		x := leadtime.Circumstance{Node: nodes[rng.IntN(3)], Image: images[rng.IntN(3)]}
		l.start(x, time.Minute)
		l.tick(1)
		want := x
		if want.Image == leadtime.ImageUnknown {
			want.Image = leadtime.ImageCached // its container came within 3 s
		}
		learned := l.state.LeadTime.Starts
		if got := learned[len(learned)-1].Circumstance; got != want {
			t.Fatalf("told %+v, learned %+v, want %+v", x, got, want)
		}
	}
}

func TestAStartingReplicaIsJudgedByWhatIsTold(t *testing.T) {
	needed := func(node leadtime.Node) int32 {
		c := config()
		c.LeadTime.Override = 0
		l := newLine(t, c, 2)
		l.tick(1)
		for range 6 {
			l.start(leadtime.Circumstance{Node: leadtime.NodePresent}, time.Minute)
			l.start(leadtime.Circumstance{Node: leadtime.NodeMade}, 30*time.Minute) // weights are not on a new node's disk
		}
		l.tick(1)
		l.pods = l.pods[:2]
		l.ready = 24 * time.Hour
		for range 4 {
			l.add(scaling.Starting, l.now).Circumstance.Node = node
		}
		l.ticks(2, 60)
		return l.last.Needed
	}
	present, made := needed(leadtime.NodePresent), needed(leadtime.NodeMade)
	if present >= made {
		t.Errorf("%d needed where four replicas are about to be ready, %d where they load for half an hour", present, made)
	}
}

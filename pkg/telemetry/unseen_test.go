package telemetry

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func TestWhyATargetIsBlindAndWhenItWasSeenLastIsTold(t *testing.T) {
	m, registry := newMetrics(t)
	d := scaling.Decision{Blind: true, Reason: scaling.NoFreshData, Causes: []scaling.Cause{"timeout", "timeout", scaling.NotOnPage}, LastSeen: time.Unix(900, 0)}
	m.Record(t.Context(), llama, d, nil)
	want := `
# HELP preheat_target_last_seen_timestamp_seconds Unix time of the newest reading of a ready replica that told what demand is made of; none before the first.
# TYPE preheat_target_last_seen_timestamp_seconds gauge
preheat_target_last_seen_timestamp_seconds{name="llama",namespace="default"} 900
# HELP preheat_target_unseen_replicas Ready replicas of whose demand nothing is known, by cause: timeout, refused, no_engine, not_on_page, frozen, stale and others.
# TYPE preheat_target_unseen_replicas gauge
preheat_target_unseen_replicas{cause="not_on_page",name="llama",namespace="default"} 1
preheat_target_unseen_replicas{cause="timeout",name="llama",namespace="default"} 2
`
	names := []string{"preheat_target_last_seen_timestamp_seconds", "preheat_target_unseen_replicas"}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	m.Unobserved(llama)
	for name, series := range map[string]int{names[0]: 1, names[1]: 0} {
		if n, err := testutil.GatherAndCount(registry, name); n != series || err != nil {
			t.Errorf("of a target that is not observed %s has %d series (%v), want %d", name, n, err, series)
		}
	}
	m.Record(t.Context(), llama, scaling.Decision{LastSeen: time.Unix(960, 0)}, nil)
	if n, err := testutil.GatherAndCount(registry, names[1]); n != 0 || err != nil {
		t.Errorf("a target that is seen again has %d unseen series, %v", n, err)
	}
	m.Forget(llama)
	if n, err := testutil.GatherAndCount(registry, names...); n != 0 || err != nil {
		t.Errorf("a target that is gone has %d series, %v", n, err)
	}
}

package testbed

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStagesObeyTheAnnotationsThatThePackageNames(t *testing.T) {
	stages, err := decode(defaultStages)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, stage := range stages {
		names = append(names, stage.GetName())
	}
	if diff := cmp.Diff([]string{"node-ready", "pod-start", "pod-ready", "pod-delete"}, names); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
	for _, annotation := range []string{ReadyAfter, ReadyBefore, Readiness, DrainFor} {
		if !strings.Contains(string(defaultStages), `.metadata.annotations["`+annotation+`"]`) {
			t.Errorf("no stage reads %s", annotation)
		}
	}
}

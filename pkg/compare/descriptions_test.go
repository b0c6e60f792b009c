package compare_test

import (
	"strings"
	"testing"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
)

// What is not modelled of a policy is said where policies are listed, for it makes nights at zero dearer than they are.
func TestWVAIsSaidToKeepOneReplica(t *testing.T) {
	told := 0
	for _, d := range compare.Descriptions() {
		if strings.HasPrefix(d.Name, "wva") && strings.Contains(d.Summary, "keeps one replica") {
			told++
		}
	}
	if told != 2 {
		t.Errorf("%d of wva and wva-v2 are said to keep one replica, want both", told)
	}
}

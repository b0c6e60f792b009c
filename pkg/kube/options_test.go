package kube

import (
	"strings"
	"testing"
)

func TestDefaultOptionsAreValid(t *testing.T) {
	if err := DefaultOptions().Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	err := Options{CoolOff: 2, MaxCoolOff: 1}.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"MaxCoolOff 1ns is below CoolOff 2ns", "StatusPeriod", "EventPeriod", "SweepPeriod", "RediscoverPeriod", "FieldManager", "StatusWriters", "EnginePage", "Now"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error does not name %s:\n%v", part, err)
		}
	}
}

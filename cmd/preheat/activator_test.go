package main

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
)

func TestActivatorOptionsReportEveryFault(t *testing.T) {
	t.Setenv("POD_IP", "10.0.0.1")
	for name, tc := range map[string]struct {
		args []string
		want []string // parts of the error; none: valid
	}{
		"the defaults are valid in a pod":      {nil, nil},
		"an address that is none":              {[]string{"--ip=here"}, []string{`--ip "here"`, "POD_IP"}},
		"ports beyond the last":                {[]string{"--first-port=60000"}, []string{"--first-port 60000", "65535"}},
		"an argument that is not a flag":       {[]string{"serve"}, []string{`"serve"`, "flags only"}},
		"several faults are reported together": {[]string{"--out-of-stock=0s", "--log-format=xml", "--grace=-1s"}, []string{"--out-of-stock", "--log-format", "--grace"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := newActivatorOptions()
			fs := o.flags()
			if err := fs.Parse(tc.args); err != nil {
				t.Fatal(err)
			}
			err := o.validate(fs.Args())
			wantFaults(t, err, tc.want)
		})
	}
}

func TestPortsAreTakenInTurnAndEnd(t *testing.T) {
	taken, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	first, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	listen := ports(first, 3)
	var open []net.Listener
	defer func() {
		for _, l := range open {
			_ = l.Close()
		}
	}()
	for range 4 {
		l, err := listen(nil)
		if err == nil {
			open = append(open, l)
			continue
		}
		var busy *net.OpError
		if !errors.As(err, &busy) || !strings.Contains(err.Error(), "--ports") {
			t.Errorf("with all ports taken: %v", err)
		}
	}
	if len(open) > 2 || len(open) == 0 {
		t.Errorf("%d ports of 3 were opened, of which one was taken", len(open))
	}
}

package testbed

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestAThreadOfOnesOwnIsNeverTheMainOne(t *testing.T) {
	const threads = 200 // the scheduler offers the main thread every now and then
	main := make(chan bool)
	for range threads {
		onOwnThread(func() { main <- onMainThread() })
	}
	for range threads {
		if <-main {
			t.Fatal("the main thread was taken")
		}
	}
}

func TestChildrenDieWithTheNursery(t *testing.T) {
	n, err := newNursery(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	p, err := n.launch("sleep", filepath.Join(t.TempDir(), "log"), exec.Command("sleep", "60"))
	if err != nil {
		t.Fatal(err)
	}
	n.close()
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		t.Errorf("the child outlives its nursery (%v)", p.kill())
	}
}

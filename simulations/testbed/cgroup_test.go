package testbed

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeHierarchies makes the folders of cgroup version 1 with the given controllers.
func fakeHierarchies(t *testing.T, controllers ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, controller := range controllers {
		writeFile(t, filepath.Join(root, controller, "cgroup.procs"), "")
	}
	return root
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return err == nil
}

func TestACgroupIsMadeInEveryHierarchyAndInheritsProcessors(t *testing.T) {
	root := fakeHierarchies(t, "cpuset", "memory")
	writeFile(t, filepath.Join(root, "cpuset", "cpuset.cpus"), "0-1\n")
	group := cgroup{root: root, name: "preheat-box-7"}
	if err := group.create(); err != nil {
		t.Fatal(err)
	}
	if !exists(t, filepath.Join(root, "memory", "preheat-box-7")) {
		t.Error("no group for memory")
	}
	got, err := os.ReadFile(filepath.Join(root, "cpuset", "preheat-box-7", "cpuset.cpus"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("0-1\n", string(got)); diff != "" {
		t.Errorf("processors (-want +got):\n%s", diff)
	}
}

func TestTheOnlyHierarchyOfVersionTwoIsTheRoot(t *testing.T) {
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "cgroup.controllers"), "cpu memory\n")
	group := cgroup{root: root, name: "preheat-box-7"}
	if err := group.create(); err != nil {
		t.Fatal(err)
	}
	if !exists(t, filepath.Join(root, "preheat-box-7")) {
		t.Error("no group in the root")
	}
}

func TestAMachineWithoutCgroupsIsAnError(t *testing.T) {
	if err := (cgroup{root: t.TempDir(), name: "x"}).create(); err == nil {
		t.Error("a group was made nowhere")
	}
}

func TestRemoveTakesInnerGroupsAndNotItsNeighbours(t *testing.T) {
	root := fakeHierarchies(t, "memory")
	memory := filepath.Join(root, "memory")
	for _, dir := range []string{"preheat-box-7/kubepods/pod1", "preheat-box-71/kubepods"} {
		if err := os.MkdirAll(filepath.Join(memory, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time there is nothing to remove
		if err := (cgroup{root: root, name: "preheat-box-7"}).remove(); err != nil {
			t.Fatal(err)
		}
	}
	if exists(t, filepath.Join(memory, "preheat-box-7")) || !exists(t, filepath.Join(memory, "preheat-box-71", "kubepods")) {
		t.Error("want the group gone and its neighbour kept")
	}
}

func TestSweepRemovesGroupsOfDeadBoxesOnly(t *testing.T) {
	root := fakeHierarchies(t, "memory")
	memory := filepath.Join(root, "memory")
	for _, dir := range []string{"preheat-box-7/kubepods", "preheat-box-8", "preheat-box-mine", "other-9"} {
		if err := os.MkdirAll(filepath.Join(memory, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := sweepCgroups(root, func(pid int) bool { return pid == 8 }); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(memory, "*-*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range left {
		left[i] = filepath.Base(left[i])
	}
	if diff := cmp.Diff([]string{"other-9", "preheat-box-8", "preheat-box-mine"}, left); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

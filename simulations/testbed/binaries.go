package testbed

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNotBuilt says that binaries are missing; the error that wraps it says how to build them.
var ErrNotBuilt = errors.New("binaries are not built")

// The sets of binaries that the build script knows.
const (
	controlPlaneSet = "controlplane"
	nodeSet         = "node"
	prometheusSet   = "prometheus"
	pickerSet       = "picker"
)

var (
	controlPlaneBinaries = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kubectl"}
	nodeBinaries         = []string{
		"kubelet", "kube-proxy", "containerd", "containerd-shim-runc-v2", "ctr", "runc",
		"cni/ptp", "cni/loopback", "cni/host-local", "pause", "mkimg", "gpuplugin",
	}
)

// CanRun returns nil where Start has a chance, and otherwise ErrNotBuilt with what is missing.
func CanRun() error {
	_, err := binaryDir("", controlPlaneSet, controlPlaneBinaries)
	return err
}

// PrometheusBinary returns the path of a real Prometheus, and otherwise ErrNotBuilt with how to build it.
func PrometheusBinary() (string, error) {
	dir, err := binaryDir("", prometheusSet, []string{"prometheus"})
	return filepath.Join(dir, "prometheus"), err
}

// PickerDir returns the directory of a real endpoint picker of the Gateway API inference extension: epp, ask, which sends it
// requests (simulations/cluster/picker/ask), and the folder crds with its CustomResourceDefinitions. Otherwise it returns
// ErrNotBuilt with how to build them.
func PickerDir() (string, error) { return binaryDir("", pickerSet, []string{"epp", "ask", "crds"}) }

// binaryDir returns the directory of a set of binaries once all of them are in it. dir, if given, is where to look.
func binaryDir(dir, set string, names []string) (string, error) {
	script, err := buildScript()
	if err != nil && dir == "" {
		return "", err
	}
	if dir == "" {
		out, err := exec.Command(script, "where", set).Output()
		if err != nil {
			return "", fmt.Errorf("ask %s for its directory: %w", script, err)
		}
		dir = strings.TrimSpace(string(out))
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("%w: no %s in %s; run simulations/cluster/build.sh %s", ErrNotBuilt, name, dir, set)
		}
	}
	return dir, nil
}

// buildScript finds the script from the working directory upwards: a test runs in its package's folder, a command
// usually in the repository's root.
func buildScript() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the build script: %w", err)
	}
	for {
		script := filepath.Join(dir, "simulations", "cluster", "build.sh")
		if _, err := os.Stat(script); err == nil {
			return script, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("%w: no simulations/cluster/build.sh in the working directory or above it", ErrNotBuilt)
		}
		dir = parent
	}
}

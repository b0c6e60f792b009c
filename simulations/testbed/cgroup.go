package testbed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	cgroupRoot   = "/sys/fs/cgroup"
	cgroupPrefix = "preheat-box-" // followed by the PID of the box's first process
)

// cgroup is a box's control group of one name, in every hierarchy (version 1) or in the only one (version 2).
type cgroup struct {
	root string
	name string
}

func boxCgroup(pid int) cgroup {
	return cgroup{root: cgroupRoot, name: cgroupPrefix + strconv.Itoa(pid)}
}

// hierarchies lists the roots under which groups are made.
func (g cgroup) hierarchies() ([]string, error) {
	if _, err := os.Stat(filepath.Join(g.root, "cgroup.controllers")); err == nil {
		return []string{g.root}, nil
	}
	files, err := filepath.Glob(filepath.Join(g.root, "*", "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var roots []string
	for _, file := range files {
		roots = append(roots, filepath.Dir(file))
	}
	if len(roots) == 0 {
		return nil, fmt.Errorf("no cgroup hierarchy under %s", g.root)
	}
	return roots, nil
}

// create makes the group. A group of version 1 starts with no processor and no memory node, and gets its parent's.
func (g cgroup) create() error {
	roots, err := g.hierarchies()
	if err != nil {
		return fmt.Errorf("list cgroup hierarchies: %w", err)
	}
	for _, root := range roots {
		group := filepath.Join(root, g.name)
		if err := os.MkdirAll(group, 0o755); err != nil {
			return fmt.Errorf("make cgroup: %w", err)
		}
		for _, setting := range []string{"cpuset.cpus", "cpuset.mems"} {
			if err := inherit(root, group, setting); err != nil {
				return err
			}
		}
	}
	return nil
}

// inherit copies a setting from the root of a version 1 hierarchy that has it; version 2's root has none.
func inherit(root, group, setting string) error {
	value, err := os.ReadFile(filepath.Join(root, setting))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read cgroup setting: %w", err)
	}
	if err := os.WriteFile(filepath.Join(group, setting), value, 0o644); err != nil {
		return fmt.Errorf("write cgroup setting: %w", err)
	}
	return nil
}

// remove removes the group with the groups in it, and tries again while killed processes linger.
func (g cgroup) remove() error {
	roots, err := g.hierarchies()
	if err != nil {
		return fmt.Errorf("list cgroup hierarchies: %w", err)
	}
	for range removeAttempts {
		err = nil
		for _, root := range roots {
			err = errors.Join(err, removeGroup(filepath.Join(root, g.name)))
		}
		if err == nil {
			return nil
		}
		time.Sleep(removePause)
	}
	return fmt.Errorf("remove cgroup: %w", err)
}

// removeGroup removes the folders of a group from the innermost outwards; the files in them cannot and need not be.
func removeGroup(group string) error {
	var folders []string
	err := filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	for _, folder := range slices.Backward(folders) {
		if removeErr := os.Remove(folder); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}
	return err
}

// sweepCgroups removes groups of boxes whose program was killed before it could. It leaves living boxes alone.
func sweepCgroups(root string, alive func(pid int) bool) error {
	roots, err := cgroup{root: root}.hierarchies()
	if err != nil {
		return fmt.Errorf("list cgroup hierarchies: %w", err)
	}
	for _, hierarchy := range roots {
		groups, err := filepath.Glob(filepath.Join(hierarchy, cgroupPrefix+"*"))
		if err != nil {
			return fmt.Errorf("list cgroups of boxes: %w", err)
		}
		for _, group := range groups {
			pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(group), cgroupPrefix))
			if err != nil || alive(pid) {
				continue
			}
			if err := removeGroup(group); err != nil {
				return fmt.Errorf("sweep cgroup of box %d: %w", pid, err)
			}
		}
	}
	return nil
}

func processAlive(pid int) bool {
	_, err := os.Stat("/proc/" + strconv.Itoa(pid))
	return err == nil
}

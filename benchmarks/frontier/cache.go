package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
)

// oracleVersion changes with the simulator and the search: what was found before is then looked for anew.
const oracleVersion = 1

// yardstick is what the oracle came to in a cell.
type yardstick struct {
	Attainment float64 `json:"attainment"`
	GPUHours   float64 `json:"gpu_hours"`
	// Met says whether it attains the objective.
	Met bool `json:"met"`
	// Bound is the cost in GPU-hours below which no schedule whatever meets the objective, zero where it is not met.
	Bound float64 `json:"bound_gpu_hours"`
	// Schedules is how many were simulated.
	Schedules int `json:"schedules"`
}

// better says whether a yardstick is the better one of a cell: it meets where the other does not, or costs less.
func (y yardstick) better(o yardstick) bool {
	if y.Met != o.Met {
		return y.Met
	}
	if !y.Met {
		return y.Attainment > o.Attainment
	}
	return y.GPUHours < o.GPUHours
}

// oracles keeps yardsticks in a directory, since finding them takes most of the time.
type oracles struct{ dir string }

// cacheDir is the directory of all that can be found again.
func cacheDir() (string, error) {
	if dir := os.Getenv("PREHEAT_CACHE"); dir != "" {
		return filepath.Join(dir, "frontier"), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("where oracles are kept: %w; set PREHEAT_CACHE", err)
	}
	return filepath.Join(dir, "preheat", "frontier"), nil
}

// key names all that a cell's oracle depends on.
func key(s *subject, e compare.Experiment) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %016x %+v %+v %+v %+v %v %v %v %v %v %v",
		oracleVersion, s.hash(), e.Profile, e.SLO, e.Cluster, e.Leads, e.Seeds, e.WarmUp, e.SearchRequests, e.Initial, e.Min, e.Max))
	name := strings.ReplaceAll(cellName(s.name, s.profile.Name, e.Leads[0].Whole), "/", "_")
	return fmt.Sprintf("%s-%x", name, sum[:8])
}

func (o oracles) path(key string) string { return filepath.Join(o.dir, key+".json") }

// find returns what is kept under a key.
func (o oracles) find(key string) (yardstick, bool) {
	var y yardstick
	data, err := os.ReadFile(o.path(key))
	return y, err == nil && json.Unmarshal(data, &y) == nil
}

// keep stores a yardstick unless a better one is there, and returns the one that counts.
func (o oracles) keep(key string, y yardstick) (yardstick, error) {
	if old, ok := o.find(key); ok && !y.better(old) {
		return old, nil
	}
	data, err := json.Marshal(y)
	if err != nil {
		return y, err
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return y, fmt.Errorf("keep an oracle: %w", err)
	}
	// Whoever reads meanwhile finds the whole of it or nothing.
	part, err := os.CreateTemp(o.dir, "."+key)
	if err != nil {
		return y, fmt.Errorf("keep an oracle: %w", err)
	}
	_, err = part.Write(data)
	if closed := part.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(part.Name(), o.path(key))
	}
	if err != nil {
		_ = os.Remove(part.Name())
		return y, fmt.Errorf("keep an oracle: %w", err)
	}
	return y, nil
}

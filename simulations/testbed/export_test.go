package testbed

// SweepDeadBoxes is what StartBox does about boxes whose program was killed.
func SweepDeadBoxes() error { return sweepCgroups(cgroupRoot, processAlive) }

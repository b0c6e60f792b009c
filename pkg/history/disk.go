package history

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Errors of the disk are told with what to do about them.
var errTooLarge = errors.New("is larger than the bound")

// disk is a folder of checkpoints.
type disk struct {
	dir string
	// most is the largest file that is written or read, in bytes.
	most int
	// before, where set, is told of each step of a write before it is taken, and may fail it: for tests of what a kill,
	// or a full disk, leaves behind.
	before func(step string) error
}

// open makes the folder and tries whether it can be written to.
func (d disk) open() error {
	if err := os.MkdirAll(d.dir, 0o750); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	f, err := os.CreateTemp(d.dir, "probe.*"+temporary)
	if err != nil {
		return fmt.Errorf("write to the folder: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func (d disk) path(name string) string { return filepath.Join(d.dir, name) }

// step fails where a test says so.
func (d disk) step(name string) error {
	if d.before == nil {
		return nil
	}
	return d.before(name)
}

// write replaces a file whole: whatever happens on the way, either the old content or the new one is there.
func (d disk) write(name string, data []byte) error {
	if len(data) > d.most {
		return fmt.Errorf("%d bytes: %w of %d", len(data), errTooLarge, d.most)
	}
	temp, err := d.spool(name, data)
	if err != nil {
		return err
	}
	if err = d.step("rename"); err == nil {
		err = os.Rename(temp, d.path(name))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("put the new one in place: %w", err), os.Remove(temp))
	}
	return d.syncDir()
}

// spool writes data to a temporary file that is on disk when it returns.
func (d disk) spool(name string, data []byte) (string, error) {
	if err := d.step("create"); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(d.dir, name+".*"+temporary)
	if err != nil {
		return "", fmt.Errorf("make a temporary file: %w", err)
	}
	for half := range 2 { // in two writes, so that tests can come between
		if err = d.step("write"); err == nil {
			middle := len(data) / 2
			_, err = f.Write([][]byte{data[:middle], data[middle:]}[half])
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = errors.Join(d.step("sync"), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// syncDir makes a rename last over a loss of power.
func (d disk) syncDir() error {
	if err := d.step("sync the folder"); err != nil {
		return err
	}
	f, err := os.Open(d.dir)
	if err != nil {
		return fmt.Errorf("open the folder: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync the folder: %w", err)
	}
	return nil
}

// read returns a file, fs.ErrNotExist where there is none.
func (d disk) read(name string) ([]byte, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(d.most)+1))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if len(data) > d.most {
		return nil, fmt.Errorf("%w of %d bytes", errTooLarge, d.most)
	}
	return data, nil
}

// peek returns the header of a file without reading what it holds; it is not verified.
func (d disk) peek(name string) (*header, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewReader(io.LimitReader(f, 1<<16))
	if _, err := lines.ReadSlice('\n'); err != nil {
		return nil, fmt.Errorf("%w: first line: %w", errCorrupt, err)
	}
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("%w: header: %w", errCorrupt, err)
	}
	h, _, err := readHeader(line)
	return h, err
}

// aside moves a file out of the way, in place of one that was moved earlier.
func (d disk) aside(name string) error { return os.Rename(d.path(name), d.path(name+asideExtension)) }

const (
	// longGone is after how long a file that nobody writes to is removed: its target is gone, and the longest memory of a
	// forecaster is five weeks.
	longGone = 60 * 24 * time.Hour
	// longAbandoned is after how long a temporary file is one whose writer was killed.
	longAbandoned = time.Hour
)

// sweep removes what nobody needs any more and returns how many files that were.
func (d disk) sweep(now time.Time) (int, error) {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return 0, fmt.Errorf("list the folder: %w", err)
	}
	removed := 0
	var faults []error
	for _, e := range entries {
		keep, ours := keepFor(e.Name())
		info, err := e.Info()
		if !ours || err != nil || !info.Mode().IsRegular() || now.Sub(info.ModTime()) < keep {
			continue
		}
		if err := os.Remove(d.path(e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, err)
			continue
		}
		removed++
	}
	return removed, errors.Join(faults...)
}

// keepFor returns how long an untouched file of this name is kept, false where it is not ours.
func keepFor(name string) (time.Duration, bool) {
	switch {
	case strings.HasSuffix(name, temporary):
		return longAbandoned, true
	case strings.HasSuffix(name, extension) || strings.HasSuffix(name, extension+asideExtension):
		return longGone, true
	}
	return 0, false
}

package history

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
)

func TestFileNamesAreSafeAndTellTargetsApart(t *testing.T) {
	long := strings.Repeat("x", 253)
	names := map[string]controlloop.TargetID{}
	for _, id := range []controlloop.TargetID{
		{Namespace: "ml", Name: "chat"},
		{Namespace: "ml", Name: "chat.v2"},
		{Namespace: "m", Name: "l_chat"},
		{Namespace: "m_l", Name: "chat"},
		{Namespace: "", Name: "ml"},
		{Namespace: "ml", Name: ""},
		{Namespace: "..", Name: ".."},
		{Namespace: ".", Name: "/etc/passwd"},
		{Namespace: "ML", Name: "chat"},
		{Namespace: "ml", Name: "chät\x00\n"},
		{Namespace: "ml", Name: "%63hat"},
		{Namespace: "ml", Name: "c~t"},
		{Namespace: long, Name: long + "a"},
		{Namespace: long, Name: long + "b"},
	} {
		name := fileName(id)
		if other, ok := names[name]; ok {
			t.Errorf("%q and %q are both kept in %s", id, other, name)
		}
		names[name] = id
		if filepath.Base(name) != name || strings.HasPrefix(name, ".") || len(name)+len(asideExtension) > 255 || strings.ContainsAny(name, "/\x00\n") {
			t.Errorf("%q is kept in %q", id, name)
		}
	}
	if got := fileName(controlloop.TargetID{Namespace: "ml", Name: "chat-7b.v2"}); got != "ml_chat-7b.v2.checkpoint" {
		t.Errorf("a name of Kubernetes becomes %q: nobody finds it", got)
	}
}

// killed is what stands for a SIGKILL: nothing runs after it.
type killed struct{}

// killedAt writes and is killed before one of the steps, in their order; it reports whether there are so many.
func killedAt(d disk, at int, name string, data []byte) (was bool) {
	n := 0
	d.before = func(string) error {
		if n++; n > at {
			panic(killed{})
		}
		return nil
	}
	defer func() {
		if x := recover(); x != nil {
			was = x == any(killed{})
		}
	}()
	if err := d.write(name, data); err != nil {
		panic(err)
	}
	return false
}

func TestAKillAtAnyStepLeavesTheOldFileOrTheNewOne(t *testing.T) {
	steps := 0
	for ; ; steps++ {
		d := disk{dir: t.TempDir(), most: 1 << 20}
		before, after := bytes.Repeat([]byte("a"), 1000), bytes.Repeat([]byte("b"), 1200)
		if err := d.write("x"+extension, before); err != nil {
			t.Fatal(err)
		}
		was := killedAt(d, steps, "x"+extension, after)
		got, err := d.read("x" + extension)
		if err != nil || !bytes.Equal(got, before) && !bytes.Equal(got, after) {
			t.Fatalf("killed before step %d: %d bytes are left, %v", steps, len(got), err)
		}
		if err := d.write("x"+extension, after); err != nil {
			t.Fatalf("killed before step %d: nothing can be written any more: %v", steps, err)
		}
		if removed, err := d.sweep(time.Now().Add(2 * longAbandoned)); err != nil || removed > 1 {
			t.Fatalf("%d files are swept, %v", removed, err)
		}
		if left, err := os.ReadDir(d.dir); err != nil || len(left) != 1 {
			t.Fatalf("killed before step %d: %v is left, %v", steps, left, err)
		}
		if !was {
			break
		}
	}
	if steps != 6 {
		t.Errorf("killed before %d steps, a write has 6", steps)
	}
}

func TestAWriteThatFailsLeavesTheOldFileAndNothingElse(t *testing.T) {
	for _, step := range []string{"create", "write", "sync", "rename"} {
		d := disk{dir: t.TempDir(), most: 1 << 20}
		if err := d.write("x", []byte("old")); err != nil {
			t.Fatal(err)
		}
		full := errors.New("no space left on device")
		d.before = func(at string) error {
			if at == step {
				return full
			}
			return nil
		}
		if err := d.write("x", []byte("new and longer")); !errors.Is(err, full) {
			t.Errorf("%s failed, and the error is %v", step, err)
		}
		got, err := d.read("x")
		left, _ := os.ReadDir(d.dir)
		if string(got) != "old" || err != nil || len(left) != 1 {
			t.Errorf("%s failed: %q is left, %v, among %d files", step, got, err, len(left))
		}
	}
}

func TestFilesAreBounded(t *testing.T) {
	d := disk{dir: t.TempDir(), most: 100}
	if err := d.write("x", make([]byte, 101)); !errors.Is(err, errTooLarge) {
		t.Errorf("101 bytes are written: %v", err)
	}
	if err := os.WriteFile(d.path("y"), make([]byte, 101), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.read("y"); !errors.Is(err, errTooLarge) {
		t.Errorf("101 bytes are read: %v", err)
	}
	if err := os.WriteFile(d.path("z"), bytes.Repeat([]byte("z"), 1<<17), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"y", "z"} {
		if _, err := d.peek(name); !errors.Is(err, errCorrupt) {
			t.Errorf("the header of %s: %v", name, err)
		}
	}
}

func TestAFolderThatCannotBeWrittenIsTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (disk{dir: filepath.Join(file, "folder")}).open(); err == nil {
		t.Error("a folder in a file is opened")
	}
	d := disk{dir: filepath.Join(t.TempDir(), "a", "b")}
	if err := d.open(); err != nil {
		t.Errorf("a folder that can be made: %v", err)
	}
	if left, err := os.ReadDir(d.dir); err != nil || len(left) != 0 {
		t.Errorf("trying it out leaves %v, %v", left, err)
	}
}

func TestOnlyOldFilesOfOursAreSwept(t *testing.T) {
	d := disk{dir: t.TempDir(), most: 1 << 20}
	now := time.Now()
	age := map[string]time.Duration{
		"a" + extension: longGone - time.Hour, "b" + extension: longGone + time.Hour,
		"c" + extension + asideExtension: longGone + time.Hour, "d" + extension + ".1" + temporary: longAbandoned + time.Minute,
		"e" + extension + ".2" + temporary: time.Minute, "lost+found.txt": 10 * longGone,
	}
	for name, old := range age {
		if err := errors.Join(os.WriteFile(d.path(name), nil, 0o600), os.Chtimes(d.path(name), now.Add(-old), now.Add(-old))); err != nil {
			t.Fatal(err)
		}
	}
	if removed, err := d.sweep(now); removed != 3 || err != nil {
		t.Errorf("%d files are removed, %v", removed, err)
	}
	var left []string
	entries, _ := os.ReadDir(d.dir)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if diff := cmp.Diff([]string{"a" + extension, "e" + extension + ".2" + temporary, "lost+found.txt"}, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if _, err := (disk{dir: d.path("nowhere")}).sweep(now); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

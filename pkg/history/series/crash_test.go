package series

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

const (
	writerEnv   = "PREHEAT_HISTORY_WRITER"
	writerStep  = 40 * time.Second
	writerCount = 2
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerEnv); dir != "" {
		write(dir)
	}
	os.Exit(m.Run())
}

// rowsOf are those of tick n: the same in the writer and in the test.
func rowsOf(n int) (time.Time, []Row) {
	at := start.Add(time.Duration(n) * writerStep)
	return at, rowsAt(rand.New(rand.NewPCG(uint64(n), 7)), at, writerCount)
}

// write appends one tick after another until it is killed, and tells of each one once it is kept. It goes on after the
// newest that it finds, as a new process goes on with the present.
func write(dir string) {
	s := NewStore(dir, Limits{}, silent())
	fail := func(err error) {
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
	fail(s.Attach(start.Add(1000 * 24 * time.Hour)))
	first := 0
	if s.newest != never {
		first = int(time.UnixMilli(s.newest).Sub(start)/writerStep) + 1
	}
	maintained := make(chan error, 1)
	maintained <- nil
	for n := first; ; n++ {
		if len(s.ended()) == maxWindows-1 { // two hours take milliseconds here: of one more, the oldest would be dropped
			fail(<-maintained)
			maintained <- s.Maintain(context.Background())
		}
		fail(s.Append(rowsOf(n)))
		fmt.Println(n)
		if !s.Due() {
			continue
		}
		select { // beside the writing, as in the service
		case err := <-maintained:
			fail(err)
			go func() { maintained <- s.Maintain(context.Background()) }()
		default:
		}
	}
}

// killed runs a writer, kills it after a while, and returns the last tick that it said was kept, -1 for none.
func killed(t *testing.T, dir string, after time.Duration) int {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), writerEnv+"="+dir)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	last, lines := -1, bufio.NewScanner(out)
	if lines.Scan() { // from the first on, so that the time is spent on writing
		last = number(t, lines.Text())
		timer := time.AfterFunc(after, func() { _ = c.Process.Kill() })
		defer timer.Stop()
	}
	for lines.Scan() {
		last = number(t, lines.Text())
	}
	_ = c.Wait()
	return last
}

func number(t *testing.T, line string) int {
	t.Helper()
	n, err := strconv.Atoi(line)
	if err != nil {
		t.Fatalf("the writer said %q", line)
	}
	return n
}

// A writer is killed over and over, also while it writes blocks, minutes and weeks; all that it said was kept is there.
func TestWhatWasAcknowledgedOutlivesKills(t *testing.T) {
	kills := 200
	if testing.Short() {
		kills = 12
	}
	rng, dir, last, blocks := rand.New(rand.NewPCG(9, 9)), t.TempDir(), -1, 0
	for n := range kills {
		after := time.Duration(rng.IntN(300)) * time.Millisecond
		acknowledged := killed(t, dir, after)
		if acknowledged < last {
			t.Fatalf("kill %d: tick %d was acknowledged last, and before it %d", n, acknowledged, last)
		}
		last = acknowledged
		blocks += verify(t, dir, last, n%20 == 19 || n == kills-1)
	}
	t.Logf("%d kills, %d ticks of %d targets, %d blocks seen", kills, last+1, writerCount, blocks)
	if blocks == 0 {
		t.Error("no block was ever written: the test shows too little")
	}
}

// verify opens a folder and looks for all that was acknowledged: of the last hours, or of all time.
func verify(t *testing.T, dir string, last int, all bool) (blocks int) {
	t.Helper()
	s := NewStore(dir, Limits{}, silent())
	if err := s.Attach(start.Add(1000 * 24 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	defer s.Detach()
	until, _ := rowsOf(last + 1)
	from := until.Add(-3 * time.Hour)
	if from.Before(start) || all {
		from = start
	}
	tw := twin{}
	for n := max(0, int(from.Sub(start)/writerStep)); n <= last; n++ {
		tw.append(rowsOf(n))
	}
	agree(t, s, tw, firstTick(s), from.Truncate(time.Minute).Add(time.Minute), until)
	return len(s.ticks.blocks) + len(s.minutes.blocks)
}

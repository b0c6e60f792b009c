package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
)

// redraw is the time between two drawings of the progress line.
const redraw = 200 * time.Millisecond

// progressLine draws one line about how far the runs are, again and again.
type progressLine struct {
	out   io.Writer
	read  func() compare.Progress
	began time.Time // of what is counted now
	done  int64     // when it was last drawn
	drawn int       // columns in use
}

// show draws until the returned function is called, which wipes the line. After the end of ctx the line says what is
// waited for.
func show(ctx context.Context, out io.Writer, read func() compare.Progress) (stop func()) {
	line := &progressLine{out: out, read: read, began: time.Now()}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		line.until(done, ctx.Done())
	}()
	return func() {
		close(done)
		<-ended
	}
}

func (l *progressLine) until(done, interrupted <-chan struct{}) {
	ticker := time.NewTicker(redraw)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			l.draw("")
			return
		case <-interrupted:
			l.draw("ending with what is done; once more stops at once, with nothing")
			ticker.Stop()
			interrupted = nil
		case now := <-ticker.C:
			l.draw(l.text(now))
		}
	}
}

// text is the line at a time. Counting begins anew with each stage: reading the trace, running, tuning.
func (l *progressLine) text(now time.Time) string {
	p := l.read()
	if p.Done < l.done {
		l.began = now
	}
	l.done = p.Done
	return progressText(p, now.Sub(l.began))
}

// draw replaces the line; what is shorter than before is filled with blanks.
func (l *progressLine) draw(text string) {
	columns := len([]rune(text))
	fmt.Fprint(l.out, "\r"+text+strings.Repeat(" ", max(0, l.drawn-columns)))
	if text == "" {
		fmt.Fprint(l.out, "\r")
	}
	l.drawn = columns
}

// progressText is one line: what is done, how fast, and how long it will take at that speed.
func progressText(p compare.Progress, elapsed time.Duration) string {
	if p.Total == 0 {
		return "reading the trace: " + thousands(p.Done) + " requests"
	}
	share := min(1, float64(p.Done)/float64(p.Total))
	text := fmt.Sprintf("%3.0f %%  %d of %d runs  %s of %s requests", 100*share, p.RunsDone, p.Runs, thousands(p.Done), thousands(p.Total))
	if p.Done > 0 && elapsed > time.Second {
		perSecond := float64(p.Done) / elapsed.Seconds()
		left := time.Duration(float64(max(0, p.Total-p.Done)) / perSecond * float64(time.Second))
		text += fmt.Sprintf("  %s/s  %s left", thousands(int64(perSecond)), left.Round(time.Second))
	}
	return text
}

// thousands writes a number with commas.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

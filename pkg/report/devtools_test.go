package report_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// browserNames are commands under which a Chromium may be installed.
var browserNames = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}

// browser is a Chromium without a window, driven over two pipes by its DevTools protocol: no port is opened.
type browser struct {
	t       *testing.T
	cmd     *exec.Cmd
	to      *os.File
	mu      sync.Mutex
	next    int
	answers map[int]chan message
	session string
	// requests are the addresses that the page asked for, faults what it complained of.
	requests, faults []string
}

// message is an answer or an event of the protocol.
type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// newBrowser starts a browser that ends with the test, or skips the test where there is none.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range browserNames {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skipf("no browser found (looked for %s): the page is not clicked through", strings.Join(browserNames, ", "))
	}
	profile, err := os.MkdirTemp("", "report-browser-") //nolint:usetesting // t.TempDir fails the test where a dying child still writes
	if err != nil {
		t.Fatal(err)
	}
	theirs, to := pipe(t)
	from, ours := pipe(t)
	b := &browser{t: t, to: to, answers: map[int]chan message{}}
	b.cmd = exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
		"--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-sync", "--mute-audio",
		"--remote-debugging-pipe", "--user-data-dir="+profile, "about:blank")
	b.cmd.ExtraFiles = []*os.File{theirs, ours} // 3 and 4 of the browser
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	ours.Close()
	go b.read(from)
	t.Cleanup(func() {
		b.end(from)
		_ = os.RemoveAll(profile) // what a dying child still writes there does no harm
	})
	b.attach()
	return b
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// end ends the browser and all that it started.
func (b *browser) end(from *os.File) {
	_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGTERM)
	done := make(chan struct{})
	go func() { _ = b.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
	}
	_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
	<-done
	b.to.Close()
	from.Close()
}

// read takes what the browser says until it ends: messages with a zero byte after each.
func (b *browser) read(from *os.File) {
	in := bufio.NewReaderSize(from, 1<<20)
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if c := b.answers[m.ID]; m.ID != 0 && c != nil {
			c <- m
		} else {
			b.note(m)
		}
		b.mu.Unlock()
	}
}

// note keeps what the page asks the network for and what it complains of.
func (b *browser) note(m message) {
	switch m.Method {
	case "Network.requestWillBeSent":
		var p struct{ Request struct{ URL string } }
		_ = json.Unmarshal(m.Params, &p)
		b.requests = append(b.requests, p.Request.URL)
	case "Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled":
		b.faults = append(b.faults, string(m.Params))
	}
}

// call asks the browser for something and returns the answer.
func (b *browser) call(method string, params any, result any) {
	b.t.Helper()
	if err := b.try(method, params, result); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
}

func (b *browser) try(method string, params any, result any) error {
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	b.mu.Lock()
	b.next++
	id, c := b.next, make(chan message, 1)
	b.answers[id] = c
	b.mu.Unlock()
	text, err := json.Marshal(map[string]any{"id": id, "method": method, "params": params, "sessionId": b.session})
	if err != nil {
		return err
	}
	if b.session == "" {
		text, _ = json.Marshal(map[string]any{"id": id, "method": method, "params": params})
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		return err
	}
	select {
	case m := <-c:
		if m.Error != nil {
			return errors.New(m.Error.Message)
		}
		if result != nil {
			return json.Unmarshal(m.Result, result)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type object map[string]any

// run is a test within the test; what goes wrong in the browser is its fault.
func (b *browser) run(name string, f func(t *testing.T)) {
	outer := b.t
	outer.Run(name, func(t *testing.T) {
		b.t = t
		defer func() { b.t = outer }()
		f(t)
	})
}

// attach opens a page and listens to it.
func (b *browser) attach() {
	b.t.Helper()
	var target struct{ TargetID string }
	b.call("Target.createTarget", object{"url": "about:blank"}, &target)
	var session struct{ SessionID string }
	b.call("Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &session)
	b.session = session.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.call(domain+".enable", object{}, nil)
	}
}

// screen sets the size of the window and whether the reader prefers "light" or "dark".
func (b *browser) screen(width, height int, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", object{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
	b.call("Emulation.setEmulatedMedia", object{"features": []object{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// open shows a file and waits until its script has run.
func (b *browser) open(path string) {
	b.t.Helper()
	b.call("Page.navigate", object{"url": "file://" + path}, nil)
	b.wait("document.documentElement?.dataset.ready === 'true'")
}

// eval evaluates an expression in the page into result.
func (b *browser) eval(expression string, result any) {
	b.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	b.call("Runtime.evaluate", object{"expression": expression, "returnByValue": true, "awaitPromise": true}, &answer)
	if e := answer.ExceptionDetails; e != nil {
		b.t.Fatalf("evaluate %s: %s %s", expression, e.Text, e.Exception.Description)
	}
	if result != nil && len(answer.Result.Value) > 0 {
		if err := json.Unmarshal(answer.Result.Value, result); err != nil {
			b.t.Fatalf("evaluate %s: %v in %s", expression, err, answer.Result.Value)
		}
	}
}

// text is an expression's value as a string.
func (b *browser) text(expression string) string {
	b.t.Helper()
	var s string
	b.eval("String("+expression+")", &s)
	return s
}

// wait fails the test unless a condition comes true within some seconds.
func (b *browser) wait(condition string) {
	b.t.Helper()
	for range 200 {
		if b.text(condition) == "true" {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.t.Fatalf("waited in vain for %s; complaints: %q", condition, b.faults)
}

// place is where an element is seen, scrolled into the middle of the window.
func (b *browser) place(selector string) (x, y, width, height float64) {
	b.t.Helper()
	var r [4]float64
	b.eval(fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.scrollIntoView({block: 'center'});
		const r = e.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()`, selector), &r)
	return r[0], r[1], r[2], r[3]
}

// click presses the mouse in the middle of an element.
func (b *browser) click(selector string) {
	b.t.Helper()
	x, y, w, h := b.place(selector)
	b.clickAt(x+w/2, y+h/2)
}

func (b *browser) clickAt(x, y float64) {
	b.t.Helper()
	b.mouse("mouseMoved", x, y, 0)
	b.mouse("mousePressed", x, y, 1)
	b.mouse("mouseReleased", x, y, 1)
}

// drag moves the mouse from one place to another with the button held.
func (b *browser) drag(x0, y0, x1, y1 float64) {
	b.t.Helper()
	b.mouse("mouseMoved", x0, y0, 0)
	b.mouse("mousePressed", x0, y0, 1)
	for i := range 5 {
		part := float64(i+1) / 5
		b.mouse("mouseMoved", x0+(x1-x0)*part, y0+(y1-y0)*part, 1)
	}
	b.mouse("mouseReleased", x1, y1, 1)
}

func (b *browser) mouse(kind string, x, y float64, buttons int) {
	b.t.Helper()
	button := "none"
	if kind != "mouseMoved" || buttons > 0 {
		button = "left"
	}
	b.call("Input.dispatchMouseEvent", object{"type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": 1}, nil)
}

// press presses a key by its name, as "ArrowRight".
func (b *browser) press(key string) {
	b.t.Helper()
	params := object{"type": "keyDown", "key": key, "code": key}
	if len(key) == 1 {
		params["text"] = key
	}
	b.call("Input.dispatchKeyEvent", params, nil)
	b.call("Input.dispatchKeyEvent", object{"type": "keyUp", "key": key, "code": key}, nil)
}

// choose selects an option of a list by its text.
func (b *browser) choose(selector, option string) {
	b.t.Helper()
	if found := b.text(fmt.Sprintf(`(() => { const s = document.querySelector(%q);
		const o = [...s.options].find(o => o.text.startsWith(%q)); if (!o) return false;
		s.value = o.value; s.dispatchEvent(new Event('change', {bubbles: true})); return true; })()`, selector, option)); found != "true" {
		b.t.Fatalf("%s has no option %q", selector, option)
	}
}

// shoot takes a picture of the window.
func (b *browser) shoot(path string) {
	b.t.Helper()
	var picture struct{ Data string }
	b.call("Page.captureScreenshot", object{"format": "png"}, &picture)
	data, err := base64.StdEncoding.DecodeString(picture.Data)
	if err == nil {
		err = os.WriteFile(path, data, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// silent fails the test where the page complained, or asked the network for anything, since it was last called.
func (b *browser) silent(page string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		b.t.Errorf("the page complains: %s", f)
	}
	for _, r := range b.requests {
		if r != "file://"+page {
			b.t.Errorf("the page asks for %s", r)
		}
	}
	b.faults, b.requests = nil, nil
}

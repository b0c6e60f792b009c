package trace

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tokenWindow is the distribution of sizes from a time on.
type tokenWindow struct {
	at             time.Duration
	prompt, output sizes
	// media are tokens of images, audio and video in the prompt, each as many as its count says.
	media []media
}

type media struct{ count, tokens sizes }

// sizes is a discrete distribution; without values, the window was idle.
type sizes struct {
	values []int
	// until are cumulated shares, the last one is 1.
	until []float64
}

func (s *sizes) draw(rng *rand.Rand) int {
	i, _ := slices.BinarySearch(s.until, rng.Float64())
	return s.values[min(i, len(s.values)-1)]
}

// size draws a request's size: from the client's own distributions where there are any, else from the mix.
func (c *sender) size(mix Mix) (prompt, output int) {
	w := c.tokensAt(c.windows[c.window].at)
	if w == nil {
		return mix.Draw(c.rng)
	}
	prompt, output = w.prompt.draw(c.rng), w.output.draw(c.rng)
	for _, m := range w.media {
		for range min(m.count.draw(c.rng), maxMedia) {
			prompt += m.tokens.draw(c.rng)
		}
	}
	return min(max(1, prompt), maxTokens), max(1, output)
}

// maxMedia bounds the images, sounds or films of one request.
const maxMedia = 1000

// tokensAt is the newest distribution that is not later than a window, or the first one.
func (c *client) tokensAt(at time.Duration) *tokenWindow {
	if len(c.tokens) == 0 {
		return nil
	}
	i, found := slices.BinarySearchFunc(c.tokens, at, func(w tokenWindow, at time.Duration) int { return cmp.Compare(w.at, at) })
	if !found && i > 0 {
		i--
	}
	return &c.tokens[i]
}

// readTokens reads chunk-N-dataset.json: for each start of a window in seconds, distributions by name, each written as a
// dictionary of Python in a string: "{100: 0.5, 200: 0.5}".
func readTokens(text []byte, file string) ([]tokenWindow, error) {
	var windows map[string]map[string]string
	if err := json.Unmarshal(text, &windows); err != nil {
		return nil, jsonFault(file, text, err)
	}
	var out []tokenWindow
	for key, fields := range windows {
		w, err := readTokenWindow(key, fields)
		if err != nil {
			return nil, &Error{File: file, Name: key, Err: err}
		}
		if w.prompt.values != nil && w.output.values != nil {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b tokenWindow) int { return cmp.Compare(a.at, b.at) })
	return out, nil
}

// readTokenWindow reads one window; an idle one has no distributions.
func readTokenWindow(key string, fields map[string]string) (tokenWindow, error) {
	at, err := parseSeconds([]byte(key))
	if err != nil {
		return tokenWindow{}, err
	}
	dists := map[string]sizes{}
	for _, name := range tokenFields {
		if dists[name], err = readSizes(fields[name]); err != nil {
			return tokenWindow{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	w := tokenWindow{at: time.Duration(at), prompt: dists["input_tokens"], output: dists["output_tokens"]}
	if w.prompt.values == nil {
		w.prompt = dists["text_tokens"]
	}
	for _, kind := range mediaKinds {
		if count, tokens := dists[kind+"_count"], dists[kind+"_tokens"]; count.values != nil && tokens.values != nil {
			w.media = append(w.media, media{count, tokens})
		}
	}
	return w, nil
}

var (
	mediaKinds  = []string{"image", "audio", "video"}
	tokenFields = []string{
		"input_tokens", "text_tokens", "output_tokens",
		"image_count", "image_tokens", "audio_count", "audio_tokens", "video_count", "video_tokens",
	}
)

// readSizes reads a distribution; nothing and the empty dictionary, which stand for an idle window, have no values.
func readSizes(text string) (sizes, error) {
	var out sizes
	inner := strings.TrimSpace(text)
	if inner == "" {
		return out, nil
	}
	if !strings.HasPrefix(inner, "{") || !strings.HasSuffix(inner, "}") {
		return out, fmt.Errorf("%q is not a dictionary of shares", clip([]byte(inner)))
	}
	total := 0.0
	for entry := range strings.SplitSeq(inner[1:len(inner)-1], ",") {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		value, share, err := readShare(entry)
		if err != nil {
			return out, err
		}
		total += share
		out.values, out.until = append(out.values, value), append(out.until, total)
	}
	if total == 0 {
		return sizes{}, nil
	}
	for i := range out.until {
		out.until[i] /= total
	}
	return out, nil
}

// readShare reads 100: 0.5.
func readShare(entry string) (value int, share float64, err error) {
	key, text, ok := strings.Cut(entry, ":")
	if !ok {
		return 0, 0, fmt.Errorf("%q: want SIZE: SHARE", clip([]byte(entry)))
	}
	if value, err = parseTokens([]byte(strings.TrimSpace(key))); err != nil {
		return 0, 0, err
	}
	share, err = strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(share >= 0 && share <= maxRate) {
		return 0, 0, errors.Join(err, fmt.Errorf("share %q: want a number of zero or more", clip([]byte(text))))
	}
	return value, share, nil
}

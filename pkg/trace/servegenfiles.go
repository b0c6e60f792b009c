package trace

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// chunkName is the name of a client's file; the second group tells its rates from its sizes.
var chunkName = regexp.MustCompile(`^chunk-(\d{1,9})-(trace\.csv|dataset\.json)(\.gz)?$`)

// chunks collects clients' files as they come, in any order.
type chunks struct {
	// folder is where the first one lay: a service is one folder.
	folder  string
	clients map[int]*client
	tokens  map[int][]tokenWindow
}

// add reads a file if it is one of a client.
func (c *chunks) add(path string, in io.Reader) error {
	parts := chunkName.FindStringSubmatch(filepath.Base(path))
	if parts == nil {
		return nil
	}
	if folder := filepath.Dir(path); c.clients == nil {
		c.folder, c.clients, c.tokens = folder, map[int]*client{}, map[int][]tokenWindow{}
	} else if folder != c.folder {
		return fmt.Errorf("clients of two services, in %s and in %s: give the folder of one", c.folder, folder)
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		return err // out of the expression's reach
	}
	text, err := openText(in)
	if err != nil {
		return &Error{File: path, Err: err}
	}
	if parts[2] == "trace.csv" {
		c.clients[n], err = readClient(text, path)
		return err
	}
	return c.addTokens(n, path, text)
}

// maxDataset bounds a client's distributions in memory.
const maxDataset = 1 << 30

func (c *chunks) addTokens(n int, path string, in io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(in, maxDataset))
	if err != nil {
		return &Error{File: path, Err: err}
	}
	c.tokens[n], err = readTokens(text, path)
	return err
}

// all are the clients in order of their numbers.
func (c *chunks) all(source string) ([]*client, error) {
	if len(c.clients) == 0 {
		return nil, &Error{File: source, Err: fmt.Errorf("%w: no chunk-N-trace.csv of a ServeGen client in it", ErrFormat)}
	}
	var out []*client
	for _, n := range slices.Sorted(maps.Keys(c.clients)) {
		c.clients[n].tokens = c.tokens[n]
		out = append(out, c.clients[n])
	}
	return out, nil
}

// openFolder opens a folder that holds the files of one service's clients, in itself or below.
func openFolder(path string, o Options) (*Trace, error) {
	if o.Format != "" && o.Format != ServeGen {
		return nil, &Error{File: path, Err: fmt.Errorf("a folder is read as %s, not as %s", ServeGen, o.Format)}
	}
	var found chunks
	err := filepath.WalkDir(path, func(name string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return notTooDeep(path, name)
		}
		if !chunkName.MatchString(entry.Name()) {
			return nil
		}
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		return found.add(name, file)
	})
	if err != nil {
		return nil, fmt.Errorf("open trace: %w", err)
	}
	clients, err := found.all(path)
	if err != nil {
		return nil, err
	}
	t, err := serviceTrace(clients, o)
	if err != nil {
		return nil, err
	}
	t.facts.Source, t.facts.Format = path, ServeGen
	return t, nil
}

// maxDepth is how far below a folder clients are looked for: data/language/m-small is three.
const maxDepth = 4

// notTooDeep keeps a wrong folder, such as a home, from being walked through.
func notTooDeep(root, folder string) error {
	below, err := filepath.Rel(root, folder)
	if err != nil || strings.Count(below, string(filepath.Separator)) >= maxDepth {
		return filepath.SkipDir
	}
	return nil
}

// clients opens a tar archive of a service's files, or the file of one client.
func (f *opened) clients(o Options) (*Trace, error) {
	defer f.file.Close()
	clients, err := f.readClients()
	if err != nil {
		return nil, err
	}
	return serviceTrace(clients, o)
}

func (f *opened) readClients() ([]*client, error) {
	if head := f.text.peek(headBytes); len(head) <= tarMagicAt || !bytes.HasPrefix(head[tarMagicAt:], []byte(tarMagic)) {
		c, err := readClient(f.text, f.path)
		if err != nil {
			return nil, err
		}
		return []*client{c}, nil
	}
	var found chunks
	archive := tar.NewReader(f.text)
	for {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found.all(f.path)
		}
		if err != nil {
			return nil, &Error{File: f.path, Err: fmt.Errorf("tar: %w", err)}
		}
		if strings.HasPrefix(filepath.Base(entry.Name), "chunk-") {
			if err := found.add(entry.Name, archive); err != nil {
				return nil, fmt.Errorf("%s: %w", f.path, err)
			}
		}
	}
}

// serviceTrace is the trace of a service.
func serviceTrace(clients []*client, o Options) (*Trace, error) {
	for _, c := range clients {
		if err := c.check(o); err != nil {
			return nil, err
		}
	}
	mix, err := o.mix()
	if err != nil {
		return nil, err
	}
	s, err := Reshape(newService(clients, mix, o), o.afterDrawing())
	if err != nil {
		return nil, err
	}
	t := &Trace{stream: s}
	t.facts.Expected, t.facts.Length = expectedOf(clients, o), o.windowed(length(clients))
	unsized := 0
	for _, c := range clients {
		if c.tokens == nil {
			unsized++
		}
	}
	if t.facts.DrawnSizes = unsized > 0; t.facts.DrawnSizes {
		t.facts.Notes = append(t.facts.Notes, fmt.Sprintf("%d of %d clients have no token data: their sizes are drawn from the mix", unsized, len(clients)))
	}
	return t, nil
}

// Command mkimg packs static binaries into a container image of one layer, without a container engine:
//
//	mkimg OUT.tar NAME:TAG /path/in/image=local-file ... [-- ENTRYPOINT ...]
//
// The archive is in the docker-archive format, which `ctr images import` reads. Equal inputs give equal bytes: no
// times, owners or host names are recorded. It does not follow Dockerfiles and adds no base image.
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mkimg:", err)
		os.Exit(1)
	}
}

// image is what the command line asks for.
type image struct {
	reference  string      // NAME:TAG
	files      [][2]string // path in the image, local file; in order
	entrypoint []string
}

func run(args []string) error {
	if len(args) < 3 {
		return errors.New("usage: mkimg OUT.tar NAME:TAG /path/in/image=local-file ... [-- ENTRYPOINT ...]")
	}
	img, err := parse(args[1:])
	if err != nil {
		return err
	}
	out, err := os.Create(args[0])
	if err != nil {
		return fmt.Errorf("create image: %w", err)
	}
	return errors.Join(img.write(out), out.Close())
}

func parse(args []string) (image, error) {
	img := image{reference: args[0]}
	for i, arg := range args[1:] {
		if arg == "--" {
			img.entrypoint = args[i+2:]
			break
		}
		inside, local, ok := strings.Cut(arg, "=")
		if !ok {
			return image{}, fmt.Errorf("%q is not of the form /path/in/image=local-file", arg)
		}
		img.files = append(img.files, [2]string{strings.TrimPrefix(inside, "/"), local})
	}
	return img, nil
}

// write emits the archive: configuration, layer, manifest.
func (img image) write(out io.Writer) error {
	layer, err := img.layer()
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Entrypoint": img.entrypoint, "Env": []string{"PATH=/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
	})
	if err != nil {
		return fmt.Errorf("encode image configuration: %w", err)
	}
	configName, layerName := digest(config)+".json", digest(layer)+"/layer.tar"
	manifest, err := json.Marshal([]any{map[string]any{
		"Config": configName, "RepoTags": []string{img.reference}, "Layers": []string{layerName},
	}})
	if err != nil {
		return fmt.Errorf("encode image manifest: %w", err)
	}
	w := tar.NewWriter(out)
	return errors.Join(
		addFile(w, configName, 0o644, config),
		addFile(w, layerName, 0o644, layer),
		addFile(w, "manifest.json", 0o644, manifest),
		w.Close())
}

// layer is the image's only file system layer, parents before children.
func (img image) layer() ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	made := map[string]bool{".": true}
	for _, file := range img.files {
		content, err := os.ReadFile(file[1])
		if err != nil {
			return nil, fmt.Errorf("read image content: %w", err)
		}
		if err := errors.Join(addParents(w, made, path.Dir(file[0])), addFile(w, file[0], 0o755, content)); err != nil {
			return nil, fmt.Errorf("write layer: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write layer: %w", err)
	}
	return buf.Bytes(), nil
}

// addParents writes the directory dir and those above it that are not in made yet, the outermost first.
func addParents(w *tar.Writer, made map[string]bool, dir string) error {
	if made[dir] {
		return nil
	}
	made[dir] = true
	if err := addParents(w, made, path.Dir(dir)); err != nil {
		return err
	}
	return w.WriteHeader(&tar.Header{Name: dir + "/", Mode: 0o755, Typeflag: tar.TypeDir})
}

func addFile(w *tar.Writer, name string, mode int64, content []byte) error {
	header := &tar.Header{Name: name, Mode: mode, Size: int64(len(content)), Typeflag: tar.TypeReg, Format: tar.FormatPAX}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

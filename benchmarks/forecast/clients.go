package main

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast/backtest"
)

// window is the length of a row of ServeGen's clients.
const window = 10 * time.Minute

// client is the k-th largest of the clients in a ServeGen archive, by requests. pkg/trace draws requests from such an
// archive; here the rates themselves are wanted.
func client(file string, k int) (backtest.Series, error) {
	in, err := os.Open(file)
	if err != nil {
		return backtest.Series{}, err
	}
	defer in.Close()
	all, err := readClients(in)
	if err != nil {
		return backtest.Series{}, fmt.Errorf("%s: %w", file, err)
	}
	if k >= len(all) {
		return backtest.Series{}, fmt.Errorf("%s: it has %d clients, client %d is wanted", file, len(all), k+1)
	}
	return all[k], nil
}

// readClients reads every chunk-N-trace.csv of an archive, the largest first.
func readClients(in io.Reader) ([]backtest.Series, error) {
	text, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	var out []backtest.Series
	for archive := tar.NewReader(text); ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if ok, _ := path.Match("chunk-*-trace.csv", path.Base(head.Name)); !ok {
			continue
		}
		s, err := readClient(archive)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", head.Name, err)
		}
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b backtest.Series) int {
		return cmp.Compare(b.Mean()*float64(len(b.Values)), a.Mean()*float64(len(a.Values)))
	})
	return out, nil
}

// readClient reads the first two columns, seconds and requests per second. Windows that are missing are unknown.
func readClient(in io.Reader) (backtest.Series, error) {
	rows, err := csv.NewReader(in).ReadAll()
	if err != nil {
		return backtest.Series{}, err
	}
	s := backtest.Series{Start: monday, Step: window}
	for i, row := range rows {
		at, errAt := strconv.ParseFloat(row[0], 64)
		rate, errRate := strconv.ParseFloat(row[min(1, len(row)-1)], 64)
		if err := errors.Join(errAt, errRate); err != nil {
			return s, fmt.Errorf("line %d: %w", i+1, err)
		}
		slot := int(at / window.Seconds())
		if slot < len(s.Values) || slot > 1e6 {
			return s, fmt.Errorf("line %d: window at %v s: want windows of %v in order of time", i+1, at, window)
		}
		for len(s.Values) < slot {
			s.Values = append(s.Values, math.NaN())
		}
		s.Values = append(s.Values, rate)
	}
	return s, nil
}

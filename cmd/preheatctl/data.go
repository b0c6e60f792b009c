package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"sigs.k8s.io/yaml"
)

// encode writes a value as JSON or as YAML of the same fields.
func encode(out io.Writer, format string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	return writeData(out, format, append(text, '\n'))
}

// writeData writes JSON as it is, or as YAML.
func writeData(out io.Writer, format string, text []byte) (err error) {
	if format == "yaml" {
		if text, err = yaml.JSONToYAML(text); err != nil {
			return fmt.Errorf("encode the result: %w", err)
		}
	}
	_, err = io.Copy(out, bytes.NewReader(text))
	return err
}

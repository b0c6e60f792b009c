package record

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate writes a test server's certificate to a file.
func certificate(t *testing.T, server *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(path, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultQueriesAreFilledIn(t *testing.T) {
	for _, engine := range Engines() {
		for _, selector := range []string{"", `namespace="llm",model_name=~"chat.*"`} {
			q, err := Default(engine, selector, 5*time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			for _, expression := range []string{q.Rate, q.Prompt, q.Output} {
				if strings.Count(expression, "(") != strings.Count(expression, ")") || strings.Contains(expression, "$") {
					t.Errorf("%s: %q is not whole", engine, expression)
				}
				if !strings.Contains(expression, "[5m]") || !strings.Contains(expression, selector) {
					t.Errorf("%s: %q lacks the window or the selector", engine, expression)
				}
			}
		}
	}
}

func TestDefaultRefuses(t *testing.T) {
	if _, err := Default("triton", "", time.Minute); err == nil || !strings.Contains(err.Error(), "vllm, sglang") {
		t.Errorf("an unknown engine: %v", err)
	}
	if _, err := Default("vllm", `{namespace="x"}`, time.Minute); err == nil || !strings.Contains(err.Error(), "without braces") {
		t.Errorf("a selector with braces: %v", err)
	}
}

package history

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
)

const (
	extension = ".checkpoint"
	// asideExtension is added to the name of a checkpoint that was not believed.
	asideExtension = ".aside"
	// temporary is added, with a random number, to the name of one that is being written.
	temporary = ".tmp"
	// maxName keeps a name with all its extensions within the 255 bytes of most file systems.
	maxName = 200
)

// fileName returns the name of a target's checkpoint: its namespace and name where these are of Kubernetes, and different
// for different targets and safe in any folder whatever they are.
func fileName(id controlloop.TargetID) string {
	name := escape(id.Namespace) + "_" + escape(id.Name)
	if len(name) > maxName {
		sum := sha256.Sum256([]byte(name))
		name = name[:maxName-2*8-1] + "~" + hex.EncodeToString(sum[:8])
	}
	return name + extension
}

// escape writes all but lower-case letters, digits, '-' and '.' as %XX; '_' and '~' stay free to separate.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' && i > 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

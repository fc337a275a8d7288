package reference

import (
	"fmt"
	"strings"
)

// Mismatches collects everything that is wrong with a zTOC, not only the first.
type Mismatches []string

func (m *Mismatches) add(format string, args ...any) {
	*m = append(*m, fmt.Sprintf(format, args...))
}

// field notes a difference between what the zTOC gives and what the tar says.
func field[T comparable](m *Mismatches, entry, name string, got, want T) {
	if got != want {
		m.add("%s: %s is %#v, the tar says %#v", entry, name, got, want)
	}
}

// String shows the first few; one cause often spoils all entries behind it.
func (m Mismatches) String() string {
	const shown = 8
	if len(m) <= shown {
		return strings.Join(m, "\n")
	}
	return fmt.Sprintf("%s\n… and %d more", strings.Join(m[:shown], "\n"), len(m)-shown)
}

package corpus

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// ErrMissing says that a program is not installed.
var ErrMissing = errors.New("not installed (see tests/setup.sh)")

// Optional lets programs be missing: what they would write is left out.
func Optional() bool { return os.Getenv("SOCI_PEER_OPTIONAL_TOOLS") == "1" }

// tool runs a program in a fixed locale and UTC, from input to output file, either
// of which may be empty. bsdtar needs a UTF-8 locale to take names that are no ASCII.
func tool(input, output, name string, args ...string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, ErrMissing)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C.UTF-8", "GZIP=", "PIGZ=")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if input != "" {
		in, err := os.Open(input)
		if err != nil {
			return err
		}
		defer in.Close()
		cmd.Stdin = in
	}
	if output != "" {
		out, err := os.Create(output)
		if err != nil {
			return err
		}
		defer out.Close()
		cmd.Stdout = out
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(complaint.Bytes()))
	}
	return nil
}

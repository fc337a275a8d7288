package ocilayout

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Copy makes a copy that may be written to.
func Copy(from, to string) error { return os.CopyFS(to, os.DirFS(from)) }

// CopyRoot copies a layout so that index.json names only its entry of that number.
// The reference takes several entries for one image's list.
func CopyRoot(from, to string, number int) error {
	if err := Copy(from, to); err != nil {
		return err
	}
	file := filepath.Join(to, ocispec.ImageIndexFile)
	var index ocispec.Index
	if err := readJSON(file, &index); err != nil {
		return err
	}
	if number >= len(index.Manifests) {
		return fmt.Errorf("index.json has no entry %d", number)
	}
	index.Manifests = index.Manifests[number : number+1]
	text, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

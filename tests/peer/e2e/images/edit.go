package images

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/opencontainers/go-digest"
	"soci-layout.test/peer/ocilayout"
)

// Replace puts other bytes in the place of a blob: every document of the layout that
// names the blob names the new one, so every digest in it is right. It gives the new digest.
func Replace(dir string, old digest.Digest, text []byte) (digest.Digest, error) {
	is := digest.FromBytes(text)
	if is == old {
		return is, nil
	}
	if err := os.WriteFile(ocilayout.BlobFile(dir, is), text, 0o644); err != nil {
		return "", err
	}
	if err := os.Remove(ocilayout.BlobFile(dir, old)); err != nil {
		return "", err
	}
	descriptor := regexp.MustCompile(`("digest":\s*"` + old.String() + `",\s*"size":\s*)\d+`)
	renamed := func(document []byte) []byte {
		document = descriptor.ReplaceAll(document, fmt.Appendf(nil, "${1}%d", len(text)))
		return bytes.ReplaceAll(document, []byte(old.String()), []byte(is.String()))
	}

	index := filepath.Join(dir, "index.json")
	root, err := os.ReadFile(index)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(index, renamed(root), 0o644); err != nil {
		return "", err
	}
	// A document that changes is replaced itself, up to the root.
	for {
		name, document, err := naming(dir, old)
		if err != nil || name == "" {
			return is, err
		}
		if _, err := Replace(dir, name, renamed(document)); err != nil {
			return "", err
		}
	}
}

// naming finds a document that names a digest.
func naming(dir string, d digest.Digest) (digest.Digest, []byte, error) {
	files, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	if err != nil {
		return "", nil, err
	}
	for _, file := range files {
		text, err := document(file)
		if err != nil {
			return "", nil, err
		}
		if bytes.Contains(text, []byte(d.String())) {
			return digest.NewDigestFromEncoded(digest.SHA256, filepath.Base(file)), text, nil
		}
	}
	return "", nil, nil
}

// document reads a blob that is JSON; of others it gives nothing.
func document(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	first := make([]byte, 1)
	if n, _ := f.Read(first); n == 0 || first[0] != '{' {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	return text, err
}

package documents

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const blobs = "blobs/sha256/"

// Files are the files of a layout by their paths in it.
type Files map[string][]byte

// Write makes a layout of them in a directory that does not exist yet.
func (f Files) Write(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, blobs), 0o755); err != nil {
		return err
	}
	for path, content := range f {
		if err := os.WriteFile(filepath.Join(dir, path), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// ReadFiles reads a layout; empty files that are no blobs are left out.
func ReadFiles(dir string) (Files, error) {
	files := make(Files)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.HasPrefix(name, "blobs/") || len(content) > 0 {
			files[filepath.ToSlash(name)] = content
		}
		return err
	})
	return files, err
}

func (f Files) put(content []byte) string {
	sum := sha256.Sum256(content)
	name := hex.EncodeToString(sum[:])
	f[blobs+name] = content
	return name
}

// Layout is a layout whose documents can be changed.
type Layout struct {
	Name  string
	files Files
	docs  []document // what a document refers to comes before it
	// Stray is the digest of a document that nothing refers to, but that a change may.
	Stray string
	// Garbage is one that nothing ever refers to.
	Garbage string
}

type document struct {
	path string
	role *structure
}

// NewLayout takes these files, whose documents are sound.
func NewLayout(name string, files Files) (*Layout, error) {
	l := &Layout{Name: name, files: maps.Clone(files)}
	l.Garbage = "sha256:" + l.files.put([]byte("\x00 nobody's"))
	leaf := l.files.put([]byte("\x01\x02 a binary blob"))
	l.Stray = "sha256:" + l.files.put([]byte(` {"see" : "sha256\u003a`+leaf+`"}`))
	roles := make(map[string]*structure)
	if err := l.find(files[ocispec.ImageIndexFile], roles); err != nil {
		return nil, err
	}
	placed := make(map[string]bool)
	var place func(string)
	place = func(path string) {
		if placed[path] {
			return
		}
		placed[path] = true
		for _, other := range slices.Sorted(maps.Keys(roles)) {
			if name := strings.TrimPrefix(other, blobs); other != path && bytes.Contains(files[path], []byte(name)) {
				place(other)
			}
		}
		l.docs = append(l.docs, document{path, roles[path]})
	}
	for _, path := range slices.Sorted(maps.Keys(roles)) {
		place(path)
	}
	place(ocispec.ImageIndexFile)
	l.docs[len(l.docs)-1].role = index
	l.docs = append(l.docs, document{ocispec.ImageLayoutFile, marker})
	return l, nil
}

func (l *Layout) find(text []byte, roles map[string]*structure) error {
	var list ocispec.Index
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	for _, d := range list.Manifests {
		path := blobs + d.Digest.Encoded()
		content, there := l.files[path]
		if roles[path] != nil || !there {
			continue
		}
		switch {
		case isIndex(d.MediaType):
			roles[path] = index
			if err := l.find(content, roles); err != nil {
				return err
			}
		case isManifest(d.MediaType):
			roles[path] = manifest
			var m ocispec.Manifest
			if err := json.Unmarshal(content, &m); err != nil {
				return err
			}
			if config := blobs + m.Config.Digest.Encoded(); isConfig(m.Config.MediaType) && l.files[config] != nil {
				roles[config] = configuration
			}
		}
	}
	return nil
}

func isIndex(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == "application/vnd.docker.distribution.manifest.list.v2+json"
}

func isManifest(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageManifest || mediaType == "application/vnd.docker.distribution.manifest.v2+json"
}

func isConfig(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageConfig || mediaType == "application/vnd.docker.container.image.v1+json"
}

// Changed is a layout with changes.
type Changed struct {
	Files
	// Changes says what was changed, for people.
	Changes []string
	// Legal means that the documents say the same as before, but for names that nobody knows.
	Legal bool
	// Soci means that a SOCI index was changed, whose text has one form only.
	Soci bool
}

// Change changes one document or two; digests and sizes of documents follow.
func (l *Layout) Change(random *rand.Rand, legal bool) *Changed {
	c := &Changed{Files: maps.Clone(l.files), Legal: legal}
	chosen := make(map[int]bool)
	for range 1 + random.IntN(2) {
		chosen[random.IntN(len(l.docs))] = true
	}
	old := make(map[string]string) // names of documents that are others now
	for i, doc := range l.docs {
		before := l.files[doc.path]
		n := parse(before)
		follow(n, old, c.Files)
		text := n.text(nil)
		if chosen[i] {
			m := mutator{random: random, legal: legal, role: doc.role, stray: l.Stray}
			text = m.change(n)
			for _, change := range m.done {
				c.Changes = append(c.Changes, fmt.Sprintf("%s %s: %s", doc.role.name, doc.path, change))
			}
			if doc.role == manifest && bytes.Contains(before, []byte("vnd.amazon.soci.index.v")) {
				c.Soci = true
			}
		} else if len(old) == 0 || bytes.Equal(text, parse(before).text(nil)) {
			text = before
		}
		if !strings.HasPrefix(doc.path, blobs) {
			c.Files[doc.path] = text
			continue
		}
		if bytes.Equal(text, before) {
			continue
		}
		delete(c.Files, doc.path)
		old[strings.TrimPrefix(doc.path, blobs)] = c.put(text)
	}
	return c
}

// follow leads what refers to old documents to the new ones.
func follow(n *node, old map[string]string, files Files) {
	n.visit(func(n *node) {
		if digest, size := n.get("digest"), n.get("size"); digest != nil && size != nil {
			if name := old[strings.TrimPrefix(digest.string(), "sha256:")]; name != "" {
				size.raw = fmt.Sprint(len(files[blobs+name]))
			}
		}
	})
	n.visit(func(n *node) {
		for was, is := range old {
			n.raw = strings.ReplaceAll(n.raw, was, is)
		}
	})
}

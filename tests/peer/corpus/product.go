package corpus

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"
)

// Group is the layers of one content. They make one image.
type Group struct {
	Content string
	Large   bool
	Layers  []Layer
	// Leading holds those layers that begin with something empty.
	Leading []Layer
}

// Missing lists the programs that were not there.
type Missing map[string]error

// Product makes the layers. How the content was packed and how it was compressed do
// not act on each other, so it is not everything with everything: each content meets
// each tar writer and each compression writer, the two lists turning against each other.
func Product(dir string, contents []Content) ([]Group, Missing, error) {
	p := &product{dir: dir, missing: Missing{}, tars: TarWriters(), gzips: GzipWriters()}
	groups := make([]Group, len(contents))
	var workers errgroup.Group
	workers.SetLimit(runtime.NumCPU())
	for i, c := range contents {
		workers.Go(func() (err error) {
			if groups[i], err = p.group(i, c); err != nil {
				err = fmt.Errorf("%s: %w", c.Name, err)
			}
			return err
		})
	}
	if err := workers.Wait(); err != nil {
		return nil, nil, err
	}
	g, err := p.endings()
	if err != nil {
		return nil, nil, err
	}
	groups = append(groups, g)
	if len(p.missing) > 0 && !Optional() {
		return nil, nil, fmt.Errorf("%v; SOCI_PEER_OPTIONAL_TOOLS=1 goes on without", p.missing)
	}
	return groups, p.missing, nil
}

type product struct {
	dir     string
	lock    sync.Mutex
	missing Missing
	tars    []TarWriter
	gzips   []GzipWriter
}

func (p *product) isMissing(name string, err error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.missing[name] = err
}

func (p *product) group(number int, c Content) (Group, error) {
	g := Group{Content: c.Name, Large: c.Large}
	archives, err := p.archives(c)
	if err != nil {
		return g, err
	}
	defer func() {
		for _, a := range archives {
			os.Remove(a.file)
		}
	}()
	made := make(map[[2]int]bool)
	make1 := func(a, z int) error {
		if made[[2]int{a, z}] || p.gzips[z].Slow && archives[a].size > slowLimit {
			return nil
		}
		made[[2]int{a, z}] = true
		return p.layer(&g, archives[a], p.gzips[z])
	}
	turns := 2
	if c.Large {
		turns = 1
	}
	for a := range archives {
		for turn := range turns {
			if err := make1(a, (number*5+a*3+turn*11)%len(p.gzips)); err != nil {
				return g, err
			}
		}
	}
	for z := range p.gzips {
		if err := make1((number+z)%len(archives), z); err != nil {
			return g, err
		}
	}
	return g, nil
}

type archive struct {
	name, file string
	size       int64
}

// slowLimit is the largest archive that the slow writers get.
const slowLimit = 100 << 10

// archives packs a content with every writer whose format can express it.
func (p *product) archives(c Content) ([]archive, error) {
	var list []archive
	for _, w := range p.tars {
		a := archive{name: c.Name + "/" + w.Name, file: filepath.Join(p.dir, c.Name+"-"+w.Name+".tar")}
		switch err := w.Write(c, p.dir, a.file); {
		case err == nil:
			info, err := os.Stat(a.file)
			if err != nil {
				return nil, err
			}
			a.size = info.Size()
			list = append(list, a)
		case errors.Is(err, ErrMissing):
			p.isMissing(w.Name, err)
		case errors.Is(err, errUnfit):
			os.Remove(a.file)
		default:
			return nil, fmt.Errorf("%s: %w", w.Name, err)
		}
	}
	if len(list) < 3 && !Optional() {
		return nil, fmt.Errorf("only %d tar writers take it", len(list))
	}
	return list, nil
}

func (p *product) layer(g *Group, a archive, w GzipWriter) error {
	name := a.name + "/" + w.Name
	out := filepath.Join(p.dir, strings.ReplaceAll(name, "/", "-"))
	switch err := w.Write(a.file, out); {
	case errors.Is(err, ErrMissing):
		p.isMissing(w.Name, err)
		return nil
	case errors.Is(err, errUnfit):
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	}
	mediaType := TypeGzip
	if w.Plain {
		mediaType = TypePlain
	}
	diffID, err := diffID(out, mediaType)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	l, err := NewLayer(name, out, mediaType, diffID)
	if err != nil {
		return err
	}
	if w.Leading {
		g.Leading = append(g.Leading, l)
	} else {
		g.Layers = append(g.Layers, l)
	}
	return nil
}

// endings puts archives with unusual endings into a group of their own.
func (p *product) endings() (Group, error) {
	g := Group{Content: "endings"}
	for i, c := range Contents()[:3] {
		for j, e := range Endings() {
			b, err := GoTar(c.Members, tar.FormatUnknown)
			if err != nil {
				return g, err
			}
			b = e.Apply(b)
			if len(b) < block {
				continue // nothing at all is no layer
			}
			a := archive{name: "endings/" + c.Name + "-" + e.Name, file: filepath.Join(p.dir, "ending.tar")}
			if err := os.WriteFile(a.file, b, 0o644); err != nil {
				return g, err
			}
			for _, w := range p.gzips {
				if w.Plain || w.Name == "go-6" || w.Name == p.gzips[1+(i*7+j)%10].Name {
					if err := p.layer(&g, a, w); err != nil {
						return g, err
					}
				}
			}
			os.Remove(a.file)
		}
	}
	return g, nil
}

// diffID hashes the decompressed stream; all writers here make valid streams, so this
// also checks them.
func diffID(blob, mediaType string) (digest.Digest, error) {
	if mediaType == TypePlain {
		d, _, err := digestFile(blob)
		return d, err
	}
	b, err := os.ReadFile(blob)
	if err != nil {
		return "", err
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, r); err != nil {
		return "", err
	}
	return digest.NewDigest(digest.SHA256, hash), nil
}

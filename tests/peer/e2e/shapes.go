package main

import (
	"fmt"
	"slices"
	"strings"

	"soci-layout.test/peer/corpus"
	"soci-layout.test/peer/e2e/images"
)

// beyond are files of the corpus that no file system shows as their tar says: an owner that
// means "none", and a device number that has no place in Linux' own.
var beyond = map[string][]string{
	"pax-records": {"x/high-ids: owner 65534, want 4294967295"},
	"nodes":       {"dev/high: device 4294967295, want 8989615658631167"},
}

// told is what verify says of contents of the corpus that are shown as their tar says, and unpacked otherwise.
var told = map[string]string{
	"pax-records": "a modification time that unpacking replaces by 1970",
	"long-names":  images.OtherMode,
	"hard-links":  images.OtherMode,
}

// shapes are layers as odd as builders write them, one at a time over a plain one: made
// here, and the contents of the corpus, each by another tar writer.
func (b *bench) shapes() {
	for _, s := range images.Shapes {
		b.check("shapes: "+s.Name, func() []string {
			top, err := b.store.Layer("shape-"+b.next(), "go-6", images.Entries(s.Entries...))
			return b.shape(top, err, s.Known, s.Told)
		})
	}
	for n, c := range corpus.Contents() {
		b.check("shapes: corpus, "+c.Name, func() []string {
			first := n * 3
			if c.Name == "pax-records" {
				first = 1 // Go's PAX, as other forms lose much of it
			}
			top, err := b.written(c, first)
			return b.shape(top, err, beyond[c.Name], told[c.Name])
		})
	}
}

// written is a content by the first tar writer, from that number on, that can express it.
func (b *bench) written(c corpus.Content, number int) (layer corpus.Layer, err error) {
	writers := corpus.TarWriters()
	for i := range writers {
		w := writers[(number+i)%len(writers)]
		write := func(file string) error { return w.Write(c, b.folder, file) }
		if layer, err = b.store.Archive("corpus-"+b.next(), "go-6", write); err == nil {
			b.note("written by %s", w.Name)
			return layer, nil
		}
	}
	return layer, err
}

// shape compares an image of a plain layer and this one. Known differences must be there,
// and no others. verify must find nothing, or what is told.
func (b *bench) shape(top corpus.Layer, err error, known []string, told string) []string {
	if err != nil {
		return []string{err.Error()}
	}
	dir, err := b.write(images.OCI, func(s *images.Store) ([]corpus.Layer, error) {
		base, err := s.Layer("base", "go-6", images.Base)
		return []corpus.Layer{base, top}, err
	})
	if err != nil {
		return []string{err.Error()}
	}
	i, err := b.indexed(dir, machine, "v2", append([]string{"--span-size", "65536"}, all...)...)
	if err == nil && len(i.ztocs) != 2 {
		return []string{fmt.Sprintf("%d zTOCs, want 2", len(i.ztocs))}
	}
	var problems []string
	if told == "" || err != nil {
		problems = b.everyFile(i, err, 2)
	} else {
		if i, problems = b.broken(i, told); len(problems) > 0 {
			return problems
		}
		problems = b.loadsLazily(i, b.plain, "oras")
	}
	if len(known) == 0 {
		return problems
	}
	problems = slices.DeleteFunc(problems, func(p string) bool { return strings.HasPrefix(p, "snapshotter: ") })
	if !slices.Equal(problems, known) {
		return append(problems, fmt.Sprintf("want the known differences only: %q", known))
	}
	b.note("as known: %s", strings.Join(known, "; "))
	return nil
}

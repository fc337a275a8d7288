package peer_test

import (
	"bytes"
	"slices"
	"sync/atomic"
	"testing"

	"soci-layout.test/peer/corpus"
	"soci-layout.test/peer/ocilayout"
	"soci-layout.test/peer/reference"
)

// Every zTOC is loaded by the reference's readers and gives back the whole layer. The
// span size is small enough for several spans, and large enough for the reference's
// stray byte to be rare.
func TestReferenceReadsOurs(t *testing.T) {
	var entries, files, bytes, retries atomic.Int64
	for _, g := range groups(t) {
		t.Run(g.Content, func(t *testing.T) {
			layers := slices.Concat(g.Layers, g.Leading)
			dir := newLayout(t, ocilayout.Image{Name: g.Content, Layers: layers})
			index(t, dir, sizes(64<<10)...).needs(t, 0)
			var v verdicts
			readAll(&v, dir, layers, func(r *reference.Reading) {
				entries.Add(int64(r.Entries))
				files.Add(int64(r.Files))
				bytes.Add(r.Bytes)
				retries.Add(int64(r.Retries))
			})
			v.report(t)
		})
	}
	t.Logf("%d entries, %d files, %d bytes read; %d reads repeated because of the reference's stray byte",
		entries.Load(), files.Load(), bytes.Load(), retries.Load())
}

// readAll reads each layer of an indexed layout through the zTOC that it has there.
func readAll(v *verdicts, dir string, layers []corpus.Layer, count func(*reference.Reading)) {
	layout, err := ocilayout.Read(dir)
	if err != nil {
		v.add("%v", err)
		return
	}
	ztocs, err := layout.Ztocs()
	if err != nil {
		v.add("%v", err)
		return
	}
	each(layers, func(l corpus.Layer) {
		z, found := ztocs[l.Digest]
		if !found {
			v.add("%s: no zTOC\n  layer: %s", l.Name, keep(l))
			return
		}
		toc, err := layout.Blob(z.Digest)
		if err != nil {
			v.add("%s: %v", l.Name, err)
			return
		}
		r, err := reference.ReadAll(l.File, l.MediaType, toc)
		switch {
		case err != nil:
			v.add("%s: the reference refuses our zTOC: %v\n  layer: %s", l.Name, err, keep(l))
		case len(r.Mismatches) > 0:
			v.add("%s: the reference reads something else:\n%s\n  layer: %s", l.Name, r.Mismatches, keep(l))
		default:
			count(r)
		}
	})
}

// Where our zTOC is meant to differ, the reference cannot use its own: that is the
// reason for the difference, and it also shows that the reading test can fail.
func TestReferenceRefusesItsOwn(t *testing.T) {
	layers := save(t, corpus.Sized())
	for _, g := range groups(t) {
		if g.Content == "tiny" || g.Content == "block-borders" {
			layers = append(layers, g.Leading...)
		}
	}
	const spanSize = 64 << 10
	dir := newLayout(t, ocilayout.Image{Name: "meant", Layers: layers})
	index(t, dir, sizes(spanSize)...).needs(t, 0)
	var v verdicts
	readAll(&v, dir, layers, func(*reference.Reading) {})
	each(expect(layers, spanSize), func(l expected) {
		r, err := reference.ReadAll(l.File, l.MediaType, l.Own)
		if err == nil && len(r.Mismatches) == 0 {
			v.add("%s: the reference reads its own zTOC, so no difference is needed (%v)", l.Name, l.Meant)
		}
	})
	v.report(t)
}

// The reading check notices a zTOC that is wrong in content only: a name, a digest.
func TestReadingNoticesDamage(t *testing.T) {
	l, err := corpus.Good().Save(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	toc, err := reference.BuildZtoc(l.File, l.MediaType, 4<<20, reference.Tool)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"good", "reg", "sha256:", "2024-04-05T"} {
		at := bytes.Index(toc, []byte(word))
		if at < 0 {
			t.Fatalf("%q is not in the zTOC", word)
		}
		bad := slices.Clone(toc)
		bad[at+len(word)-1]++
		if word == "sha256:" {
			bad[at+len(word)+3] ^= 1
		}
		if r, err := reference.ReadAll(l.File, l.MediaType, bad); err == nil && len(r.Mismatches) == 0 {
			t.Errorf("%q changed: not noticed", word)
		}
	}
	if r, err := reference.ReadAll(l.File, l.MediaType, toc); err != nil || len(r.Mismatches) > 0 {
		t.Errorf("unchanged: %v %v", r, err)
	}
	if _, err := reference.ReadAll(l.File, l.MediaType, toc[:len(toc)/2]); err == nil {
		t.Error("half a zTOC: not noticed")
	}
}

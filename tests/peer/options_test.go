package peer_test

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/awslabs/soci-snapshotter/soci"
	"github.com/opencontainers/go-digest"
	"soci-layout.test/peer/corpus"
	"soci-layout.test/peer/ocilayout"
	"soci-layout.test/peer/reference"
)

// The options that change the result change it as the reference's do: the SOCI indexes
// of every image are the same, also when that means none.
func TestOptions(t *testing.T) {
	sets := map[string]reference.Options{
		"default-sizes": {SpanSize: 4 << 20, MinLayerSize: 10 << 20},
		"larger-layers": {SpanSize: 100000, MinLayerSize: 22600},
		"one-platform":  {SpanSize: 4 << 20, Platforms: []string{"linux/arm64"}},
		"no-xattrs":     {SpanSize: 4 << 20, XattrOptimization: true},
		"other-tool":    {SpanSize: 4 << 20, Tool: `a tool "of" <others> & ü`},
	}
	eachFixture(t, func(t *testing.T, from string, g golden) {
		for name, options := range sets {
			t.Run(name, func(t *testing.T) {
				// The reference leaves Docker's layer types in OCI manifests.
				args := []string{"--keep-layer-types", "--span-size", strconv.FormatInt(options.SpanSize, 10), "--min-layer-size", strconv.FormatInt(options.MinLayerSize, 10)}
				for _, p := range options.Platforms {
					args = append(args, "--platform", p)
				}
				if options.XattrOptimization {
					args = append(args, "--optimization", "xattr")
				}
				if options.Tool != "" {
					args = append(args, "--build-tool-identifier", options.Tool)
				} else {
					options.Tool = reference.Tool
				}
				dir := fixtureCopy(t, from)
				wanted, wrongPlatform := convertedIndexes(t, from, g, options)
				if len(wanted) == 0 && wrongPlatform {
					before := stateOf(t, dir)
					index(t, dir, args...).needs(t, 1)
					untouched(t, dir, before)
					return
				}
				index(t, dir, args...).needs(t, 0)
				ours := make(map[digest.Digest]bool)
				for _, m := range readLayout(t, dir).Soci {
					ours[m.Desc.Digest] = true
				}
				if !reflect.DeepEqual(ours, wanted) {
					t.Errorf("SOCI indexes %v, the reference makes %v", ours, wanted)
				}
			})
		}
	})
}

// convertedIndexes are the SOCI indexes that the reference makes of the roots, one by one.
// It also tells whether a root is for other platforms than those that were asked for.
func convertedIndexes(t *testing.T, from string, g golden, options reference.Options) (found map[digest.Digest]bool, wrongPlatform bool) {
	t.Helper()
	found = make(map[digest.Digest]bool)
	for i := range g.roots() {
		out := filepath.Join(t.TempDir(), "converted")
		_, err := reference.Convert(context.Background(), rootAlone(t, from, i), out, options)
		switch {
		case reference.NoSuchPlatform(err):
			wrongPlatform = true
			continue
		case errors.Is(err, soci.ErrEmptyIndex), reference.NoImage(err):
			continue
		case err != nil:
			t.Fatalf("root %d: %v", i, err)
		}
		for _, m := range readLayout(t, out).Soci {
			found[m.Desc.Digest] = true
		}
	}
	return found, wrongPlatform
}

// Which layers are indexed goes by the media type, as in the reference. Types on which it
// fails may be left out instead, but nothing is made of them.
func TestMediaTypes(t *testing.T) {
	const oci, docker = "application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs."
	packed := save(t, []corpus.Case{corpus.Good()})[0]
	plain := save(t, []corpus.Case{corpus.GoodPlain()})[0]
	for _, mediaType := range []string{
		oci + "v1.tar", oci + "v1.tar+gzip", oci + "v1.tar+zstd", oci + "v1.tar+gzip+encrypted", oci + "v1.tar+encrypted",
		oci + "v1.tar+unknown", oci + "nondistributable.v1.tar", oci + "nondistributable.v1.tar+gzip", oci + "v1.tar.gz", oci + "v2.tar+gzip",
		docker + "diff.tar", docker + "diff.tar.gzip", docker + "diff.tar.zstd", docker + "diff.tar.gzip+x",
		docker + "foreign.diff.tar", docker + "foreign.diff.tar.gzip",
	} {
		for _, l := range []corpus.Layer{packed, plain} {
			t.Run(l.Name+"/"+filepath.Base(mediaType), func(t *testing.T) {
				l.MediaType = mediaType
				dir := newLayout(t, ocilayout.Image{Name: "type", Layers: []corpus.Layer{l}})
				before := stateOf(t, dir)
				wanted := expect([]corpus.Layer{l}, 4<<20)
				got := index(t, dir, sizes(4<<20)...)
				switch {
				case strings.Contains(mediaType, "encrypted"):
					// The reference would read `+gzip+encrypted` as gzip, which what is encrypted never is.
					got.needs(t, 0)
					untouched(t, dir, before)
				case wanted[0].Err == nil:
					got.needs(t, 0)
					for _, text := range compareZtocs(dir, wanted) {
						t.Error(text)
					}
				case slices.Contains([]int{0, 1}, got.code):
					untouched(t, dir, before)
				default:
					t.Errorf("exit code %d", got.code)
				}
				if errors.As(wanted[0].Err, new(reference.ErrSkipped)) {
					got.needs(t, 0)
				}
			})
		}
	}
}

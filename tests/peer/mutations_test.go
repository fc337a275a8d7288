package peer_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/awslabs/soci-snapshotter/ztoc"
	"github.com/awslabs/soci-snapshotter/ztoc/compression"
	"github.com/opencontainers/go-digest"
	"soci-layout.test/peer/ocilayout"
	. "soci-layout.test/peer/reference"
)

const layerDigest = "com.amazon.soci.image-layer-digest"

// inZtoc changes the large layer's zTOC.
func inZtoc(change func(*ztoc.Ztoc)) func(*broken) {
	return func(b *broken) { b.ztoc(0, change) }
}

// inIndex replaces the first occurrence of a text in the SOCI index.
func inIndex(old, now string) func(*broken) {
	return func(b *broken) { b.text(b.soci.Desc.Digest, old, now) }
}

// inEntry changes what the SOCI index says of the large layer's zTOC.
func inEntry(old, now string) func(*broken) {
	return func(b *broken) {
		b.exchange(b.soci.Desc.Digest, func(text []byte) []byte {
			start := strings.Index(string(text), b.entry(0).Digest.String())
			start = strings.LastIndex(string(text[:start]), "{")
			head, entry := string(text[:start]), string(text[start:])
			if !strings.Contains(entry, old) {
				b.t.Fatalf("%q is not in %s", old, entry)
			}
			return []byte(head + strings.Replace(entry, old, now, 1))
		})
	}
}

// A span that has less content than its checkpoints say makes the reader loop for ever. In the
// span beside it the content is another one, but nobody gets there.
const hangs = "the reader hangs before it gets to what is wrong"

func flip(b []byte) { b[0] ^= 1 }

var ztocMutations = []mutation{
	{name: "version", apply: inZtoc(func(z *ztoc.Ztoc) { z.Version = "1.0" })},
	{name: "build tool", apply: inZtoc(func(z *ztoc.Ztoc) { z.BuildToolIdentifier = "another" }),
		unseen: "any text is right"},
	{name: "compressed size + 1", apply: inZtoc(func(z *ztoc.Ztoc) { z.CompressedArchiveSize++ }), want: IOError},
	{name: "compressed size - 1", apply: inZtoc(func(z *ztoc.Ztoc) { z.CompressedArchiveSize-- }), want: IOError},
	{name: "compressed size 0", apply: inZtoc(func(z *ztoc.Ztoc) { z.CompressedArchiveSize = 0 }), want: IOError},
	{name: "uncompressed size - 512", apply: inZtoc(func(z *ztoc.Ztoc) { z.UncompressedArchiveSize -= 512 })},
	{name: "uncompressed size - 3000", apply: inZtoc(func(z *ztoc.Ztoc) { z.UncompressedArchiveSize -= 1600 }), want: IOError},
	{name: "uncompressed size 0", apply: inZtoc(func(z *ztoc.Ztoc) { z.UncompressedArchiveSize = 0 }), want: IOError},
	{name: "uncompressed size + 1 GiB", apply: inZtoc(func(z *ztoc.Ztoc) { z.UncompressedArchiveSize += 1 << 30 }), want: IOError},
	{name: "max span ID", apply: inZtoc(func(z *ztoc.Ztoc) { z.MaxSpanID++ }), want: LayerEager},
	{name: "span digest", apply: inZtoc(func(z *ztoc.Ztoc) { z.SpanDigests[1] = digest.FromString("x") }), want: IOError},
	{name: "span digest in no form", apply: inZtoc(func(z *ztoc.Ztoc) { z.SpanDigests[1] = "sha256:zz" }), want: IOError},
	{name: "a span digest less", apply: inZtoc(func(z *ztoc.Ztoc) { z.SpanDigests = z.SpanDigests[1:] }), want: LayerEager},
	{name: "span digests swapped", apply: inZtoc(func(z *ztoc.Ztoc) {
		z.SpanDigests[0], z.SpanDigests[1] = z.SpanDigests[1], z.SpanDigests[0]
	}), want: IOError},
	// It divides by a span size of 0, in a goroutine: that is the end of the snapshotter.
	{name: "algorithm", apply: inZtoc(func(z *ztoc.Ztoc) { z.CompressionAlgorithm = compression.Uncompressed }), want: IOError},
	{name: "no checkpoints", apply: inZtoc(func(z *ztoc.Ztoc) { z.Checkpoints = nil }), want: LayerEager},
	{name: "checkpoints cut", apply: inZtoc(func(z *ztoc.Ztoc) { z.Checkpoints = z.Checkpoints[:len(z.Checkpoints)-1] }), want: LayerEager},
	{name: "an entry less", apply: inZtoc(func(z *ztoc.Ztoc) { z.FileMetadata = z.FileMetadata[1:] }), want: WrongBytes},
	{name: "last entry less", apply: inZtoc(func(z *ztoc.Ztoc) { z.FileMetadata = z.FileMetadata[:len(z.FileMetadata)-1] }), want: WrongBytes},
	{name: "an entry twice", apply: inZtoc(func(z *ztoc.Ztoc) {
		last := z.FileMetadata[len(z.FileMetadata)-1]
		last.Name, last.UncompressedOffset = "d/again", last.UncompressedOffset+1536
		z.FileMetadata = append(z.FileMetadata, last)
	}), want: WrongBytes},
	{name: "entries turned round", apply: inZtoc(func(z *ztoc.Ztoc) { slices.Reverse(z.FileMetadata) }),
		says: LayerEager, because: "the reference sorts them; no builder writes such a zTOC, and verify's decoder refuses it"},
	{name: "another layer's zTOC", apply: func(b *broken) {
		b.exchange(b.soci.Desc.Digest, func(text []byte) []byte {
			one, other := b.layer[0].Digest.String(), b.layer[1].Digest.String()
			return []byte(strings.NewReplacer(one, other, other, one).Replace(string(text)))
		})
	}, want: WrongBytes},
	{name: "cut in half", apply: func(b *broken) {
		b.exchange(b.entry(0).Digest, func(blob []byte) []byte { return blob[:len(blob)/2] })
	}, want: LayerEager},
	{name: "empty", apply: func(b *broken) {
		b.exchange(b.entry(0).Digest, func([]byte) []byte { return []byte{} })
	}, want: LayerEager},

	{name: "span size in the zinfo", apply: func(b *broken) {
		b.ztoc(0, func(z *ztoc.Ztoc) { z.Checkpoints[4] ^= 1 })
	}},
	{name: "in + 1", apply: checkpoint(1, inField, add(1)), want: IOError},
	{name: "in - 1", apply: checkpoint(2, inField, add(-1)), want: IOError},
	{name: "in behind the next", apply: checkpoint(1, inField, add(1<<30)), want: LayerEager},
	{name: "in of the first", apply: checkpoint(0, inField, add(-1)), want: LayerEager},
	{name: "in of the first + 1", apply: checkpoint(0, inField, add(1)), want: IOError},
	{name: "out + 1", apply: checkpoint(2, outField, add(1)), want: IOError, says: WrongBytes, because: hangs},
	{name: "out - 1", apply: checkpoint(1, outField, add(-1)), want: IOError, says: WrongBytes, because: hangs},
	{name: "out + 512", apply: checkpoint(1, outField, add(512)), want: IOError, says: WrongBytes, because: hangs},
	{name: "out behind the next", apply: checkpoint(1, outField, add(1<<30)), want: LayerEager},
	{name: "bits", apply: checkpoint(1, bitsField, func(b []byte) { b[0] ^= 1 }), want: IOError},
	{name: "bits 0", apply: checkpoint(2, bitsField, func(b []byte) { b[0] = (b[0] + 3) % 8 }), want: IOError},
	{name: "bits 9", apply: checkpoint(2, bitsField, func(b []byte) { b[0] = 9 }), want: IOError},
	{name: "window of the first", apply: checkpoint(0, windowField+32767, flip)},
	{name: "last byte of a window", apply: checkpoint(1, windowField+32767, flip)}, // nothing refers to it
	{name: "end of a window", apply: checkpoint(2, windowField+32000, func(b []byte) { clear(b[:600]) }), want: WrongBytes},
	{name: "middle of a window", apply: checkpoint(3, windowField+16000, func(b []byte) { clear(b[:800]) }), want: WrongBytes},
	{name: "a window of zeros", apply: checkpoint(1, windowField, func(b []byte) { clear(b[:32768]) }), want: WrongBytes},
	{name: "windows swapped", apply: inZtoc(func(z *ztoc.Ztoc) {
		one := z.Checkpoints[checkpointHead+checkpointSize+windowField:][:32768]
		two := z.Checkpoints[checkpointHead+2*checkpointSize+windowField:][:32768]
		copied := slices.Clone(one)
		copy(one, two)
		copy(two, copied)
	}), want: WrongBytes},

	{name: "plain: size", apply: func(b *broken) {
		b.ztoc(2, func(z *ztoc.Ztoc) { z.CompressedArchiveSize-- })
	}, want: IOError},
	{name: "plain: span digest", apply: func(b *broken) {
		b.ztoc(2, func(z *ztoc.Ztoc) { z.SpanDigests[3] = digest.FromString("x") })
	}, want: IOError},
	{name: "plain: algorithm", apply: func(b *broken) {
		b.ztoc(2, func(z *ztoc.Ztoc) { z.CompressionAlgorithm = compression.Gzip })
	}, want: LayerEager},
}

// entryMutations: a runtime compares a regular file with its tar header when it is read, and
// nothing else ever.
func entryMutations() []mutation {
	type change struct {
		name   string
		change func(*ztoc.FileMetadata)
	}
	attributes := []change{
		{"mode", func(f *ztoc.FileMetadata) { f.Mode ^= 0o111 }},
		{"uid", func(f *ztoc.FileMetadata) { f.UID++ }},
		{"gid", func(f *ztoc.FileMetadata) { f.GID++ }},
		{"mtime", func(f *ztoc.FileMetadata) { f.ModTime = f.ModTime.Add(time.Nanosecond) }},
		{"mtime no time", func(f *ztoc.FileMetadata) { f.ModTime = time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"linkname", func(f *ztoc.FileMetadata) { f.Linkname += "x" }},
		{"xattr", func(f *ztoc.FileMetadata) { f.PAXHeaders = map[string]string{"SCHILY.xattr.user.z": "1"} }},
		{"devmajor", func(f *ztoc.FileMetadata) { f.Devmajor++ }},
		{"devminor", func(f *ztoc.FileMetadata) { f.Devminor++ }},
	}
	kinds := []struct{ name, kind, want string }{
		{smallFile, "reg", IOError}, {bigFile, "reg", IOError}, {"d/empty", "reg", IOError},
		{directory, "dir", WrongBytes}, {symbolic, "symlink", WrongBytes}, {device, "char", WrongBytes},
		{fifo, "fifo", WrongBytes}, {hard, "hardlink", ""},
	}
	// What verify's decoder refuses it does not compare with the layer.
	const undecoded = "the layer is not looked at for a zTOC that cannot be decoded"
	var list []mutation
	for _, kind := range kinds {
		of := " of " + kind.name
		add := func(name, want string, change func(*ztoc.FileMetadata)) *mutation {
			list = append(list, mutation{name: name, apply: file(kind.name, change), want: want})
			return &list[len(list)-1]
		}
		for _, a := range attributes {
			m := add(a.name+of, kind.want, a.change)
			if a.name == "linkname" && kind.name == hard {
				m.want = LayerEager
			}
			if a.name == "mtime no time" && kind.want != IOError {
				m.says, m.because = IOError, undecoded
			}
		}
		m := add("name"+of, WrongBytes, func(f *ztoc.FileMetadata) { f.Name = "d/renamed" })
		if kind.name == smallFile {
			m.want = LayerEager // a hard link leads to it
		}
		add("uname"+of, "", func(f *ztoc.FileMetadata) { f.Uname += "x" })
		add("gname"+of, "", func(f *ztoc.FileMetadata) { f.Gname += "x" })
		add("PAX"+of, "", func(f *ztoc.FileMetadata) { f.PAXHeaders["comment"] = "changed" })
		place := ""
		if kind.kind == "reg" {
			place = IOError
		}
		m = add("offset + 1"+of, place, func(f *ztoc.FileMetadata) { f.UncompressedOffset++ })
		if kind.name == directory || kind.name == fifo {
			m.want = IOError // of the file behind it
		}
		add("offset - 1"+of, place, func(f *ztoc.FileMetadata) { f.UncompressedOffset-- })
		add("size + 1"+of, kind.want, func(f *ztoc.FileMetadata) { f.UncompressedSize++ })
		m = add("size - 1"+of, kind.want, func(f *ztoc.FileMetadata) { f.UncompressedSize-- })
		if kind.want != IOError {
			m.says, m.because = IOError, undecoded // less than 0
		}
		add("size + 4096"+of, LayerEager, func(f *ztoc.FileMetadata) { f.UncompressedSize += 4096 })
		for _, to := range []string{"reg", "dir", "symlink", "hardlink", "char", "fifo", "other"} {
			if to == kind.kind {
				continue
			}
			m := add(kind.name+" as "+to, WrongBytes, func(f *ztoc.FileMetadata) { f.Type = to })
			notAFile := slices.Contains([]string{symbolic, device, fifo}, kind.name)
			switch {
			case to == "hardlink" && kind.name == symbolic:
				m.want = LayerEager // its target is no name in the archive
			case to == "reg" && notAFile:
				m.want = IOError
			case to == "other" && notAFile:
				m.want, m.says, m.because = IOError, WrongBytes, undecoded
			case to == "other" && kind.kind == "reg":
				m.want, m.says, m.because = "", WrongBytes, undecoded
			}
		}
	}
	return append(list,
		mutation{name: "another target of a hard link", want: WrongBytes, apply: file(hard, func(f *ztoc.FileMetadata) { f.Linkname = directory })},
		mutation{name: "no attributes", want: IOError, apply: file(smallFile, func(f *ztoc.FileMetadata) { f.PAXHeaders = nil })},
		mutation{name: "no attributes of a directory", want: WrongBytes, apply: file(directory, func(f *ztoc.FileMetadata) { f.PAXHeaders = nil })},
	)
}

var documentMutations = []mutation{
	{name: "white space", apply: inIndex(`{"schemaVersion":2,`, `{"schemaVersion": 2,`), want: Rejected},
	{name: "a line end", apply: func(b *broken) {
		b.exchange(b.soci.Desc.Digest, func(text []byte) []byte { return append(text, '\n') })
	}, want: Rejected},
	{name: "pretty", apply: func(b *broken) {
		b.exchange(b.soci.Desc.Digest, func(text []byte) []byte {
			var value any
			if err := json.Unmarshal(text, &value); err != nil {
				b.t.Fatal(err)
			}
			pretty, err := json.MarshalIndent(value, "", "  ")
			if err != nil {
				b.t.Fatal(err)
			}
			return pretty
		})
	}, want: Rejected},
	{name: "order of members", apply: func(b *broken) {
		b.exchange(b.soci.Desc.Digest, func(text []byte) []byte {
			moved := strings.Replace(string(text), `"schemaVersion":2,`, "", 1)
			return []byte(strings.TrimSuffix(moved, "}") + `,"schemaVersion":2}`)
		})
	}, want: Rejected},
	{name: "a member more", apply: inIndex(`"schemaVersion":2,`, `"schemaVersion":2,"example":1,`), want: Rejected},
	{name: "artifactType", apply: inIndex(`"config":`, `"artifactType":"application/vnd.amazon.soci.index.v2+json","config":`), want: Rejected},
	{name: "a member of a descriptor more", apply: inEntry(`"size":`, `"example":1,"size":`), want: Rejected},
	{name: "a descriptor's artifactType", apply: inEntry(`"}}`, `"},"artifactType":"x"}`), unseen: "it belongs to the form, and no reader asks for it"},
	{name: "schemaVersion 1", apply: inIndex(`"schemaVersion":2`, `"schemaVersion":1`), want: Rejected},
	{name: "mediaType", apply: inIndex("manifest.v1+json", "manifest.v2+json"), want: Rejected},
	{name: "no mediaType", apply: inIndex(`"mediaType":"application/vnd.oci.image.manifest.v1+json",`, ""), want: Rejected},
	{name: "config type", apply: inIndex("soci.index.v2+json", "soci.index.v3+json"), want: Rejected},
	{name: "config type v1", apply: inIndex("soci.index.v2+json", "soci.index.v1+json")},
	{name: "annotations that are empty", apply: inIndex(`"config":{`, `"config":{"annotations":{},`), want: Rejected},
	{name: "an escape that is not needed", apply: inIndex("AWS", `\u0041WS`), want: Rejected},
	{name: "another tool", apply: inIndex("AWS SOCI CLI", "Some Tool"), unseen: "any text is right"},
	{name: "no layers", apply: func(b *broken) {
		b.exchange(b.soci.Desc.Digest, func(text []byte) []byte {
			start, end := strings.Index(string(text), `"layers":[`), strings.Index(string(text), `}],`)
			return []byte(string(text[:start]) + `"layers":[` + string(text[end+1:]))
		})
	}, want: LayerEager, unseen: "an index need not have every layer"},
	{name: "zTOC type", apply: inEntry("application/octet-stream", "application/example"), want: LayerEager},
	{name: "zTOC size + 1", apply: func(b *broken) {
		size := b.entry(0).Size
		inEntry(fmt.Sprintf(`"size":%d`, size), fmt.Sprintf(`"size":%d`, size+1))(b)
	}, want: Rejected},
	{name: "zTOC size 0", apply: func(b *broken) {
		inEntry(fmt.Sprintf(`"size":%d`, b.entry(0).Size), `"size":0`)(b)
	}, want: Rejected},
	{name: "zTOC digest", apply: func(b *broken) {
		inEntry(b.entry(0).Digest.String(), digest.FromString("x").String())(b)
	}, want: Rejected},
	{name: "layer digest", apply: func(b *broken) {
		inEntry(b.layer[0].Digest.String(), digest.FromString("x").String())(b)
	}, want: LayerEager},
	{name: "layer digest in no form", apply: func(b *broken) {
		inEntry(b.layer[0].Digest.String(), "sha256:x")(b)
	}, want: LayerEager},
	{name: "no layer digest", apply: func(b *broken) {
		inEntry(fmt.Sprintf(`"%s":"%s",`, layerDigest, b.layer[0].Digest), "")(b)
	}, want: LayerEager},
	{name: "layer media type", apply: inEntry("v1.tar+gzip", "v1.tar+zstd")},
	{name: "span size", apply: inEntry(`span-size":"`, `span-size":"1`)},
	{name: "disable-xattrs", apply: inEntry(`"annotations":{`, `"annotations":{"com.amazon.soci.disable-xattrs":"true",`), want: WrongBytes},
	{name: "disable-xattrs T", apply: inEntry(`"annotations":{`, `"annotations":{"com.amazon.soci.disable-xattrs":"T",`), want: WrongBytes},
	{name: "disable-xattrs yes", apply: inEntry(`"annotations":{`, `"annotations":{"com.amazon.soci.disable-xattrs":"yes",`)},
	{name: "zTOC gone", apply: func(b *broken) { b.remove(b.entry(0).Digest) }, want: Rejected},
	{name: "zTOC damaged", apply: func(b *broken) { b.damage(b.entry(0).Digest) }, want: Rejected},
	{name: "index gone", apply: func(b *broken) { b.remove(b.soci.Desc.Digest) }, want: Rejected},
	{name: "index's configuration gone", apply: func(b *broken) { b.remove(b.soci.Config.Digest) }, want: Unpullable},
	{name: "index's configuration damaged", apply: func(b *broken) { b.damage(b.soci.Config.Digest) }, want: Unpullable},
	{name: "annotation of the manifest", apply: func(b *broken) {
		b.text(b.image.Desc.Digest, b.soci.Desc.Digest.String(), digest.FromString("x").String())
	}, want: Rejected},
	{name: "annotation in no form", apply: func(b *broken) {
		b.text(b.image.Desc.Digest, b.soci.Desc.Digest.String(), "latest")
	}, want: Rejected},
	{name: "no annotation", apply: func(b *broken) {
		b.text(b.image.Desc.Digest, "com.amazon.soci.index-digest", "com.amazon.soci.index")
	}, want: Rejected},
	{name: "layer damaged", apply: func(b *broken) { b.damage(b.layer[0].Digest) }, want: Unpullable},
	{name: "layer gone", apply: func(b *broken) { b.remove(b.layer[1].Digest) }, want: Unpullable},
	{name: "configuration gone", apply: func(b *broken) { b.remove(b.image.Config.Digest) }, want: Unpullable},
	{name: "configuration damaged", apply: func(b *broken) { b.damage(b.image.Config.Digest) }, want: Unpullable},
	{name: "diff ID", apply: func(b *broken) {
		b.text(b.image.Config.Digest, b.layer[0].DiffID.String(), digest.FromString("x").String())
	}, want: Unpullable},
	{name: "a diff ID less", apply: func(b *broken) {
		b.text(b.image.Config.Digest, `"`+b.layer[0].DiffID.String()+`",`, "")
	}, want: Unpullable},
	{name: "layer size", apply: func(b *broken) {
		b.text(b.image.Desc.Digest, fmt.Sprintf(`"size":%d`, b.layer[0].Size), fmt.Sprintf(`"size":%d`, b.layer[0].Size+1))
	}, want: Unpullable},
}

func (b *broken) remove(d digest.Digest) {
	b.t.Helper()
	if err := os.Remove(ocilayout.BlobFile(b.dir, d)); err != nil {
		b.t.Fatal(err)
	}
}

// damage changes a blob under its old name.
func (b *broken) damage(d digest.Digest) {
	b.t.Helper()
	name := ocilayout.BlobFile(b.dir, d)
	content, err := os.ReadFile(name)
	if err != nil {
		b.t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.Remove(name); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

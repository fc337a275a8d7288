package corpus

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
)

// Case is a layer made for one point.
type Case struct {
	Name      string
	Blob      []byte
	MediaType string
	// Claimed is the blob that the descriptor is about, when it is not Blob.
	Claimed []byte
}

func gz(archive []byte) []byte {
	b, err := Gzip(archive, gzip.DefaultCompression)
	if err != nil {
		panic(err) // memory does not fail
	}
	return b
}

// deflated is the raw stream out of gz.
func deflated(archive []byte) []byte {
	b := gz(archive)
	return b[10 : len(b)-8]
}

func sha(b []byte) digest.Digest { return digest.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(b))) }

// Save writes the case into dir as a layer.
func (c Case) Save(dir string) (Layer, error) {
	l, err := Save(dir, c.Name, c.Blob, c.MediaType, sha(c.Blob))
	if c.Claimed != nil {
		l.Digest, l.Size = sha(c.Claimed), int64(len(c.Claimed))
	}
	return l, err
}

// Good is an ordinary layer to stand beside special ones.
func Good() Case {
	a := new(rawArchive).file("good", "nothing wrong with this one\n").end()
	return Case{Name: "good", Blob: gz(a), MediaType: TypeGzip}
}

// Sized have size fields where no data follows. Old tars are like that; Go's reader
// passes the number on but does not skip anything.
func Sized() []Case {
	before, after := strings.Repeat("before ", 200), strings.Repeat("after ", 300)
	sized := func(name string, kind byte, link string) Case {
		a := new(rawArchive)
		a.file("before", before)
		a.entry(newRaw(kind, "sized", 0).text(fieldLink, link).octal(fieldSize, int64(len(before))), "")
		a.file("after", after)
		return Case{Name: "sized-" + name, Blob: gz(a.end()), MediaType: TypeGzip}
	}
	huge := new(rawArchive)
	huge.file("before", before)
	huge.entry(newRaw('2', "huge", 0).text(fieldLink, "before").binary(fieldSize, 1<<40), "")
	huge.file("after", after)
	byRecord := new(rawArchive)
	byRecord.file("before", before)
	byRecord.meta('x', record("size", "77777"))
	byRecord.entry(newRaw('1', "link", 0).text(fieldLink, "before"), "")
	byRecord.file("after", after)
	return []Case{
		sized("hard-link", '1', "before"),
		sized("symlink", '2', "before"),
		sized("character-device", '3', ""),
		sized("block-device", '4', ""),
		sized("directory", '5', ""),
		sized("fifo", '6', ""),
		{Name: "sized-huge-symlink", Blob: gz(huge.end()), MediaType: TypeGzip},
		{Name: "sized-by-record", Blob: byRecord.end(), MediaType: TypePlain},
	}
}

// GoodPlain is the same without compression.
func GoodPlain() Case {
	a := new(rawArchive).file("good", "nothing wrong with this one\n").end()
	return Case{Name: "good-plain", Blob: a, MediaType: TypePlain}
}

// attributeCases are layers on which the reference's metadata store fails now and then.
// It drops an empty attribute value, and refuses an attribute without a name, unless
// that attribute happens to come first in a Go map. No zTOC can help that.
func attributeCases() []Case {
	odd := func(name, records string) Case {
		a := new(rawArchive).meta('x', records+record("SCHILY.xattr.user.full", "1"))
		return Case{Name: name, Blob: gz(a.file("f", "content\n").end()), MediaType: TypeGzip}
	}
	return []Case{
		odd("attribute-without-value", record("SCHILY.xattr.user.empty", "")),
		odd("attribute-without-name", record("SCHILY.xattr.", "1")),
	}
}

// Unsupported are whole, but nobody could load a zTOC of them rightly.
func Unsupported() []Case {
	var list []Case
	add := func(name string, a *rawArchive) {
		a.file("after", "after\n")
		list = append(list, Case{Name: name, Blob: gz(a.end()), MediaType: TypeGzip})
		list = append(list, Case{Name: name + "-uncompressed", Blob: a.end(), MediaType: TypePlain})
	}
	one := func(name string, h *rawHeader, data string) {
		add(name, new(rawArchive).file("before", "before\n").entry(h, data))
	}
	add("global-header", new(rawArchive).meta('g', record("comment", strings.Repeat("0a", 20))))
	for _, kind := range []byte{'7', 'V', 'D', 'M', 'N', 'X', 'Z', 'a'} {
		one(fmt.Sprintf("type-%c", kind), newRaw(kind, "strange", 0), "")
	}
	one("user-2^32", newRaw('0', "f", 0).binary(fieldUID, 1<<32), "")
	one("group-2^40", newRaw('0', "f", 0).binary(fieldGID, 1<<40), "")
	one("user-negative", newRaw('0', "f", 0).binary(fieldUID, -2), "")
	add("user-2^32-by-record", new(rawArchive).meta('x', record("uid", "4294967296")).file("f", ""))
	one("year-10000", newRaw('0', "f", 0).binary(fieldTime, 253402300800), "")
	one("year-negative", newRaw('0', "f", 0).binary(fieldTime, time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC).Unix()), "")
	add("year-10000-by-record", new(rawArchive).meta('x', record("mtime", "253402300800.5")).file("f", ""))
	for _, n := range []int{512, 5000} {
		a := new(rawArchive).file("f", "").end()
		d := gzipMember(gzipHeader{Comment: strings.Repeat("c", n)}, deflated(a), a)
		list = append(list, Case{Name: fmt.Sprintf("gzip-comment-of-%d", n), Blob: d, MediaType: TypeGzip})
	}
	list = append(list, Case{Name: "no-bytes-uncompressed", MediaType: TypePlain})
	one("dangling-hard-link", newRaw('1', "f", 0).text(fieldLink, "no/such/file"), "")
	one("hard-link-to-a-later-file", newRaw('1', "f", 0).text(fieldLink, "after"), "")
	return append(append(list, attributeCases()...), sparseCases()...)
}

func sparseCases() []Case {
	data := strings.Repeat("d", block)
	name := record("GNU.sparse.name", "sparse") + record("GNU.sparse.realsize", "100000")
	v00 := new(rawArchive).meta('x', record("GNU.sparse.size", "100000")+record("GNU.sparse.numblocks", "1")+
		record("GNU.sparse.offset", "1024")+record("GNU.sparse.numbytes", "512"))
	v00.file("sparse", data)
	v01 := new(rawArchive).meta('x', record("GNU.sparse.size", "100000")+record("GNU.sparse.numblocks", "1")+
		record("GNU.sparse.name", "sparse")+record("GNU.sparse.map", "1024,512"))
	v01.file("GNUSparseFile.0/sparse", data)
	v10 := new(rawArchive).meta('x', record("GNU.sparse.major", "1")+record("GNU.sparse.minor", "0")+name)
	v10.file("GNUSparseFile.0/sparse", "1\n1024\n512\n"+strings.Repeat("\x00", block-11)+data)
	old := newRaw('S', "sparse", block).text(fieldMagic, magicGNU)
	copy(old[386:], "00000002000\x0000000001000\x00") // one piece: offset, length
	copy(old[483:], "00000303240\x00")                // real size
	oldGNU := new(rawArchive).entry(old, data)
	names := []string{"sparse-0.0", "sparse-0.1", "sparse-1.0", "sparse-old-gnu"}
	var list []Case
	for i, a := range []*rawArchive{v00, v01, v10, oldGNU} {
		a.file("after", "after\n")
		list = append(list, Case{Name: names[i], Blob: gz(a.end()), MediaType: TypeGzip})
	}
	return list
}

// Zstd is a layer of a type that has no zTOC.
func Zstd() (Case, error) {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		return Case{}, err
	}
	a := new(rawArchive).file("z", "zstd\n").end()
	return Case{Name: "zstd", Blob: w.EncodeAll(a, nil), MediaType: TypeZstd}, w.Close()
}

// Broken are damaged: no tool may make anything of them.
func Broken() []Case {
	archive := new(rawArchive).file("a", string(mixed(seeded(40), 70000))).file("b", "b\n").end()
	blob := gz(archive)
	var list []Case
	add := func(name string, b []byte) {
		list = append(list, Case{Name: name, Blob: b, MediaType: TypeGzip})
	}
	changed := func(b []byte, at int, mask byte) []byte {
		b = bytes.Clone(b)
		b[(at+len(b))%len(b)] ^= mask
		return b
	}
	more := func(tail ...byte) []byte { return append(bytes.Clone(blob), tail...) }

	add("nothing", nil)
	for _, n := range []int{1, 5, 10, 11, 100, len(blob) / 2, len(blob) - 9, len(blob) - 8, len(blob) - 4, len(blob) - 1} {
		add(fmt.Sprintf("cut-at-%d-of-%d", n, len(blob)), blob[:n])
	}
	members, err := inMembers(archive, nil, 4)
	if err != nil {
		panic(err)
	}
	add("cut-in-the-last-member", members[:len(members)-20])
	add("trailing-zero", more(0))
	add("trailing-zeros", more(make([]byte, 4096)...))
	add("trailing-1f", more(0x1f))
	add("trailing-magic", more(0x1f, 0x8b))
	add("trailing-garbage", more([]byte("garbage behind the stream")...))
	add("wrong-crc", changed(blob, -5, 1))
	add("wrong-length", changed(blob, -1, 0x80))
	add("wrong-crc-of-a-member", wrongMember(archive))
	add("flipped-bit", changed(blob, len(blob)/2, 4))
	add("flipped-first-block", changed(blob, 10, 7))
	add("reserved-flag", changed(blob, 3, 0x20))
	add("unknown-method", changed(blob, 2, 15))
	full, err := fullHeader(archive)
	if err != nil {
		panic(err)
	}
	add("wrong-header-crc", changed(full, 20, 1))
	add("not-gzip", noise(seeded(41), 5000))
	add("plain-tar-as-gzip", archive)
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	_, err = w.Write(archive)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
	add("zlib-stream", z.Bytes())
	add("text-in-gzip", gz([]byte(strings.Repeat("this is no archive at all\n", 50))))
	return append(append(list, brokenTars()...), mismatched(archive, blob)...)
}

func wrongMember(archive []byte) []byte {
	first := gz(archive[:1024])
	binary.LittleEndian.PutUint32(first[len(first)-8:], 12345)
	return append(first, gz(archive[1024:])...)
}

// brokenTars are wrong inside, both compressed and not.
func brokenTars() []Case {
	var list []Case
	add := func(name string, b []byte) {
		list = append(list, Case{Name: name, Blob: gz(b), MediaType: TypeGzip},
			Case{Name: name + "-uncompressed", Blob: b, MediaType: TypePlain})
	}
	base := new(rawArchive).file("a", strings.Repeat("data ", 300))
	good := bytes.Clone(*base)
	add("tar-cut-in-the-data", good[:block+700])
	add("tar-cut-in-the-header", good[:300])
	add("tar-one-zero-block-then-more", append(append(bytes.Clone(good), make([]byte, block)...), good...))
	add("tar-one-zero-block-and-a-half", append(bytes.Clone(good), make([]byte, block+100)...))
	sum := bytes.Clone(good)
	sum[0] ^= 1
	add("tar-wrong-checksum", sum)
	add("tar-no-octal", *new(rawArchive).entry(newRaw('0', "f", 0).text(fieldUID, "12x4567"), ""))
	add("tar-negative-size", *new(rawArchive).entry(newRaw('0', "f", 0).binary(fieldSize, -5), ""))
	add("tar-bad-record", *new(rawArchive).meta('x', "99 path=too long\n").file("f", ""))
	add("tar-bad-time-record", *new(rawArchive).meta('x', record("mtime", "soon")).file("f", ""))
	list = append(list, Case{Name: "gzip-as-plain-tar", Blob: gz(base.end()), MediaType: TypePlain})
	return list
}

// mismatched are not what their descriptors say. Some of them parse all the same.
func mismatched(archive, blob []byte) []Case {
	other := bytes.Clone(blob)
	other[4] = 1 // the time in the gzip header: no checksum covers it
	inside := bytes.Clone(archive)
	inside[0] = 'c'
	fixed := new(rawArchive).entry(newRaw('0', "c", 3), "new")
	// Left out or not: first of all the blob has to be the one that is named.
	global := gz(new(rawArchive).meta('g', record("comment", "c")).file("f", "").end())
	otherGlobal := bytes.Clone(global)
	otherGlobal[4] = 1
	return []Case{
		{Name: "wrong-digest-whole-gzip", Blob: other, Claimed: blob, MediaType: TypeGzip},
		{Name: "wrong-digest-unsupported", Blob: otherGlobal, Claimed: global, MediaType: TypeGzip},
		{Name: "wrong-digest-broken-tar", Blob: inside, Claimed: archive, MediaType: TypePlain},
		{Name: "wrong-size-shorter", Blob: gz(fixed.end()), Claimed: blob, MediaType: TypeGzip},
		{Name: "wrong-size-longer", Blob: append(bytes.Clone(archive), make([]byte, 512)...), Claimed: archive, MediaType: TypePlain},
	}
}

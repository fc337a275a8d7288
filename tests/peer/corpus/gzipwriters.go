package corpus

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"io"
	"os"
	"strconv"

	"github.com/containerd/stargz-snapshotter/estargz"
	kgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/pgzip"
)

// GzipWriter turns an archive file into a layer blob.
type GzipWriter struct {
	Name string
	// Slow ones take seconds per megabyte.
	Slow bool
	// Leading: the blob begins with something empty, a member or a block, so that it
	// has several places where the output is still at 0.
	Leading bool
	Plain   bool
	Write   func(archive, out string) error
}

// GzipWriters is the whole list, always the same.
func GzipWriters() []GzipWriter {
	list := []GzipWriter{{Name: "uncompressed", Plain: true, Write: func(in, out string) error { return os.Link(in, out) }}}
	add := func(name string, write func(in, out string) error) {
		list = append(list, GzipWriter{Name: name, Write: write})
	}
	slow := func(name string, write func(in, out string) error) {
		list = append(list, GzipWriter{Name: name, Slow: true, Write: write})
	}
	leading := func(name string, write func(in, out string) error) {
		list = append(list, GzipWriter{Name: name, Leading: true, Write: write})
	}
	for _, level := range []int{gzip.HuffmanOnly, gzip.NoCompression, 1, 6, 9} {
		add("go-"+strconv.Itoa(level), inMemory(func(b []byte) ([]byte, error) { return Gzip(b, level) }))
	}
	for _, level := range []int{kgzip.StatelessCompression, kgzip.HuffmanOnly, 1, 6, 9} {
		add("klauspost-"+strconv.Itoa(level), inMemory(func(b []byte) ([]byte, error) { return klauspostGzip(b, level) }))
	}
	add("pgzip", inMemory(parallelGzip))
	for _, flag := range []string{"-1", "-6", "-9"} {
		add("gzip"+flag, command("gzip", flag, "-c", "-n"))
	}
	add("gzip-with-name", namedGzip)
	add("pigz", command("pigz", "-c", "-n"))
	add("pigz-small-blocks", command("pigz", "-c", "-n", "-b", "32"))
	add("pigz-independent", command("pigz", "-c", "-n", "-b", "32", "-i"))
	add("pigz-9-alias-and-comment", command("pigz", "-9", "-c", "-m", "-A", "other name", "-C", "a comment"))
	slow("pigz-11", command("pigz", "-c", "-n", "-11"))
	slow("zopfli", commandOnFile("zopfli", "-c", "--i5"))
	add("libdeflate-1", command("libdeflate-gzip", "-c", "-1"))
	add("libdeflate-12", command("libdeflate-gzip", "-c", "-12"))
	for _, flag := range []string{"-0", "-1", "-3"} {
		add("igzip"+flag, command("igzip", flag, "-c", "-n"))
	}
	add("bgzip", command("bgzip", "-c"))
	for _, mode := range []string{"sync", "full"} {
		add("python-zlib-"+mode, pythonGzip(mode))
	}
	for _, s := range zlibSettings {
		add("zlib-"+s.name, inMemory(s.compress))
	}
	add("members", inMemory(func(b []byte) ([]byte, error) { return inMembers(b, nil, 7) }))
	add("members-empty-in-the-middle", inMemory(func(b []byte) ([]byte, error) { return inMembers(b, []int{2, 3}, 5) }))
	add("members-empty-at-the-end", inMemory(func(b []byte) ([]byte, error) { return inMembers(b, []int{5}, 5) }))
	add("members-with-extra-field", inMemory(blockedGzip))
	add("header-with-everything", inMemory(fullHeader))
	add("estargz", inMemory(eStargz))
	leading("empty-member-first", inMemory(func(b []byte) ([]byte, error) { return inMembers(b, []int{0}, 3) }))
	leading("empty-members-first", inMemory(func(b []byte) ([]byte, error) { return inMembers(b, []int{0, 1, 2}, 5) }))
	leading("flush-first", inMemory(flushFirst))
	leading("empty-blocks-first", inMemory(emptyBlocksFirst))
	return list
}

func inMemory(compress func([]byte) ([]byte, error)) func(string, string) error {
	return func(archive, out string) error {
		b, err := os.ReadFile(archive)
		if err != nil {
			return err
		}
		if b, err = compress(b); err != nil {
			return err
		}
		return os.WriteFile(out, b, 0o644)
	}
}

func command(name string, args ...string) func(string, string) error {
	return func(archive, out string) error { return tool(archive, out, name, args...) }
}

func commandOnFile(name string, args ...string) func(string, string) error {
	return func(archive, out string) error { return tool("", out, name, append(args, archive)...) }
}

// namedGzip gives gzip a file, so that it writes the name and the time into the header.
func namedGzip(archive, out string) error {
	if err := os.Chtimes(archive, moment, moment); err != nil {
		return err
	}
	return tool("", out, "gzip", "-c", "-N", archive)
}

// zlibSetting is one of zlib's own settings that the programs do not offer.
type zlibSetting struct {
	name                            string
	window, memory, strategy, flush int
}

var zlibSettings = []zlibSetting{
	{"small-memory", 15, 3, 0, flushNone},
	{"small-window", 9, 8, 0, flushNone},
	{"filtered", 15, 8, 1, flushNone},
	{"huffman-only", 15, 4, 2, flushNone},
	{"run-length", 15, 8, 3, flushNone},
	{"fixed-codes", 15, 4, 4, flushNone},
	{"partial-flush", 15, 8, 0, flushPartial},
	{"block-flush", 15, 8, 0, flushBlock},
}

func (s zlibSetting) compress(b []byte) ([]byte, error) {
	d, err := newDeflater(6, s.window, s.memory, s.strategy)
	if err != nil {
		return nil, err
	}
	const piece = 10007
	rest := b
	for err == nil && len(rest) > piece {
		err = d.write(rest[:piece], s.flush)
		rest = rest[piece:]
	}
	if err == nil {
		err = d.write(rest, flushFinish)
	}
	return gzipMember(gzipHeader{OS: 255}, d.close(), b), err
}

//go:embed gzip.py
var pythonGzipProgram string

func pythonGzip(mode string) func(string, string) error {
	return func(archive, out string) error {
		return tool("", "", "python3", "-IS", "-c", pythonGzipProgram, mode, archive, out)
	}
}

// Gzip compresses as Go does.
func Gzip(b []byte, level int) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		return nil, err
	}
	return finish(&out, w, b)
}

func klauspostGzip(b []byte, level int) ([]byte, error) {
	var out bytes.Buffer
	w, err := kgzip.NewWriterLevel(&out, level)
	if err != nil {
		return nil, err
	}
	return finish(&out, w, b)
}

func parallelGzip(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w := pgzip.NewWriter(&out)
	if err := w.SetConcurrency(128<<10, 2); err != nil {
		return nil, err
	}
	return finish(&out, w, b)
}

func finish(out *bytes.Buffer, w io.WriteCloser, b []byte) ([]byte, error) {
	_, err := w.Write(b)
	err = errors.Join(err, w.Close())
	return out.Bytes(), err
}

// inMembers cuts the archive into pieces, one gzip member each. The members whose
// numbers are given are empty.
func inMembers(b []byte, empty []int, pieces int) ([]byte, error) {
	total := pieces + len(empty)
	isEmpty := make(map[int]bool)
	for _, n := range empty {
		isEmpty[n] = true
	}
	var out []byte
	size := (len(b) + pieces - 1) / pieces
	for i := range total {
		n := min(size, len(b))
		if isEmpty[i] {
			n = 0
		} else if i == total-1 {
			n = len(b)
		}
		m, err := Gzip(b[:n], gzip.DefaultCompression)
		if err != nil {
			return nil, err
		}
		out, b = append(out, m...), b[n:]
	}
	return out, nil
}

// blockedGzip is like bgzip with smaller blocks: each member tells its own size in
// an extra field, and an empty member ends the file.
func blockedGzip(b []byte) ([]byte, error) {
	var out []byte
	for {
		n := min(len(b), 20000)
		d, err := newDeflater(6, 15, 8, 0)
		if err != nil {
			return nil, err
		}
		if err := d.write(b[:n], flushFinish); err != nil {
			return nil, err
		}
		deflated := d.close()
		size := len(deflated) + 25
		extra := []byte{'B', 'C', 2, 0, byte(size), byte(size >> 8)}
		out = append(out, gzipMember(gzipHeader{Extra: extra, OS: 255}, deflated, b[:n])...)
		if n == 0 {
			return out, nil
		}
		b = b[n:]
	}
}

func fullHeader(b []byte) ([]byte, error) {
	d, err := newDeflater(6, 15, 8, 0)
	if err != nil {
		return nil, err
	}
	if err := d.write(b, flushFinish); err != nil {
		return nil, err
	}
	h := gzipHeader{Text: true, Time: 1712345678, Extra: noise(seeded(30), 4000), Name: "layer.tar",
		Comment: "every optional field", Checksum: true, XFL: 2, OS: 3}
	return gzipMember(h, d.close(), b), nil
}

// eStargz has a member per file and its own table of contents behind the end of the tar.
func eStargz(b []byte) ([]byte, error) {
	blob, err := estargz.Build(io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b))), estargz.WithChunkSize(64<<10))
	if err != nil {
		return nil, errors.Join(errUnfit, err)
	}
	defer blob.Close()
	return io.ReadAll(blob)
}

// flushFirst is what a program makes that flushes its gzip stream before it has
// anything to write.
func flushFirst(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if err := w.Flush(); err != nil {
		return nil, err
	}
	return finish(&out, w, b)
}

func emptyBlocksFirst(b []byte) ([]byte, error) {
	var d deflateBits
	d.fixed(nil, false)
	d.fixed(nil, false)
	d.stored(nil, false)
	for rest := b; ; {
		n := min(len(rest), 30000)
		d.stored(rest[:n], n == len(rest))
		if rest = rest[n:]; len(rest) == 0 {
			break
		}
	}
	return gzipMember(gzipHeader{OS: 255}, d.bytes(), b), nil
}

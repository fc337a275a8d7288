// Package ztocdiff says where two zTOCs part ways: the byte, the field that it
// belongs to, and what the two say there.
package ztocdiff

import (
	"encoding/binary"
	"fmt"

	fb "github.com/awslabs/soci-snapshotter/ztoc/fbs/ztoc"
	flatbuffers "github.com/google/flatbuffers/go"
)

// span is a range of bytes with the name of what lies there.
type span struct {
	start, end int
	name       string
}

// fields lists the ranges of all fields of a zTOC. Damaged input ends the list early.
func fields(toc []byte) (list []span) {
	defer func() { _ = recover() }()
	w := &walker{buf: toc}
	defer func() { list = w.list }()

	root := fb.GetRootAsZtoc(toc, 0)
	w.scalar(root.Table(), "Ztoc", []slot{{0, "version", ref}, {1, "build_tool_identifier", ref}, {2, "compressed_archive_size", 8},
		{3, "uncompressed_archive_size", 8}, {4, "toc", ref}, {5, "compression_info", ref}})
	w.text(root.Table(), 0, "version")
	w.text(root.Table(), 1, "build_tool_identifier")
	if info := root.CompressionInfo(nil); info != nil {
		w.compression(info)
	}
	if toc := root.Toc(nil); toc != nil {
		w.scalar(toc.Table(), "TOC", []slot{{0, "metadata", ref}})
		for i := range toc.MetadataLength() {
			var m fb.FileMetadata
			if toc.Metadata(&m, i) {
				w.file(&m, i)
			}
		}
	}
	return w.list
}

type walker struct {
	buf  []byte
	list []span
}

// slot is a field of a table: its number, its name, its size in the table.
type slot struct {
	number int
	name   string
	size   int
}

const ref = 4 // an offset to something elsewhere

func position(t flatbuffers.Table, number int) int {
	offset := t.Offset(flatbuffers.VOffsetT(4 + 2*number))
	if offset == 0 {
		return -1
	}
	return int(t.Pos) + int(offset)
}

func (w *walker) add(start, end int, format string, args ...any) {
	w.list = append(w.list, span{start, end, fmt.Sprintf(format, args...)})
}

// scalar adds the table itself: its vtable and the fields that stand in it.
func (w *walker) scalar(t flatbuffers.Table, name string, slots []slot) {
	table := int(t.Pos)
	vtable := table - int(int32(binary.LittleEndian.Uint32(w.buf[table:])))
	w.add(vtable, vtable+int(binary.LittleEndian.Uint16(w.buf[vtable:])), "%s: vtable", name)
	w.add(table, table+4, "%s: offset of the vtable", name)
	for _, s := range slots {
		if at := position(t, s.number); at >= 0 {
			what := s.name
			if s.size == ref {
				what = "offset of " + what
			}
			w.add(at, at+s.size, "%s: %s", name, what)
		}
	}
}

// text adds a string or byte vector that a field refers to.
func (w *walker) text(t flatbuffers.Table, number int, format string, args ...any) (start, end int) {
	at := position(t, number)
	if at < 0 {
		return 0, 0
	}
	at += int(binary.LittleEndian.Uint32(w.buf[at:]))
	start = at + 4
	end = start + int(binary.LittleEndian.Uint32(w.buf[at:]))
	w.add(at, start, "length of "+format, args...)
	w.add(start, end, format, args...)
	return start, end
}

func (w *walker) compression(info *fb.CompressionInfo) {
	t := info.Table()
	w.scalar(t, "CompressionInfo", []slot{{0, "compression_algorithm", 1}, {1, "max_span_id", 4}, {2, "span_digests", ref}, {3, "checkpoints", ref}})
	if start, end := w.text(t, 3, "checkpoints"); end > start {
		const head, record = 12, 32785
		w.add(start, start+4, "checkpoints: count")
		w.add(start+4, start+head, "checkpoints: span size")
		for k := 0; start+head+(k+1)*record <= end; k++ {
			at := start + head + k*record
			w.add(at, at+8, "checkpoint %d: in", k)
			w.add(at+8, at+16, "checkpoint %d: out", k)
			w.add(at+16, at+17, "checkpoint %d: bits", k)
			w.add(at+17, at+record, "checkpoint %d: window", k)
		}
	}
	if at := position(t, 2); at >= 0 {
		at += int(binary.LittleEndian.Uint32(w.buf[at:]))
		for k := range info.SpanDigestsLength() {
			one := at + 4 + 4*k
			one += int(binary.LittleEndian.Uint32(w.buf[one:]))
			w.add(one, one+4+int(binary.LittleEndian.Uint32(w.buf[one:])), "span digest %d", k)
		}
	}
}

func (w *walker) file(m *fb.FileMetadata, i int) {
	name := fmt.Sprintf("entry %d (%q)", i, m.Name())
	t := m.Table()
	w.scalar(t, name, []slot{{0, "name", ref}, {1, "type", ref}, {2, "uncompressed_offset", 8}, {3, "uncompressed_size", 8},
		{4, "linkname", ref}, {5, "mode", 8}, {6, "uid", 4}, {7, "gid", 4}, {8, "uname", ref}, {9, "gname", ref},
		{10, "mod_time", ref}, {11, "devmajor", 8}, {12, "devminor", 8}, {13, "xattrs", ref}})
	for number, field := range map[int]string{0: "name", 1: "type", 4: "linkname", 8: "uname", 9: "gname", 10: "mod_time"} {
		w.text(t, number, "%s: %s", name, field)
	}
	for j := range m.XattrsLength() {
		var x fb.Xattr
		if m.Xattrs(&x, j) {
			w.text(x.Table(), 0, "%s: key of record %d", name, j)
			w.text(x.Table(), 1, "%s: value of record %q", name, x.Key())
		}
	}
}

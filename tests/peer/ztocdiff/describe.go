package ztocdiff

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/awslabs/soci-snapshotter/ztoc"
)

// Describe says what is different between our zTOC and the wanted one; nothing when
// they are equal.
func Describe(ours, wanted []byte) string {
	if bytes.Equal(ours, wanted) {
		return ""
	}
	at := 0
	for at < min(len(ours), len(wanted)) && ours[at] == wanted[at] {
		at++
	}
	var b strings.Builder
	fmt.Fprintf(&b, "first different byte: %d (0x%x) of %d, wanted %d bytes\n", at, at, len(ours), len(wanted))
	fmt.Fprintf(&b, "  there, wanted: %s\n", nameOf(wanted, at))
	fmt.Fprintf(&b, "  there, ours:   %s\n", nameOf(ours, at))
	for _, line := range meaning(ours, wanted) {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	return b.String()
}

// nameOf gives the narrowest field that holds the byte.
func nameOf(toc []byte, at int) string {
	best := span{0, len(toc) + 1, "padding, or behind the end"}
	for _, s := range fields(toc) {
		if s.start <= at && at < s.end && s.end-s.start < best.end-best.start {
			best = s
		}
	}
	return fmt.Sprintf("%s, byte %d of %d", best.name, at-best.start, best.end-best.start)
}

// meaning compares the decoded values: the first byte often differs only because
// something later has another length.
func meaning(ours, wanted []byte) []string {
	const enough = 6
	o, err := ztoc.Unmarshal(bytes.NewReader(ours))
	if err != nil {
		return []string{"ours does not decode: " + err.Error()}
	}
	w, err := ztoc.Unmarshal(bytes.NewReader(wanted))
	if err != nil {
		return []string{"the wanted one does not decode: " + err.Error()}
	}
	var lines []string
	note := func(name string, ours, wanted any) {
		if a, b := fmt.Sprintf("%v", ours), fmt.Sprintf("%v", wanted); a != b && len(lines) < enough {
			lines = append(lines, fmt.Sprintf("%s: %s, wanted %s", name, a, b))
		}
	}
	note("version", o.Version, w.Version)
	note("build tool", o.BuildToolIdentifier, w.BuildToolIdentifier)
	note("compressed size", o.CompressedArchiveSize, w.CompressedArchiveSize)
	note("uncompressed size", o.UncompressedArchiveSize, w.UncompressedArchiveSize)
	note("algorithm", o.CompressionAlgorithm, w.CompressionAlgorithm)
	note("max span id", o.MaxSpanID, w.MaxSpanID)
	note("number of entries", len(o.FileMetadata), len(w.FileMetadata))
	for i := range min(len(o.FileMetadata), len(w.FileMetadata)) {
		a, b := o.FileMetadata[i], w.FileMetadata[i]
		at := fmt.Sprintf("entry %d (%q) ", i, b.Name)
		note(at+"name", fmt.Sprintf("%q", a.Name), fmt.Sprintf("%q", b.Name))
		note(at+"type", a.Type, b.Type)
		note(at+"offset", a.UncompressedOffset, b.UncompressedOffset)
		note(at+"size", a.UncompressedSize, b.UncompressedSize)
		note(at+"link", fmt.Sprintf("%q", a.Linkname), fmt.Sprintf("%q", b.Linkname))
		note(at+"mode", a.Mode, b.Mode)
		note(at+"owner", [2]int{a.UID, a.GID}, [2]int{b.UID, b.GID})
		note(at+"owner names", fmt.Sprintf("%q", []string{a.Uname, a.Gname}), fmt.Sprintf("%q", []string{b.Uname, b.Gname}))
		note(at+"time", a.ModTime, b.ModTime)
		note(at+"device", [2]int64{a.Devmajor, a.Devminor}, [2]int64{b.Devmajor, b.Devminor})
		note(at+"records", fmt.Sprintf("%q", a.PAXHeaders), fmt.Sprintf("%q", b.PAXHeaders))
	}
	a, b := places(o.Checkpoints), places(w.Checkpoints)
	note("number of checkpoints", len(a), len(b))
	for k := range min(len(a), len(b)) {
		note(fmt.Sprintf("checkpoint %d", k), a[k], b[k])
	}
	for k := range min(len(o.SpanDigests), len(w.SpanDigests)) {
		note(fmt.Sprintf("span digest %d", k), o.SpanDigests[k], w.SpanDigests[k])
	}
	return lines
}

package images

import (
	"archive/tar"
	"strings"
)

// Shape is a layer of one peculiarity, as builders write them. It is laid over Base.
type Shape struct {
	Name    string
	Entries []Entry
	// Known are differences that the reference's reader makes out of any zTOC of it.
	Known []string
	// Told is what `soci-layout verify` says about them beforehand.
	Told string
}

// Entry is a header with its content.
type Entry struct {
	tar.Header
	Content string
}

// Base is a layer with something to take away.
func Base(out *tar.Writer) error {
	return Entries(
		named("gone", "gone\n"), named("w/", ""), named("w/removed", "removed\n"), named("w/opaque/", ""), named("w/opaque/old", "old\n"),
		named("d/", ""), named("d/below/", ""), named("d/below/file", "below\n"), named("f", "a file\n"), named("x/", ""),
		Entry{tar.Header{Name: "shared/", Mode: 0o1777, Uid: 5, Gid: 6}, ""},
	)(out)
}

// Entries writes them in their order.
func Entries(entries ...Entry) func(*tar.Writer) error {
	return func(out *tar.Writer) error {
		for _, e := range entries {
			if err := entry(out, e.Header, e.Content); err != nil {
				return err
			}
		}
		return nil
	}
}

func named(name, content string) Entry { return Entry{tar.Header{Name: name}, content} }

func linked(kind byte, name, target string) Entry {
	return Entry{tar.Header{Typeflag: kind, Name: name, Linkname: target, Mode: 0o777}, ""}
}

// text is long enough that a file has its data in blocks of its own.
var text = strings.Repeat("some text\n", 300)

// OtherMode is what is told of a hard link that would give its file another mode where it is unpacked.
const OtherMode = "a hard link whose header has another mode"

// Shapes is the whole list. What is compared is each name's own entry, so that some of them are shown as they are here
// and still not as they would be unpacked: that is told.
var Shapes = []Shape{
	{Name: "an entry for the root, names with ./", Entries: []Entry{
		{tar.Header{Typeflag: tar.TypeDir, Name: "./"}, ""}, named("./a/", ""), named("./a/file", text), named("./top", text),
		linked(tar.TypeLink, "./a/hard", "./a/file"), linked(tar.TypeSymlink, "./a/soft", "./file"),
	}, Told: OtherMode},
	{Name: "absolute names", Entries: []Entry{
		named("/a/", ""), named("/a/file", text), linked(tar.TypeLink, "/a/hard", "/a/file"), named("/top", text),
	}, Told: OtherMode},
	{Name: "parents without an entry", Entries: []Entry{named("a/b/c/file", text), named("a/b/other", text)}},
	// The reader makes such directories up, and they hide those of the layer below. containerd
	// takes mode and owner over when it unpacks.
	{
		Name: "parents without an entry, which the layer below has", Entries: []Entry{named("shared/file", text)},
		Known: []string{
			"shared: mode 40755, want 41777", "shared: owner 0, want 5", "shared: group 0, want 6",
			"shared: mtime 0001-01-01 00:00:00 +0000 UTC, want 2023-11-14 22:13:20 +0000 UTC",
		},
		Told: "directory shared, which it has no entry for",
	},
	{Name: "parents after their files", Entries: []Entry{
		named("a/file", text), {tar.Header{Name: "a/", Mode: 0o750, Uid: 7}, ""}, named("a/other", text),
	}},
	{Name: "a file twice", Entries: []Entry{named("a", "first\n"), named("b", text), {tar.Header{Name: "a", Mode: 0o600}, "second, longer\n" + text}}},
	{Name: "a file that was linked, twice", Entries: []Entry{
		named("a", text), linked(tar.TypeLink, "b", "a"), named("a", "second\n"), linked(tar.TypeLink, "c", "a"),
	}, Told: OtherMode},
	{Name: "a directory twice", Entries: []Entry{named("a/", ""), named("a/file", text), {tar.Header{Name: "a/", Mode: 0o700, Gid: 9}, ""}, named("a/more", text)}},
	{Name: "a hard link to a symbolic link", Entries: []Entry{named("a", text), linked(tar.TypeSymlink, "b", "a"), linked(tar.TypeLink, "c", "b")}},
	{Name: "a file in the place of a directory", Entries: []Entry{named("d", text)}},
	{Name: "a directory in the place of a file", Entries: []Entry{named("f/", ""), named("f/inside", text)}},
	{Name: "a whiteout and the same name again", Entries: []Entry{named(".wh.f", ""), named("f", text), named("w/", ""), named("w/removed", text), named("w/.wh.removed", "")}, Told: "a whiteout of a name of the same layer"},
	{Name: "an opaque directory, its marker last", Entries: []Entry{named("w/", ""), named("w/opaque/", ""), named("w/opaque/new", text), named("w/opaque/.wh..wh..opq", "")}},
	{Name: "a whiteout of nothing", Entries: []Entry{named(".wh.nothing", ""), named("x/", ""), named("x/.wh.nothing", ""), named("x/file", text)}},
	{Name: "names that begin like whiteouts", Entries: []Entry{named("x/", ""), named("x/wh.file", text), named("x/.whfile", text), named("x/..wh.a", text)}},
	{Name: "dots in names", Entries: []Entry{named("a/", ""), named("a/./file", text), named("a/../b", text), named("a//c", text)}},
	{Name: "a directory without a slash", Entries: []Entry{{tar.Header{Typeflag: tar.TypeDir, Name: "a", Mode: 0o711}, ""}, named("a/file", text)}},
}

package corpus

import (
	"archive/tar"
	"fmt"
	"strings"
	"time"
)

// Member is one entry of a content, before a tar writer has put it into its form.
type Member struct {
	tar.Header
	Data []byte
}

// Content is what a layer holds.
type Content struct {
	Name    string
	Members []Member
	// Large contents do not get the smallest spans, which would make gigabytes of zTOC.
	Large bool
	// NotOnDisk: a tree of it cannot be made without privileges.
	NotOnDisk bool
}

// a moment whose digits are all different from zero
var moment = time.Unix(1712345678, 0).UTC()

func file(name string, data []byte) Member {
	return Member{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: moment}, data}
}

func dir(name string) Member {
	return Member{tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: moment}, nil}
}

func link(kind byte, name, target string) Member {
	return Member{tar.Header{Typeflag: kind, Name: name, Linkname: target, Mode: 0o777, ModTime: moment}, nil}
}

func node(kind byte, name string, major, minor int64) Member {
	return Member{tar.Header{Typeflag: kind, Name: name, Mode: 0o640, Devmajor: major, Devminor: minor, ModTime: moment}, nil}
}

// with changes a member's header.
func (m Member) with(change func(*tar.Header)) Member {
	change(&m.Header)
	return m
}

// Contents is the whole list, always the same.
func Contents() []Content {
	return []Content{
		{Name: "empty"},
		{Name: "tiny", Members: []Member{dir("d"), file("d/a", []byte("hello\n"))}},
		{Name: "many-small", Members: manySmall()},
		{Name: "pax-records", Members: paxRecords(), NotOnDisk: true},
		{Name: "long-names", Members: longNames()},
		{Name: "hard-links", Members: hardLinks()},
		{Name: "symlinks", Members: symlinks()},
		{Name: "whiteouts", Members: whiteouts()},
		{Name: "nodes", Members: nodes(), NotOnDisk: true},
		{Name: "block-borders", Members: blockBorders()},
		{Name: "large-mixed", Members: largeMixed(), Large: true},
	}
}

func manySmall() []Member {
	r := seeded(3)
	var m []Member
	for d := range 12 {
		name := fmt.Sprintf("usr/share/d%02d", d)
		m = append(m, dir(name))
		for f := range 50 {
			m = append(m, file(fmt.Sprintf("%s/f%03d.txt", name, f), prose(r, r.IntN(300))))
		}
	}
	return m
}

func paxRecords() []Member {
	records := func(pairs ...string) func(*tar.Header) {
		return func(h *tar.Header) {
			h.PAXRecords = make(map[string]string)
			for i := 0; i < len(pairs); i += 2 {
				h.PAXRecords[pairs[i]] = pairs[i+1]
			}
		}
	}
	capability := "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	many := make([]string, 0, 128)
	for i := range 64 {
		many = append(many, fmt.Sprintf("SCHILY.xattr.user.n%02d", i), strings.Repeat("v", i+1))
	}
	deep := strings.Repeat("deep/", 60)
	m := []Member{
		dir("x").with(records("SCHILY.xattr.user.on-directory", "1")),
		file("x/capability", []byte("binary")).with(records("SCHILY.xattr.security.capability", capability)),
		file("x/many", []byte("many")).with(records(many...)),
		file("x/large", []byte("large")).with(records("SCHILY.xattr.user.large", strings.Repeat("0123456789", 900))),
		file("x/other", []byte("other")).with(records("VENDOR.note", "no attribute", "SCHILY.xattr.user.both", "yes")),
		file("x/fraction", []byte("f")).with(func(h *tar.Header) { h.ModTime = moment.Add(123456789) }),
		file("x/tenth", []byte("f")).with(func(h *tar.Header) { h.ModTime = moment.Add(500 * time.Millisecond) }),
		file("x/before-epoch", []byte("f")).with(func(h *tar.Header) { h.ModTime = time.Unix(-2, 250000000) }),
		file("x/far-future", []byte("f")).with(func(h *tar.Header) { h.ModTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) }),
		file("x/high-ids", []byte("f")).with(func(h *tar.Header) { h.Uid, h.Gid = 1<<32-1, 3000000000 }),
		file("x/names", []byte("f")).with(func(h *tar.Header) { h.Uname, h.Gname = "użytkownik", strings.Repeat("g", 40) }),
		file("x/ünïcödé ☃ name", []byte("f")),
		file(deep+"file", []byte("deep")),
		link(tar.TypeSymlink, deep+"link", deep+"file"),
		file("x/setuid", []byte("f")).with(func(h *tar.Header) { h.Mode = 0o6755 }),
		file("x/sticky", []byte("f")).with(func(h *tar.Header) { h.Mode = 0o1777 }),
	}
	return m
}

func longNames() []Member {
	part := func(n int) string { return strings.Repeat("n", n) }
	m := []Member{dir("names")}
	// Around the limits of the name field, of prefix and name, and of one path element.
	for _, n := range []int{90, 93, 94, 95, 96, 100, 150, 240} {
		m = append(m, file("names/"+part(n), prose(seeded(uint64(n)), n)))
		m = append(m, link(tar.TypeSymlink, fmt.Sprintf("names/to-%d", n), part(n)))
	}
	path := "names"
	for i := range 5 {
		path += "/" + part(60+i)
		m = append(m, dir(path), file(path+"/f", []byte("f")))
	}
	return append(m, link(tar.TypeLink, "names/hard", path+"/f"))
}

func hardLinks() []Member {
	return []Member{
		dir("a"), dir("b"),
		file("a/one", prose(seeded(6), 1500)),
		link(tar.TypeLink, "a/two", "a/one"),
		link(tar.TypeLink, "b/three", "a/one"),
		link(tar.TypeLink, "b/four", "b/three"),
		file("b/after", []byte("behind the links\n")),
		file("b/empty", nil),
		link(tar.TypeLink, "b/empty-too", "b/empty"),
	}
}

func symlinks() []Member {
	return []Member{
		dir("s"),
		file("s/target", []byte("target\n")),
		link(tar.TypeSymlink, "s/relative", "target"),
		link(tar.TypeSymlink, "s/chain", "relative"),
		link(tar.TypeSymlink, "s/absolute", "/s/target"),
		link(tar.TypeSymlink, "s/dangling", "../no/such/file"),
		link(tar.TypeSymlink, "s/to-directory", "."),
		file("s/after", []byte("after\n")),
	}
}

func whiteouts() []Member {
	return []Member{
		dir("w"),
		file("w/.wh.removed", nil),
		dir("w/opaque"),
		file("w/opaque/.wh..wh..opq", nil),
		file("w/opaque/new", []byte("new\n")),
		file(".wh.gone", nil),
	}
}

func nodes() []Member {
	return []Member{
		dir("dev"),
		node(tar.TypeChar, "dev/null", 1, 3),
		node(tar.TypeBlock, "dev/sda1", 8, 1),
		node(tar.TypeFifo, "dev/pipe", 0, 0),
		node(tar.TypeChar, "dev/high", 2097151, 2097151),
		file("dev/after", []byte("after\n")),
	}
}

func blockBorders() []Member {
	r := seeded(10)
	var m []Member
	for i, n := range []int{0, 1, 2, 510, 511, 512, 513, 1023, 1024, 1025, 4095, 4096, 32767, 32768, 32769, 65535, 65536, 65537} {
		m = append(m, file(fmt.Sprintf("size-%05d", n), prose(r, n)))
		if i%3 == 0 {
			m = append(m, file(fmt.Sprintf("noise-%05d", n), noise(r, n)))
		}
	}
	return m
}

func largeMixed() []Member {
	r := seeded(11)
	m := []Member{dir("opt")}
	for i := range 24 {
		m = append(m, file(fmt.Sprintf("opt/part%02d", i), mixed(r, 1000+r.IntN(600<<10))))
	}
	return append(m, file("opt/zeros", make([]byte, 1<<20)), file("opt/noise", noise(r, 1<<20)))
}

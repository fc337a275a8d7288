package fidelity

import (
	"archive/tar"
	"bytes"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"time"
)

// Entry is one member of a generated layer. Content is written for regular files.
type Entry struct {
	tar.Header
	Content string
}

// Case is a generated layer.
type Case struct {
	Name string
	Tar  []byte
}

// Repeats tells whether an entry takes the place of another one, or of a directory in front of another one's name.
func (c Case) Repeats() bool {
	seen := make(map[string]bool)
	for archive := tar.NewReader(bytes.NewReader(c.Tar)); ; {
		h, err := archive.Next()
		if err != nil {
			return false
		}
		name := path.Clean("/" + h.Name)
		if own, found := seen[name]; found && (own || h.Typeflag != tar.TypeDir) {
			return true
		}
		seen[name] = true
		for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
			seen[dir] = seen[dir]
		}
	}
}

const xattr = "SCHILY.xattr."

// moment is when most things were last changed.
var moment = time.Unix(1_600_000_000, 0)

func entry(kind byte, name string, change ...func(*Entry)) Entry {
	e := Entry{Header: tar.Header{Typeflag: kind, Name: name, Mode: 0o640, Uid: 1, Gid: 2, ModTime: moment}}
	switch kind {
	case tar.TypeReg:
		e.Content = "content of " + name
	case tar.TypeSymlink:
		e.Linkname = "target"
	case tar.TypeChar, tar.TypeBlock:
		e.Devmajor, e.Devminor = 4, 5
	case tar.TypeDir:
		e.Mode = 0o750
	}
	for _, f := range change {
		f(&e)
	}
	return e
}

// The changes that are tried on each entry.
func mode(m int64) func(*Entry)       { return func(e *Entry) { e.Mode = m } }
func owner(uid, gid int) func(*Entry) { return func(e *Entry) { e.Uid, e.Gid = uid, gid } }
func when(t time.Time) func(*Entry)   { return func(e *Entry) { e.ModTime = t } }
func to(target string) func(*Entry)   { return func(e *Entry) { e.Linkname = target } }
func device(major, minor int64) func(*Entry) {
	return func(e *Entry) { e.Devmajor, e.Devminor = major, minor }
}
func attribute(name, value string) func(*Entry) {
	return func(e *Entry) {
		if e.PAXRecords == nil {
			e.PAXRecords = make(map[string]string)
		}
		e.PAXRecords[xattr+name] = value
	}
}

// capability is a valid security.capability, revision 2.
const capability = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

var kinds = []byte{tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeFifo, tar.TypeChar, tar.TypeBlock}

// variants are one change each.
var variants = map[string]func(*Entry){
	"setuid":        mode(0o4750),
	"no mode":       mode(0),
	"sticky setgid": mode(0o3777),
	"type bits":     mode(0o100644),
	"dir bits":      mode(0o040644),
	"link bits":     mode(0o120777),
	"root":          owner(0, 0),
	"root group":    owner(1, 0),
	"owner 2^31":    owner(1<<31, 1<<31),
	"owner 2^32-1":  owner(1<<32-1, 7),
	"time 0":        when(time.Unix(0, 0)),
	"time before":   when(time.Unix(-1, 0)),
	"time of 1":     when(time.Unix(-62135596800, 0)),
	"time after":    when(time.Unix(9_300_000_000, 0)),
	"nanoseconds":   when(time.Unix(1_600_000_001, 123_456_789)),
	"user.a":        attribute("user.a", "1"),
	"user.a other":  attribute("user.a", "2"),
	"user.a empty":  attribute("user.a", ""),
	"user.a user.b": func(e *Entry) { attribute("user.a", "1")(e); attribute("user.b", "1")(e) },
	"trusted":       attribute("trusted.a", "1"),
	"capability":    attribute("security.capability", capability),
	"security.x":    attribute("security.x", "1"),
	"system.x":      attribute("system.x", "1"),
	"unknown.x":     attribute("unknown.x", "1"),
	"bare":          attribute("bare", "1"),
	"user. alone":   attribute("user.", "1"),
	"bad cap":       attribute("security.capability", "x"),
	"long value":    attribute("user.a", strings.Repeat("v", 3000)),
	"huge value":    attribute("user.a", strings.Repeat("v", 70_000)),
	"long key":      attribute("user."+strings.Repeat("k", 251), "v"),
	"device 0:0":    device(0, 0),
	"device 0:1":    device(0, 1),
	"large device":  device(0xfff, 0xfffff),
	"huge device":   device(0x1000, 0x100000),
	"no target":     to(""),
	"long target":   to(strings.Repeat("t/", 1500)),
	"huge target":   to(strings.Repeat("t/", 2050)),
}

// spellings of names in the layer.
var spellings = []string{
	"./n", "/n", "n/", "n//", ".//n", "x/../n", "../n", "../../a/../n", "a/./b/n", "a//b/n", "/", ".", "./", "",
	"..", "a/..", "x/..", ".soci-snapshotter", "a/.soci-snapshotter", strings.Repeat("n", 255), strings.Repeat("n", 256),
	"n" + strings.Repeat("/n", 1200), "n" + strings.Repeat("/n", 2040), ".wh.", ".wh..", ".wh...", ".wh..wh.plnk", ".wh..wh.aufs",
	"a/.wh.", ".wh.n", ".wh.low", ".wh.a", "a/.wh.low", "a/.wh..wh..opq", ".wh..wh..opq", ".wh.n/x", ".wh.a/x", "a/.wh..wh..opq/x",
	"n/.wh.x", "n/.wh..wh..opq", ".wh.n/", "a/.wh.b", ".wh.n\nm", "a/b/.wh..wh..opq", ".wh.a/.wh..wh..opq", "a/.wh..wh.x/y", ".whx", "n.wh.",
	"\xff", "é", " ", "n\\x", "...", "..n", "n..",
}

// core are the entries of which all pairs and triples are tried.
func core() map[string]Entry {
	c := make(map[string]Entry)
	for _, kind := range kinds {
		if kind == tar.TypeFifo || kind == tar.TypeBlock {
			continue // as character devices
		}
		for _, name := range []string{"n", "a", "low", "n/x", "a/b"} {
			c[fmt.Sprintf("%c %s", kind, name)] = entry(kind, name)
		}
	}
	for _, name := range []string{".wh.n", ".wh.a", ".wh.low", "a/.wh.b", "a/.wh..wh..opq", "n/.wh..wh..opq", "n/.wh.x", ".wh..wh..opq", "n/x/.wh..wh..opq"} {
		c["w "+name] = Entry{Header: tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}}
	}
	for _, link := range [][2]string{{"h", "n"}, {"h", "n/x"}, {"n", "h"}, {"n", "n"}, {"n", "n/x"}, {"n/x", "n"}, {"low", "n"}, {"h", "low"}, {"h", "a/b"}, {"h", ".wh.n"}, {".wh.n", "n"}, {"h", "/n"}, {"h", "n/"}, {"h", "a/../n"}, {"h/i", "n"}} {
		c["h "+link[0]+" "+link[1]] = entry(tar.TypeLink, link[0], to(link[1]))
	}
	for name, change := range map[string]func(*Entry){
		"root": owner(0, 0), "other": owner(8, 9), "mode": mode(0o4711), "time": when(moment.Add(time.Hour)), "xattr": attribute("user.a", "1"),
	} {
		c["d n "+name] = entry(tar.TypeDir, "n", change)
		c["f n "+name] = entry(tar.TypeReg, "n", change)
		c["h h n "+name] = entry(tar.TypeLink, "h", to("n"), change)
	}
	c["d n/x/y"] = entry(tar.TypeDir, "n/x/y")
	c["f n/x/y"] = entry(tar.TypeReg, "n/x/y")
	c["s n a"] = entry(tar.TypeSymlink, "n", to("a"))
	c["s n /h"] = entry(tar.TypeSymlink, "n", to("/h"))
	c["f h"] = entry(tar.TypeReg, "h")
	c["f h/i"] = entry(tar.TypeReg, "h/i")
	c["d h"] = entry(tar.TypeDir, "h")
	return c
}

// Base is the tar of the layer below: names that upper layers take away, keep and replace.
func Base() []byte {
	return pack(
		entry(tar.TypeDir, "a", mode(0o711), owner(5, 6)), entry(tar.TypeDir, "a/b", owner(7, 7)), entry(tar.TypeReg, "a/b/low"),
		entry(tar.TypeReg, "a/low"), entry(tar.TypeReg, "low", mode(0o600)), entry(tar.TypeDir, "n", owner(9, 9)), entry(tar.TypeReg, "n/low"),
	)
}

// pack writes a tar. What Go's writer refuses has no such layer: nil.
func pack(entries ...Entry) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := e.Header
		h.PAXRecords = make(map[string]string)
		for k, v := range e.PAXRecords {
			h.PAXRecords[k] = v
		}
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(e.Content))
		}
		if h.ModTime.Nanosecond() != 0 || len(h.PAXRecords) > 0 || h.ModTime.Unix() < 0 {
			h.Format = tar.FormatPAX
		}
		if h.Format == tar.FormatPAX && strings.HasSuffix(h.Name, "/") && h.Typeflag != tar.TypeDir {
			return nil
		}
		if err := w.WriteHeader(&h); err != nil {
			return nil
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(e.Content)); err != nil {
				return nil
			}
		}
	}
	if err := w.Close(); err != nil {
		return nil
	}
	return out.Bytes()
}

// Cases hands over all single entries and pairs, and random ones of three to eight.
func Cases(seed uint64, random int, add func(Case)) {
	put := func(name string, entries ...Entry) {
		if content := pack(entries...); content != nil {
			add(Case{name, content})
		}
	}
	all := core()
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for variant, change := range variants {
		for _, kind := range kinds {
			one := fmt.Sprintf("%c %s", kind, variant)
			e, plain := entry(kind, "n", change), entry(kind, "n")
			put(one, e)
			put(one+", again", e, e)
			put("plain, "+one, plain, e)
			put(one+", plain", e, plain)
			put("of root, "+one, entry(kind, "n", owner(0, 0)), e)
			link := e.Header
			link.Typeflag, link.Name, link.Linkname, link.Size = tar.TypeLink, "h", "n", 0
			put(one+", linked alike", e, Entry{Header: link})
			put("plain, linked "+one, plain, Entry{Header: link})
			put(one+", linked plain", e, entry(tar.TypeLink, "h", to("n"), mode(plain.Mode)))
		}
	}
	for _, name := range spellings {
		for _, kind := range kinds {
			put(fmt.Sprintf("%c named %.40q", kind, name), entry(kind, name))
			put(fmt.Sprintf("n, then %c named %.40q", kind, name), entry(tar.TypeReg, "n"), entry(kind, name))
			put(fmt.Sprintf("n/, then %c named %.40q", kind, name), entry(tar.TypeDir, "n"), entry(kind, name))
			put(fmt.Sprintf("%c named %.40q, then n", kind, name), entry(kind, name), entry(tar.TypeReg, "n"))
			put(fmt.Sprintf("%c named %.40q, twice", kind, name), entry(kind, name), entry(kind, name))
		}
		put(fmt.Sprintf("link named %.40q", name), entry(tar.TypeReg, "n"), entry(tar.TypeLink, name, to("n")))
		put(fmt.Sprintf("link to %.40q", name), entry(tar.TypeReg, "n"), entry(tar.TypeLink, "h", to(name)))
		put(fmt.Sprintf("%.40q and a link to it", name), entry(tar.TypeReg, name), entry(tar.TypeLink, "h", to(name)))
		put(fmt.Sprintf("symlink n, link to %.40q", name), entry(tar.TypeSymlink, "n"), entry(tar.TypeLink, "h", to(name)))
		put(fmt.Sprintf("symlink n to a, link to %.40q", name), entry(tar.TypeSymlink, "n", to("a")), entry(tar.TypeReg, "a/b"), entry(tar.TypeLink, "h", to(name)))
	}
	for _, first := range names {
		put(first, all[first])
		for _, second := range names {
			put(first+", "+second, all[first], all[second])
		}
	}
	r := rand.New(rand.NewPCG(seed, 21))
	for i := range random {
		var chosen []Entry
		var text []string
		for range 3 + r.IntN(6)*r.IntN(2) {
			name := names[r.IntN(len(names))]
			text, chosen = append(text, name), append(chosen, all[name])
		}
		put(fmt.Sprintf("random %d: %s", i, strings.Join(text, ", ")), chosen...)
	}
}

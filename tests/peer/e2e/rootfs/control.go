package rootfs

import (
	"fmt"
	"time"
)

// damages change one thing each; each needs a file that has it.
var damages = []struct {
	name  string
	fits  func(*Entry) bool
	spoil func(Tree, string)
}{
	{"a missing file", isFile, func(t Tree, n string) { delete(t, n) }},
	{"a file too many", isFile, func(t Tree, n string) { t[n+".more"] = &Entry{Mode: typeRegular} }},
	{"content", isFile, func(t Tree, n string) { t[n].Sum[0] ^= 1 }},
	{"a read error", isFile, func(t Tree, n string) { t[n].Err = "EIO" }},
	{"size", isFile, func(t Tree, n string) { t[n].Size++ }},
	{"type", isFile, func(t Tree, n string) { t[n].Mode ^= typeRegular ^ typeDirectory }},
	{"permissions", isFile, func(t Tree, n string) { t[n].Mode ^= 0o4000 }},
	{"owner", isFile, func(t Tree, n string) { t[n].UID++ }},
	{"group", isFile, func(t Tree, n string) { t[n].GID++ }},
	{"mtime", isFile, func(t Tree, n string) { t[n].MTime = t[n].MTime.Add(time.Nanosecond) }},
	{"mtime of a directory", isDirectory, func(t Tree, n string) { t[n].MTime = t[n].MTime.Add(time.Second) }},
	{"an attribute more", isFile, func(t Tree, n string) { t[n].Xattrs["user.control"] = "" }},
	{"an attribute's value", hasXattr, func(t Tree, n string) {
		for name := range t[n].Xattrs {
			t[n].Xattrs[name] += "."
		}
	}},
	{"link target", isSymlink, func(t Tree, n string) { t[n].Link += "." }},
	{"device number", isDevice, func(t Tree, n string) { t[n].Device++ }},
	{"a hard link that is a copy", nil, func(t Tree, n string) {
		e := *t[n]
		t[n] = &e
	}},
}

func isFile(e *Entry) bool      { return e.Mode&typeMask == typeRegular && e.Size > 0 }
func isSymlink(e *Entry) bool   { return e.Mode&typeMask == typeSymlink }
func isDirectory(e *Entry) bool { return e.Mode&typeMask == typeDirectory && !e.Implied }
func isDevice(e *Entry) bool    { return e.Device != 0 }
func hasXattr(e *Entry) bool    { return len(e.Xattrs) > 0 }

// Control spoils one thing at a time in a tree that has everything and lists the
// damages that the comparison does not see, or that it could not be shown.
func Control(t Tree) (tried int, problems []string) {
	first := t.firstNames()
	for _, d := range damages {
		spoiled := t.Clone()
		victim := ""
		for _, name := range t.Names() {
			e := t[name]
			if d.fits != nil && d.fits(e) || d.fits == nil && first[e] != name && !isDirectory(e) {
				victim = name
				break
			}
		}
		if victim == "" {
			problems = append(problems, "nothing in the image to spoil: "+d.name)
			continue
		}
		d.spoil(spoiled, victim)
		if len(Differences(t, spoiled)) == 0 {
			problems = append(problems, fmt.Sprintf("%s is not noticed (%s)", d.name, victim))
		}
		tried++
	}
	if found := Differences(t, t.Clone()); len(found) > 0 {
		problems = append(problems, "differences of a tree from itself: "+found[0])
	}
	return tried, problems
}

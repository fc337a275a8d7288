package rootfs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Differences lists what is not as wanted: every path, every attribute, every byte.
func Differences(want, got Tree) []string {
	var found []string
	wantFirst, gotFirst := want.firstNames(), got.firstNames()
	for _, name := range want.Names() {
		w, g := want[name], got[name]
		if g == nil {
			found = append(found, name+": missing")
			continue
		}
		for _, d := range differ(w, g) {
			found = append(found, name+": "+d)
		}
		if w.Mode&typeMask != typeDirectory && wantFirst[w] != gotFirst[g] {
			found = append(found, fmt.Sprintf("%s: the same file as %s, want %s", name, gotFirst[g], wantFirst[w]))
		}
	}
	for _, name := range got.Names() {
		if want[name] == nil {
			found = append(found, name+": not in the image")
		}
	}
	return found
}

// firstNames gives for each file the first of its names. Two trees have the same hard
// links when every path has the same first name in both.
func (t Tree) firstNames() map[*Entry]string {
	first := make(map[*Entry]string, len(t))
	for name, e := range t {
		if f, seen := first[e]; !seen || name < f {
			first[e] = name
		}
	}
	return first
}

func differ(want, got *Entry) []string {
	var found []string
	if got.Err != "" {
		return []string{"cannot be read: " + got.Err}
	}
	if want.Mode&typeMask != got.Mode&typeMask {
		return []string{fmt.Sprintf("mode %o, want %o", got.Mode, want.Mode)}
	}
	if want.Implied {
		return nil
	}
	unlike := func(what string, got, want any) {
		if got != want {
			found = append(found, fmt.Sprintf("%s %v, want %v", what, got, want))
		}
	}
	unlike("mode", fmt.Sprintf("%o", got.Mode), fmt.Sprintf("%o", want.Mode))
	unlike("owner", got.UID, want.UID)
	unlike("group", got.GID, want.GID)
	unlike("size", got.Size, want.Size)
	unlike("link target", got.Link, want.Link)
	unlike("device", got.Device, want.Device)
	if !got.MTime.Equal(want.MTime) {
		unlike("mtime", got.MTime.UTC(), want.MTime.UTC())
	}
	unlike("attributes", describe(got.Xattrs), describe(want.Xattrs))
	if got.Sum != want.Sum {
		found = append(found, fmt.Sprintf("content %x…, want %x…", got.Sum[:6], want.Sum[:6]))
	}
	return found
}

func describe(xattrs map[string]string) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(xattrs)) {
		fmt.Fprintf(&text, "%s=%q ", name, xattrs[name])
	}
	return text.String()
}

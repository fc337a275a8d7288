package images

import (
	"archive/tar"
	"strings"
	"time"
)

// Greeting is what the container's script prints.
const Greeting = "a file of the lazily loaded layer\n"

// capability is CAP_NET_RAW, effective, as `setcap` stores it.
const capability = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// Changes is a layer over packages with everything that a layer can say: whiteouts,
// opaque directories, hard links, special files, owners, modes, attributes, names.
func Changes(out *tar.Writer) error {
	long := strings.Repeat("long-name-", 12)
	deep := strings.Repeat("deep/", 70)
	headers := []struct {
		tar.Header
		content string
	}{
		// Taken away: a file, a directory with all in it, all that a directory had.
		{Header: tar.Header{Name: "etc/"}},
		{Header: tar.Header{Name: "usr/"}},
		{Header: tar.Header{Name: "usr/bin/"}},
		{Header: tar.Header{Name: "usr/bin/.wh.tac"}},
		{Header: tar.Header{Name: "usr/share/"}},
		{Header: tar.Header{Name: "usr/share/doc/"}},
		{Header: tar.Header{Name: "usr/share/doc/.wh.bash"}},
		{Header: tar.Header{Name: "usr/share/doc/coreutils/"}},
		{Header: tar.Header{Name: "usr/share/doc/coreutils/.wh..wh..opq"}},
		{Header: tar.Header{Name: "usr/share/doc/coreutils/kept"}, content: "the only file here\n"},
		{Header: tar.Header{Name: "usr/share/doc/dash/"}, content: ""},
		{Header: tar.Header{Name: "usr/share/doc/dash/.wh.copyright"}},
		// Replaced, by another kind of file too.
		{Header: tar.Header{Name: "usr/bin/dir"}, content: "#!/bin/sh\necho replaced\n"},
		{Header: tar.Header{Name: "usr/bin/vdir/"}},
		{Header: tar.Header{Name: "usr/bin/vdir/inside"}, content: "was a file\n"},
		// A program for containers.
		{Header: tar.Header{Name: "opt/"}},
		{Header: tar.Header{Name: "opt/e2e/", ModTime: time.Unix(0, 0)}},
		{Header: tar.Header{Name: "opt/e2e/greeting"}, content: Greeting},
		{Header: tar.Header{Name: "opt/e2e/greet", Mode: 0o755}, content: "#!/bin/sh\nexec cat /opt/e2e/greeting\n"},
		// Kinds, owners, modes, times.
		{Header: tar.Header{Name: "opt/e2e/setuid", Mode: 0o4755}, content: "setuid\n"},
		{Header: tar.Header{Name: "opt/e2e/setgid", Mode: 0o2755, Gid: 12}, content: "setgid\n"},
		{Header: tar.Header{Name: "opt/e2e/sticky/", Mode: 0o1777}},
		{Header: tar.Header{Name: "opt/e2e/group/", Mode: 0o2775, Uid: 1000, Gid: 3_000_000_000}},
		{Header: tar.Header{Name: "opt/e2e/secret", Mode: 0o600, Uid: 4_000_000_000, Gid: 65534}, content: "secret\n"},
		{Header: tar.Header{Name: "opt/e2e/old", ModTime: time.Unix(1, 0)}, content: "1970\n"},
		{Header: tar.Header{Name: "opt/e2e/future", ModTime: time.Unix(4_102_444_800, 0)}, content: "2100\n"},
		{Header: tar.Header{Name: "opt/e2e/fraction", ModTime: time.Unix(1_700_000_000, 123_456_789)}, content: "nanoseconds\n"},
		{Header: tar.Header{Name: "opt/e2e/empty"}},
		{Header: tar.Header{Name: "opt/e2e/fifo", Typeflag: tar.TypeFifo}},
		{Header: tar.Header{Name: "opt/e2e/null", Typeflag: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: 3}},
		{Header: tar.Header{Name: "opt/e2e/disk", Typeflag: tar.TypeBlock, Mode: 0o660, Devmajor: 259, Devminor: 1}},
		// Links.
		{Header: tar.Header{Name: "opt/e2e/link", Typeflag: tar.TypeSymlink, Linkname: "greeting", Mode: 0o777}},
		{Header: tar.Header{Name: "opt/e2e/absolute", Typeflag: tar.TypeSymlink, Linkname: "/opt/e2e/link", Mode: 0o777}},
		{Header: tar.Header{Name: "opt/e2e/dangling", Typeflag: tar.TypeSymlink, Linkname: "../" + long + long + long, Mode: 0o777}},
		{Header: tar.Header{Name: "opt/e2e/second-name", Typeflag: tar.TypeLink, Linkname: "opt/e2e/greeting"}},
		{Header: tar.Header{Name: "opt/e2e/sticky/third-name", Typeflag: tar.TypeLink, Linkname: "opt/e2e/second-name"}},
		// Names.
		{Header: tar.Header{Name: "opt/e2e/" + long}, content: "long\n"},
		{Header: tar.Header{Name: "opt/e2e/Grüße – 'quoted' \"and\" back\\slash"}, content: "names\n"},
		{Header: tar.Header{Name: "opt/e2e/line\nbreak"}, content: "names\n"},
		// Attributes.
		{Header: tar.Header{Name: "opt/e2e/capable", Mode: 0o755, PAXRecords: xattr("security.capability", capability)}, content: "capable\n"},
		{Header: tar.Header{Name: "opt/e2e/labelled", PAXRecords: xattr("user.one", "1", "user.two", "two\nlines = \"2\"", "user.binary", "\x00\xff\x80")}, content: "labelled\n"},
		{Header: tar.Header{Name: "opt/e2e/labelled-directory/", PAXRecords: xattr("user.directory", "yes")}},
	}
	for i := strings.Index(deep, "/"); i >= 0 && i < len(deep); i += 5 {
		headers = append(headers, struct {
			tar.Header
			content string
		}{Header: tar.Header{Name: "opt/e2e/" + deep[:i+1]}})
	}
	for _, h := range headers {
		if err := entry(out, h.Header, h.content); err != nil {
			return err
		}
	}
	return entry(out, tar.Header{Name: "opt/e2e/" + deep + "file"}, "deep\n")
}

func xattr(pairs ...string) map[string]string {
	records := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		records["SCHILY.xattr."+pairs[i]] = pairs[i+1]
	}
	return records
}

// Opaque is a layer without attributes that hides what a directory had.
func Opaque(out *tar.Writer) error {
	for _, name := range []string{"usr/", "usr/share/", "usr/share/doc/", "usr/share/doc/perl-base/", "usr/share/doc/perl-base/.wh..wh..opq"} {
		if err := entry(out, tar.Header{Name: name}, ""); err != nil {
			return err
		}
	}
	return entry(out, tar.Header{Name: "usr/share/doc/perl-base/only"}, "only\n")
}

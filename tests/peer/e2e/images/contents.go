package images

import (
	"archive/tar"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// moment is the time of files that have none of their own.
var moment = time.Unix(1_700_000_000, 0)

// Tools are the packages of a small system with a shell and Perl.
var Tools = []string{
	"libc6", "libtinfo6", "dash", "bash", "coreutils", "libacl1", "libattr1", "libselinux1", "libpcre2-8-0", "libgmp10",
	"libcrypt1", "zlib1g", "perl-base",
}

// Debian are the packages of a larger one, with setuid programs and thousands of small files.
var Debian = append([]string{
	"base-files", "debianutils", "diffutils", "findutils", "gcc-12-base", "grep", "gzip", "hostname", "libbz2-1.0", "libc-bin",
	"libgcc-s1", "liblzma5", "libpam0g", "libssl3", "libstdc++6", "login", "mount", "ncurses-base", "ncurses-bin",
	"passwd", "perl-modules-5.36", "sed", "tar", "util-linux", "libpython3.11-stdlib",
}, Tools...)

// Java is the runtime's package.
var Java = []string{"openjdk-17-jre-headless"}

// packages is a tar of packages.
func packages(dir string, base bool, names []string) func(*tar.Writer) error {
	return func(out *tar.Writer) error {
		files, err := debs(dir, names...)
		if err != nil {
			return err
		}
		u := &unpacker{out, make(map[string]bool)}
		if base {
			if err := u.root(); err != nil {
				return err
			}
		}
		for _, file := range files {
			if err := u.add(file); err != nil {
				return err
			}
		}
		return nil
	}
}

// entry writes a header with what tests do not care about filled in, and its content.
func entry(out *tar.Writer, h tar.Header, content string) error {
	h.Format = tar.FormatPAX
	h.Size = int64(len(content))
	if h.Typeflag == 0 {
		h.Typeflag = tar.TypeReg
		if strings.HasSuffix(h.Name, "/") {
			h.Typeflag = tar.TypeDir
		}
	}
	if h.Mode == 0 {
		h.Mode = 0o644
		if h.Typeflag == tar.TypeDir {
			h.Mode = 0o755
		}
	}
	if h.ModTime.IsZero() {
		h.ModTime = moment
	}
	if err := out.WriteHeader(&h); err != nil {
		return err
	}
	_, err := out.Write([]byte(content))
	return err
}

// words is text of some length, other text for each seed.
func words(seed uint64, length int) string {
	random := rand.New(rand.NewPCG(seed, 1))
	var text strings.Builder
	for text.Len() < length {
		text.WriteString(strconv.FormatUint(random.Uint64N(1_000_000), 36))
		text.WriteByte(" \n"[random.IntN(2)])
	}
	return text.String()[:length]
}

// Unique is a small layer of some spans, other bytes for each seed.
func Unique(seed uint64) func(*tar.Writer) error {
	return func(out *tar.Writer) error {
		if err := entry(out, tar.Header{Name: "data/"}, ""); err != nil {
			return err
		}
		for i, size := range []int{0, 1, 511, 70_000, 200_000, 300, 90_000} {
			h := tar.Header{Name: "data/file-" + strconv.Itoa(i)}
			if err := entry(out, h, words(seed<<8+uint64(i), size)); err != nil {
				return err
			}
		}
		return nil
	}
}

// Tiny is a layer of some hundred bytes, other bytes for each seed.
func Tiny(seed uint64) func(*tar.Writer) error {
	return func(out *tar.Writer) error {
		return entry(out, tar.Header{Name: "tiny"}, words(seed, 100))
	}
}

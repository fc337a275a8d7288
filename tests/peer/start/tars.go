package main

import (
	"archive/tar"
	"archive/zip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// moment is the time of all files, so that a layer has the same bytes whenever it is made.
var moment = time.Unix(1_700_000_000, 0)

// layer writes files under a directory of the image, for one owner.
type layer struct {
	out   *tar.Writer
	owner int
	made  map[string]bool
}

func newLayer(out *tar.Writer, owner int) *layer { return &layer{out, owner, make(map[string]bool)} }

// header writes an entry and, before it, directories above it that have none yet. Those are root's.
func (l *layer) header(h tar.Header) error {
	name := strings.TrimSuffix(h.Name, "/")
	if parent := path.Dir(name); parent != "." && !l.made[parent] {
		owner := l.owner
		l.owner = 0
		err := l.header(tar.Header{Typeflag: tar.TypeDir, Name: parent + "/", Mode: 0o755})
		l.owner = owner
		if err != nil {
			return err
		}
	}
	if h.Typeflag == tar.TypeDir {
		if l.made[name] {
			return nil
		}
		l.made[name] = true
	}
	h.Format, h.ModTime, h.Uid, h.Gid = tar.FormatPAX, moment, l.owner, l.owner
	return l.out.WriteHeader(&h)
}

// directory makes a directory of the owner.
func (l *layer) directory(name string, mode int64) error {
	return l.header(tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode})
}

// file writes a file with this content.
func (l *layer) file(name string, mode int64, content []byte) error {
	err := l.header(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))})
	if err != nil {
		return err
	}
	_, err = l.out.Write(content)
	return err
}

// tree copies what is below a directory.
func (l *layer) tree(dir, to string) error {
	return l.treeWithout(dir, to, func(string) bool { return false })
}

// treeWithout leaves out the names in the directory itself that are to be skipped.
func (l *layer) treeWithout(dir, to string, skip func(name string) bool) error {
	return filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		if skip(below) && d.IsDir() {
			return filepath.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name := path.Join(to, filepath.ToSlash(below))
		switch {
		case d.IsDir() && name == ".":
			return nil
		case d.IsDir():
			return l.directory(name, int64(info.Mode().Perm()))
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(file)
			if err != nil {
				return err
			}
			return l.header(tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777})
		default:
			in, err := os.Open(file)
			if err != nil {
				return err
			}
			defer in.Close()
			return l.copy(name, info, in)
		}
	})
}

// zip copies what is in an archive, without the directory that all of it is in. What skip names is left out.
func (l *layer) zip(archive, to string, skip string) error {
	in, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer in.Close()
	for _, f := range in.File {
		_, below, _ := strings.Cut(f.Name, "/")
		name := path.Join(to, below)
		if f.FileInfo().IsDir() {
			err = l.directory(name, 0o755)
		} else if below != skip {
			err = l.member(name, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *layer) member(name string, f *zip.File) error {
	in, err := f.Open()
	if err != nil {
		return err
	}
	return errors.Join(l.copy(name, f.FileInfo(), in), in.Close())
}

func (l *layer) copy(name string, info fs.FileInfo, in io.Reader) error {
	err := l.header(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size()})
	if err != nil {
		return err
	}
	_, err = io.Copy(l.out, in)
	return err
}

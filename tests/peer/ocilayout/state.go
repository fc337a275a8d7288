package ocilayout

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// State is everything about the files of a layout that a program might change.
type State map[string]FileState

// FileState is one file or directory.
type FileState struct {
	Mode  fs.FileMode
	Size  int64
	Time  time.Time
	Inode uint64
	Sum   [sha256.Size]byte
}

// StateOf records a layout. Directories count with their mode only: a temporary file
// that came and went may leave a new time.
func StateOf(dir string) (State, error) {
	state := make(State)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		s := FileState{Mode: info.Mode()}
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			s.Size, s.Time, s.Sum = info.Size(), info.ModTime(), sha256.Sum256(b)
			if sys, ok := info.Sys().(*syscall.Stat_t); ok {
				s.Inode = sys.Ino
			}
		}
		name, err := filepath.Rel(dir, path)
		state[name] = s
		return err
	})
	return state, err
}

// Contents drops what a copy of the layout does not have in common with it.
func (s State) Contents() State {
	out := make(State, len(s))
	for name, f := range s {
		f.Time, f.Inode = time.Time{}, 0
		out[name] = f
	}
	return out
}

// Diff tells what is different now.
func (s State) Diff(now State) []string {
	var diff []string
	for name, was := range s {
		is, there := now[name]
		switch {
		case !there:
			diff = append(diff, name+": gone")
		case is.Sum != was.Sum || is.Size != was.Size:
			diff = append(diff, name+": other content")
		case is != was:
			diff = append(diff, fmt.Sprintf("%s: was %v %v inode %d, is %v %v inode %d",
				name, was.Mode, was.Time, was.Inode, is.Mode, is.Time, is.Inode))
		}
	}
	for name := range now {
		if _, there := s[name]; !there {
			diff = append(diff, name+": new")
		}
	}
	slices.Sort(diff)
	return diff
}

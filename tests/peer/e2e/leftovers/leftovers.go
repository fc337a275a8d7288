// Package leftovers finds what a run has left on the machine: mounts in whatever mount
// namespace, processes, files, control groups.
package leftovers

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroups is where control groups are, of version 1 or 2.
const cgroups = "/sys/fs/cgroup"

// Run is what a run can be known by.
type Run struct {
	// Folder has a name of its own, which all sockets, mounts and arguments have in them.
	Folder string
	// Namespace is the PID namespace of its processes, "" if there is none.
	Namespace string
}

// NamespaceOf names the PID namespace that a process lives in.
func NamespaceOf(pid int) (string, error) {
	return os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
}

// Find lists everything there is of a run, save the folder itself.
func (r Run) Find() []string {
	return append(r.alive(), r.Files()...)
}

func (r Run) alive() []string { return append(r.Mounts(), r.Processes()...) }

// Gone waits until no mount and no process is left and lists what stays. The kernel takes
// namespaces down some time after their last process.
func (r Run) Gone(limit time.Duration) []string {
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		found := r.alive()
		if len(found) == 0 || time.Now().After(end) {
			return found
		}
	}
}

// Files lists files and control groups.
func (r Run) Files() []string {
	var found []string
	entries, _ := os.ReadDir(r.Folder)
	for _, e := range entries {
		found = append(found, "file "+filepath.Join(r.Folder, e.Name()))
	}
	for _, dir := range r.groups() {
		found = append(found, "control group "+dir)
	}
	return found
}

// Mounts lists mounts of the run, as any process on the machine sees them.
func (r Run) Mounts() []string {
	var found []string
	seen := make(map[string]bool)
	for _, pid := range processes() {
		for _, line := range lines(fmt.Sprintf("/proc/%d/mountinfo", pid)) {
			if strings.Contains(line, r.Folder) && !seen[line] {
				seen[line] = true
				found = append(found, "mount "+line)
			}
		}
	}
	return found
}

// Processes lists processes of the run, by their namespace, arguments or directory.
func (r Run) Processes() []string {
	var found []string
	for _, pid := range processes() {
		if pid == os.Getpid() {
			continue
		}
		arguments, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		directory, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		namespace, _ := NamespaceOf(pid)
		if strings.Contains(string(arguments), r.Folder) || strings.Contains(directory, r.Folder) ||
			r.Namespace != "" && namespace == r.Namespace {
			text := strings.ReplaceAll(strings.TrimRight(string(arguments), "\x00"), "\x00", " ")
			found = append(found, fmt.Sprintf("process %d %s", pid, text))
		}
	}
	return found
}

// groups are the control groups of the run's containers: they are named like its folder.
func (r Run) groups() []string {
	var found []string
	for depth := 1; depth <= 3; depth++ {
		pattern := cgroups + strings.Repeat("/*", depth-1) + "/" + filepath.Base(r.Folder)
		dirs, _ := filepath.Glob(pattern)
		found = append(found, dirs...)
	}
	return found
}

// RemoveGroups removes control groups without processes. The runtime removes those of its
// containers, not the one around them.
func (r Run) RemoveGroups() {
	for _, group := range r.groups() {
		inner, _ := filepath.Glob(group + "/*/cgroup.procs")
		for _, file := range append(inner, group+"/cgroup.procs") {
			_ = unix.Rmdir(filepath.Dir(file))
		}
	}
}

// Sweep removes files and control groups; mounts and processes it leaves alone.
func (r Run) Sweep() error {
	r.RemoveGroups()
	if mounts := r.Mounts(); len(mounts) > 0 {
		return fmt.Errorf("files stay, as there is still a mount: %s", mounts[0])
	}
	return os.RemoveAll(r.Folder)
}

func processes() []int {
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func lines(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil // it has ended
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

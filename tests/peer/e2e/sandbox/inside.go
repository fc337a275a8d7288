package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"soci-layout.test/peer/e2e/host"
	"soci-layout.test/peer/e2e/leftovers"
)

// CannotRun says why nothing can be run here at all, "" if it can.
func CannotRun() string {
	if os.Geteuid() != 0 {
		return "it mounts file systems, which needs root"
	}
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return "it needs FUSE: " + err.Error()
	}
	device.Close()
	return ""
}

// Private makes mounts of the run's own: nothing of it is seen outside, /proc shows its
// processes only, and /run, where runtimes put their sockets, is empty.
func Private() error {
	loopback, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(loopback)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(loopback, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"run", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV},
	} {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("mount of %s: %w", m.target, err)
		}
	}
	return nil
}

// Clear ends what is still there of a run, and says what did not end by itself.
func Clear(folder string) error {
	errs := []error{endProcesses()}
	for _, point := range host.MountsBelow(folder) {
		errs = append(errs, fmt.Errorf("still mounted: %s", point), unix.Unmount(point, unix.MNT_DETACH))
	}
	leftovers.Run{Folder: folder}.RemoveGroups()
	entries, err := os.ReadDir(folder)
	errs = append(errs, err)
	for _, e := range entries {
		errs = append(errs, os.RemoveAll(filepath.Join(folder, e.Name())))
	}
	return errors.Join(errs...)
}

// endProcesses ends what is still there. All processes of this namespace are the run's.
func endProcesses() error {
	var errs []error
	entries, err := os.ReadDir("/proc")
	errs = append(errs, err)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		command, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "comm"))
		if state, _ := os.Readlink(filepath.Join("/proc", e.Name(), "exe")); state == "" {
			continue // it has ended, and only its exit status waits
		}
		errs = append(errs, fmt.Errorf("still running: %s", command), syscall.Kill(pid, syscall.SIGKILL))
	}
	time.Sleep(10 * time.Millisecond * time.Duration(len(errs)-1))
	return errors.Join(errs...)
}

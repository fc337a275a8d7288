package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"soci-layout.test/peer/e2e/host"
	"soci-layout.test/peer/e2e/images"
	"soci-layout.test/peer/e2e/leftovers"
	"soci-layout.test/peer/e2e/registry"
)

// bench is everything that checks work with.
type bench struct {
	*tally
	ctx    context.Context
	folder string
	tools  host.Tools
	store  *images.Store

	// stack may use both versions of the index.
	stack        *host.Stack
	distribution *host.Distribution
	// plain has no referrers API, referrers has it.
	plain, referrers *registry.Registry

	number int
	// The image of real packages: every layer indexed (java makes it), and without options
	// (asUsual).
	large, usual *image
}

// inside does the work, as the first process of its namespaces.
func inside(o options) int {
	folder := os.Getenv(insideVariable)
	ignorePipe()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	ctx, cancel = context.WithTimeoutCause(ctx, o.limit, errors.New("the run takes too long"))
	defer cancel()
	syscall.CloseOnExec(3)
	events := json.NewEncoder(os.NewFile(3, "events"))

	b := &bench{tally: newTally(o, os.Stdout), ctx: ctx, folder: folder}
	b.ended = func() error { return context.Cause(ctx) }
	if err := b.run(events); err != nil {
		b.report("the programs of the run", 0, []string{err.Error()})
	}
	if err := b.ended(); err != nil {
		b.report("all checks", 0, []string{"the rest is left out: " + err.Error()})
	}
	_ = events.Encode(event{Done: true, Passed: b.passed, Failed: b.failed})
	if b.failed > 0 {
		return failed
	}
	return passed
}

func (b *bench) run(events *json.Encoder) (err error) {
	defer func() {
		// Also when what is below panics.
		err = errors.Join(err, b.close())
		if r := recover(); r != nil {
			err = errors.Join(err, fmt.Errorf("panic: %v", r))
		}
	}()
	if err := private(); err != nil {
		return err
	}
	if err := b.open(); err != nil {
		return err
	}
	switch b.stage {
	case "":
		b.forms()
		b.contents()
		b.shapes()
		b.prefetch()
		b.negative()
		b.containers()
		return nil
	default:
		return b.interrupt(events)
	}
}

// private makes mounts of the run's own: nothing of it is seen outside, /proc shows its
// processes only, and /run, where runtimes put their sockets, is empty.
func private() error {
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

// open starts the registries and the runtime.
func (b *bench) open() (err error) {
	if b.tools, err = findTools(filepath.Base(b.folder)); err != nil {
		return err
	}
	if b.store, err = images.NewStore(cacheDir(), b.folder); err != nil {
		return err
	}
	if b.distribution, err = host.NewDistribution(b.ctx, b.folder); err != nil {
		return err
	}
	if b.plain, err = registry.Front(b.distribution.Host, new(registry.Throttle)); err != nil {
		return err
	}
	if b.referrers, err = registry.Referrers(); err != nil {
		return err
	}
	b.stack, err = host.NewStack(b.ctx, b.folder, b.tools, host.Mode{V1: true, V2: true})
	return err
}

// close ends everything in order and says what did not end by itself.
func (b *bench) close() error {
	var errs []error
	if b.stack != nil {
		errs = append(errs, b.stack.Close())
	}
	for _, r := range []*registry.Registry{b.plain, b.referrers} {
		if r != nil {
			errs = append(errs, r.Close())
		}
	}
	if b.distribution != nil {
		errs = append(errs, b.distribution.Close())
	}
	errs = append(errs, endProcesses())
	for _, point := range host.MountsBelow(b.folder) {
		errs = append(errs, fmt.Errorf("still mounted: %s", point), unix.Unmount(point, unix.MNT_DETACH))
	}
	leftovers.Run{Folder: b.folder}.RemoveGroups()
	entries, err := os.ReadDir(b.folder)
	errs = append(errs, err)
	for _, e := range entries {
		errs = append(errs, os.RemoveAll(filepath.Join(b.folder, e.Name())))
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

// interrupt pulls an image, then panics or waits to be killed.
func (b *bench) interrupt(events *json.Encoder) error {
	image, err := b.unique("go-6", nil)
	if err != nil {
		return err
	}
	p, problems := b.pull(image, b.plain, "oras")
	if len(problems) > 0 {
		return errors.New(problems[0])
	}
	if err := events.Encode(event{Ready: true}); err != nil {
		return err
	}
	if b.stage == "panic" {
		panic("on purpose, with " + p.ref)
	}
	<-b.ctx.Done()
	return b.ctx.Err()
}

// findTools looks for every program at once.
func findTools(name string) (host.Tools, error) {
	t := host.Tools{Bin: os.Getenv("SOCI_TOOLS"), Snapshotter: os.Getenv("SOCI_SNAPSHOTTER"), Program: os.Getenv("SOCI_LAYOUT"), Namespace: name}
	for _, variable := range []*string{&t.Bin, &t.Snapshotter, &t.Program} {
		full, err := filepath.Abs(*variable)
		if *variable == "" || err != nil {
			return t, errors.New("SOCI_TOOLS, SOCI_SNAPSHOTTER and SOCI_LAYOUT name the programs; `make e2e` sets them")
		}
		*variable = full
	}
	if err := os.Setenv("PATH", t.Bin+":"+os.Getenv("PATH")); err != nil {
		return t, err
	}
	return t, allThere(t)
}

func cacheDir() string {
	if dir := os.Getenv("SOCI_E2E_CACHE"); dir != "" {
		return dir
	}
	return filepath.Join("..", "..", ".work", "e2e")
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"soci-layout.test/peer/e2e/host"
	"soci-layout.test/peer/e2e/images"
	"soci-layout.test/peer/e2e/registry"
	"soci-layout.test/peer/e2e/sandbox"
)

const platform = "linux/" + runtime.GOARCH

// bench is what measuring works with.
type bench struct {
	options
	ctx           context.Context
	folder, cache string
	tools         host.Tools
	materials     *materials
	distribution  *host.Distribution
}

// inside measures, as the first process of its namespaces.
func inside(o options) (err error) {
	sandbox.IgnorePipe()
	b := &bench{options: o, folder: sandbox.Folder()}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	b.ctx, cancel = context.WithTimeoutCause(ctx, o.limit, errors.New("the run takes too long"))
	defer cancel()
	defer func() {
		if b.distribution != nil {
			err = errors.Join(err, b.distribution.Close())
		}
		err = errors.Join(err, sandbox.Clear(b.folder))
		if b.memory {
			err = errors.Join(err, unix.Unmount(b.folder, 0))
		}
	}()
	if err := sandbox.Private(); err != nil {
		return err
	}
	if b.memory {
		if err := unix.Mount("tmpfs", b.folder, "tmpfs", 0, ""); err != nil {
			b.memory = false
			return fmt.Errorf("a file system in memory: %w", err)
		}
	}
	if err := b.open(); err != nil {
		return err
	}
	for _, i := range all {
		if !o.only.MatchString(i.name) {
			continue
		}
		if err := b.image(i); err != nil {
			return fmt.Errorf("%s: %w", i.name, err)
		}
	}
	return nil
}

func (b *bench) open() (err error) {
	if b.cache, err = cacheDir(); err != nil {
		return err
	}
	if b.tools, err = host.FindTools(filepath.Base(b.folder)); err != nil {
		return err
	}
	store, err := images.NewStore(b.cache, b.folder)
	if err != nil {
		return err
	}
	b.materials = &materials{dir: b.cache, store: store}
	b.distribution, err = host.NewDistribution(b.ctx, b.folder)
	return err
}

// image measures one image in all ways.
func (b *bench) image(i image) error {
	dir := filepath.Join(b.folder, "layout-"+i.name)
	if err := b.materials.write(i, dir); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := b.push(i, dir, "plain"); err != nil {
		return err
	}
	for _, form := range []struct{ tag, platform string }{{"platformless", "unknown"}, {"soci", "image"}} {
		if err := b.pushIndexed(i, dir, form.tag, "--v2-platform", form.platform); err != nil {
			return err
		}
	}
	recorded, err := b.record(i)
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	for _, form := range []struct{ tag, platform string }{{"prefetch-platformless", "unknown"}, {"prefetch", "image"}} {
		if err := b.pushIndexed(i, dir, form.tag, append(recorded, "--v2-platform", form.platform)...); err != nil {
			return err
		}
	}
	for _, l := range b.links {
		for n := range b.runs {
			for _, v := range variants {
				if !b.variants.MatchString(v.name) {
					continue
				}
				slow := &registry.Throttle{BytesPerSecond: l.megabytes * 1e6, Latency: latency, PerConnection: true}
				before := load()
				m, err := b.once(i, v, slow)
				if err != nil {
					return fmt.Errorf("%s, %v, run %d: %w", v.name, l, n+1, err)
				}
				r := row{time.Now().UTC(), i.name, l.megabytes, v.name, n + 1, m.pulled, m.started, m.ready, m.waited, before}
				fmt.Println(r.String())
				log := fmt.Sprintf("%s-%s-%g.log", i.name, v.name, l.megabytes) // of the last run
				if err := errors.Join(r.append(b.rows), registry.Write(filepath.Join(b.cache, log), m.log)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *bench) pushIndexed(i image, dir, tag string, args ...string) error {
	args = slices.Concat([]string{"index", "--quiet", dir}, args, b.index)
	if _, err := host.Command(b.ctx, b.tools.Program, args...); err != nil {
		return err
	}
	return b.push(i, dir, tag)
}

func (b *bench) push(i image, dir, tag string) error {
	_, err := host.Command(b.ctx, filepath.Join(b.tools.Bin, "crane"), "push", dir, b.distribution.Host+"/"+i.name+":"+tag)
	return err
}

// record runs the image once, lazily, and keeps which ranges of blobs were asked for until it was ready. It gives
// the options with which these become a list, none where nothing was loaded lazily.
func (b *bench) record(i image) ([]string, error) {
	m, err := b.once(i, lazily, new(registry.Throttle))
	if err != nil {
		return nil, err
	}
	file := filepath.Join(b.cache, i.name+".log")
	some := slices.ContainsFunc(m.log, func(r registry.Request) bool { return r.Range != "" })
	if err := registry.Write(file, m.log); err != nil || !some {
		return nil, err
	}
	return []string{"--prefetch-trace", file}, nil
}

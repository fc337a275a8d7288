package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"soci-layout.test/peer/e2e/host"
	"soci-layout.test/peer/e2e/images"
	"soci-layout.test/peer/e2e/registry"
	"soci-layout.test/peer/e2e/sandbox"
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
	folder := sandbox.Folder()
	sandbox.IgnorePipe()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	ctx, cancel = context.WithTimeoutCause(ctx, o.limit, errors.New("the run takes too long"))
	defer cancel()
	events := sandbox.Events()

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
	if err := sandbox.Private(); err != nil {
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

// open starts the registries and the runtime.
func (b *bench) open() (err error) {
	if b.tools, err = host.FindTools(filepath.Base(b.folder)); err != nil {
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
	errs = append(errs, sandbox.Clear(b.folder))
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

func cacheDir() string {
	if dir := os.Getenv("SOCI_E2E_CACHE"); dir != "" {
		return dir
	}
	return filepath.Join("..", "..", ".work", "e2e")
}

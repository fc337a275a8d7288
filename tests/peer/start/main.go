// Command start measures how soon services of real images are pulled, started and ready: unpacked by containerd,
// loaded lazily by the reference's snapshotter, and lazily with prefetch lists of a recorded run.
// README.md tells how.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"soci-layout.test/peer/e2e/sandbox"
)

// Exit codes.
const (
	passed = iota
	failed
	wrongUsage
)

// options are those of the command line.
type options struct {
	runs int
	only *regexp.Regexp
	// variants are those to be measured.
	variants *regexp.Regexp
	links    []link
	// index are further options of `soci-layout index`.
	index []string
	// rows is the file that keeps every single measurement.
	rows  string
	limit time.Duration
	// memory keeps what containerd and the snapshotter write in memory.
	memory bool
}

// link is a line between runtime and registry: of each connection.
type link struct{ megabytes float64 }

// latency of each request, on all links.
const latency = 10 * time.Millisecond

func (l link) String() string { return fmt.Sprintf("%g MB/s", l.megabytes) }

func main() { os.Exit(run()) }

func run() int {
	var o options
	only := flag.String("only", "", "only images whose name matches this regular expression")
	variant := flag.String("variant", "", "only ways to start whose name matches: "+strings.Join(names(), ", "))
	links := flag.String("link", "12.5,100", "megabytes a second of each connection, several behind commas")
	report := flag.String("report", "", "measure nothing: print the table of this file of rows")
	flag.IntVar(&o.runs, "runs", 5, "how often each start is measured")
	index := flag.String("index", "", "further options of `soci-layout index`, as --span-size 1048576")
	flag.StringVar(&o.rows, "rows", "", "file that keeps each measurement (default: one in the cache, named after the time)")
	flag.BoolVar(&o.memory, "memory", false, "what containerd and the snapshotter write is kept in memory, not on a disk that others use")
	flag.DurationVar(&o.limit, "limit", 3*time.Hour, "when to give up")
	flag.Parse()
	var err error
	var fails error
	o.index = strings.Fields(*index)
	o.only, err = regexp.Compile(*only)
	o.variants, fails = regexp.Compile(*variant)
	err = errors.Join(err, fails)
	for text := range strings.SplitSeq(*links, ",") {
		speed, fails := strconv.ParseFloat(text, 64)
		err = errors.Join(err, fails)
		if fails == nil && speed <= 0 {
			err = errors.Join(err, fmt.Errorf("no speed: %s", text))
		}
		o.links = append(o.links, link{speed})
	}
	if err != nil || flag.NArg() > 0 || o.runs < 1 {
		fmt.Fprintln(os.Stderr, "start:", err)
		flag.Usage()
		return wrongUsage
	}
	if *report != "" {
		return told(printTable(*report))
	}
	if sandbox.Folder() != "" {
		return told(inside(o))
	}
	return told(outside(o))
}

func names() []string {
	var names []string
	for _, v := range variants {
		names = append(names, v.name)
	}
	return names
}

func told(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "start:", err)
		return failed
	}
	return passed
}

func cacheDir() (string, error) {
	dir := os.Getenv("SOCI_START_CACHE")
	if dir == "" {
		return "", errors.New("SOCI_START_CACHE names a directory; `make start` sets it")
	}
	return dir, nil
}

// outside fetches what the images are made of, has a worker measure, and prints the table.
func outside(o options) error {
	if why := sandbox.CannotRun(); why != "" {
		fmt.Printf("start: LEFT OUT, nothing was measured: %s\n", why)
		return nil
	}
	runtime.LockOSThread()
	sandbox.IgnorePipe()
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	peer, err := os.Getwd()
	if err == nil {
		f := fetcher{ctx: ctx, cache: cache, peer: peer}
		err = f.all(func(name string) bool { return o.only.MatchString(name) })
	}
	cancel()
	if err != nil {
		return err
	}
	if o.rows == "" {
		o.rows = filepath.Join(cache, "rows-"+time.Now().UTC().Format("20060102-150405")+".tsv")
	}
	w, err := sandbox.Start(append(slices.Clone(os.Args[1:]), "-rows", o.rows), os.Stdout)
	if err != nil {
		return err
	}
	finished := make(chan struct{})
	w.Watch(finished, o.limit)
	err = w.Command.Wait()
	close(finished)
	err = errors.Join(err, gone(w), w.Sweep())
	if _, none := os.Stat(o.rows); none != nil {
		return errors.Join(err, none)
	}
	return errors.Join(err, printTable(o.rows))
}

// gone waits until the kernel has cleared the namespaces up.
func gone(w *sandbox.Worker) error {
	if left := w.Gone(20 * time.Second); len(left) > 0 {
		return fmt.Errorf("left: %s", strings.Join(left, "; "))
	}
	return nil
}

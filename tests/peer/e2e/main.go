// Command e2e shows that images indexed by soci-layout load lazily and rightly in the real
// consumer: containerd with the reference's snapshotter through FUSE. README.md tells how.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
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
	only *regexp.Regexp
	runs int
	// stage ends a run on purpose once everything is up; see cleanup.go.
	stage   string
	verbose bool
	limit   time.Duration
}

func main() {
	os.Exit(run())
}

func run() int {
	only := flag.String("only", "", "only checks whose name matches this regular expression")
	var o options
	flag.IntVar(&o.runs, "runs", 1, "how often each start of a container is timed; 3 or more give medians to quote")
	flag.StringVar(&o.stage, "stage", "", "for the checks of the clean-up: kill or panic")
	flag.BoolVar(&o.verbose, "v", false, "all problems of a check, not the first ones")
	flag.DurationVar(&o.limit, "limit", 20*time.Minute, "when to give up")
	flag.Parse()
	var err error
	if o.only, err = regexp.Compile(*only); err != nil || flag.NArg() > 0 || o.runs < 1 {
		flag.Usage()
		return wrongUsage
	}
	if sandbox.Folder() != "" {
		return inside(o)
	}
	if why := sandbox.CannotRun(); why != "" {
		fmt.Printf("e2e: LEFT OUT, nothing was shown: %s\n", why)
		return passed
	}
	return supervise(o)
}

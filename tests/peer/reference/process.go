package reference

import (
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/awslabs/soci-snapshotter/soci"
	"github.com/containerd/log"
)

func init() {
	time.Local = time.UTC
	// The libraries below log what they do; only their results are of interest.
	if err := log.SetLevel("fatal"); err != nil {
		panic(err)
	}
}

// silence sends the reference's progress lines, which it prints on standard
// output, to standard error or nowhere. The result undoes it.
func silence() (restore func()) {
	chatterLock.Lock()
	stdout := os.Stdout
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err == nil {
		os.Stdout = null
	}
	return func() {
		os.Stdout = stdout
		if err == nil {
			null.Close()
		}
		chatterLock.Unlock()
	}
}

// chatterLock also makes conversions wait for each other: there is one standard
// output, and one artifacts database per process.
var chatterLock sync.Mutex

// artifactsDB opens the reference's database of artifacts. The library keeps one
// per process whatever path it is given, so the path is a directory that is gone
// again at once: the open file is enough.
var artifactsDB = sync.OnceValues(func() (*soci.ArtifactsDb, error) {
	dir, err := os.MkdirTemp("", "soci-artifacts-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	return soci.NewDB(soci.ArtifactsDbPath(filepath.Clean(dir)))
})

package push

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// The program's own push, check, index, verify and --cache-from on more registries than those that the other tests use:
// distribution 3, and one that runs already where SOCI_REGISTRY says (HOST:PORT), such as zot.

func onOthers(t *testing.T, run func(*testing.T, Repo)) {
	t.Run("distribution-3", func(t *testing.T) { run(t, Repo{startDistribution3(t), "app"}) })
	host := os.Getenv("SOCI_REGISTRY")
	if host == "" {
		return
	}
	t.Run(host, func(t *testing.T) {
		name := strings.NewReplacer("/", "-", ".", "-", ":", "-").Replace(strings.ToLower(t.Name()))
		repo := Repo{&Registry{Host: host}, fmt.Sprintf("%s/r%d", name, time.Now().UnixNano())}
		_, status, err := repo.get("referrers/sha256:" + strings.Repeat("0", 64))
		if err != nil {
			t.Fatal(err)
		}
		repo.HasReferrers = status == http.StatusOK
		run(t, repo)
	})
}

// What is pushed arrives whole, the consumer finds it, and check finds nothing wrong.
func TestOthersTakeWhatIsPushed(t *testing.T) {
	for _, f := range forms {
		onOthers(t, func(t *testing.T, repo Repo) {
			l, g, _ := pushedBy(t, own, "multi-attest", f.name, repo)
			g.Tags = g.Tags[:1]
			if problems := checkPush(t.Context(), repo, l, g, f, Outcome{}, t.TempDir()); len(problems) > 0 {
				t.Error(problems)
			}
			wantMistakes(t, checked(t, repo.Ref(tagOf(g.Tags[0]))))
			// All of it is there the second time.
			out, err := run(t, mustOwn(t), "push", "-q", "--json", "--progress", "quiet", l.Dir+":"+g.Tags[0], repo.Ref(tagOf(g.Tags[0])))
			if err != nil || !strings.Contains(out, `"blobs_sent": 0`) || !strings.Contains(out, `"manifests_sent": 0`) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func TestOthersAreIndexed(t *testing.T) {
	for _, fx := range []string{"multi-attest", "docker-mediatypes"} {
		for _, f := range forms {
			onOthers(t, func(t *testing.T, repo Repo) { wantWhatPushGives(t, repo, fx, f) })
		}
	}
}

func TestOthersGiveTheirZtocs(t *testing.T) {
	for _, fm := range []string{"v2", "v1-tagged"} {
		onOthers(t, func(t *testing.T, repo Repo) { wantReused(t, repo, fm) })
	}
}

func TestOthersMount(t *testing.T) { onOthers(t, wantMounts) }

// What a clean-up deleted is told.
func TestOthersTellWhatWasDeleted(t *testing.T) {
	onOthers(t, func(t *testing.T, repo Repo) {
		_, g, _ := pushedBy(t, own, "made-single", "v2", repo)
		remove(t, repo, "manifests/"+g.Images[0].V2.Desc.Digest.String())
		found := checked(t, repo.Ref("v1"))
		if len(found) == 0 || found[0].Mistake != "index-deleted" {
			t.Errorf("%+v", found)
		}
	})
}

package peer_test

import (
	"strings"
	"testing"

	"soci-layout.test/peer/ocilayout"
)

// The result depends on the layout and the options alone: not on the number of jobs,
// nor on the time zone. And there is nothing left to do for a second run.
func TestSameResultEverywhere(t *testing.T) {
	eachFixture(t, func(t *testing.T, from string, _ golden) {
		stable(t, func(t *testing.T) string { return fixtureCopy(t, from) })
	})
	t.Run("corpus", func(t *testing.T) {
		var images []ocilayout.Image
		for _, g := range groups(t) {
			if g.Content == "many-small" || g.Content == "pax-records" {
				images = append(images, ocilayout.Image{Name: g.Content, Layers: g.Layers})
			}
		}
		stable(t, func(t *testing.T) string { return newLayout(t, images...) })
	})
}

func stable(t *testing.T, fresh func(*testing.T) string) {
	const zone = "TZ="
	var first ocilayout.State
	for _, way := range []struct{ jobs, zone string }{
		{"1", "UTC"}, {"2", "UTC"}, {"7", "UTC"}, {"2", "Asia/Kolkata"}, {"2", "America/St_Johns"}, {"2", ""},
	} {
		dir := fresh(t)
		args := append([]string{"--jobs", way.jobs}, fixtureArgs...)
		indexIn(t, []string{zone + way.zone}, dir, args...).needs(t, 0)
		made := stateOf(t, dir)
		if first == nil {
			first = made
		}
		if diff := first.Contents().Diff(made.Contents()); len(diff) > 0 {
			t.Errorf("%s jobs in zone %q: another result:\n%s", way.jobs, way.zone, strings.Join(diff, "\n"))
		}
		index(t, dir, args...).needs(t, 0)
		untouched(t, dir, made)
	}
}

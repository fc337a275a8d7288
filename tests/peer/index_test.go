package peer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"soci-layout.test/peer/reference"
)

// The round trip of a SOCI index, as the snapshotter does it, lets nothing through but
// the reference's own encoding. The other tests lean on that.
func TestRoundTripNotices(t *testing.T) {
	manifests, err := reference.BuildV1(context.Background(), filepath.Join(fixtures, "single"), fixtureOptions)
	if err != nil {
		t.Fatal(err)
	}
	text := string(manifests[0])
	if _, err := reference.IndexRoundTrip([]byte(text)); err != nil {
		t.Errorf("the reference's own: %v", err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(text), "", "  "); err != nil {
		t.Fatal(err)
	}
	type pair struct{ old, new string }
	for name, change := range map[string]pair{
		"artifactType":      {`,"config":`, `,"artifactType":"application/vnd.amazon.soci.index.v1+json","config":`},
		"space":             {`,"layers"`, `, "layers"`},
		"other order":       {`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`, `{"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2,`},
		"unknown member":    {`,"layers"`, `,"unknown":1,"layers"`},
		"empty annotations": {`"size":2}`, `"size":2,"annotations":{}}`},
		"other version":     {`soci.index.v1+json`, `soci.index.v3+json`},
	} {
		changed := strings.Replace(text, change.old, change.new, 1)
		if changed == text {
			t.Errorf("%s: nothing to change in %s", name, text)
		}
		if _, err := reference.IndexRoundTrip([]byte(changed)); err == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
	for name, changed := range map[string]string{"indented": pretty.String(), "final newline": text + "\n"} {
		if _, err := reference.IndexRoundTrip([]byte(changed)); err == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
}

package push

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Plain HTTP reads of what is in a repository, without any registry library.

// Repo is a repository of a registry.
type Repo struct {
	*Registry
	Name string
}

// Ref is the repository with a tag or digest, as tools take it.
func (r Repo) Ref(tag string) string { return r.Host + "/" + r.Name + ":" + tag }

var manifestTypes = strings.Join([]string{
	ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest, dockerManifest, dockerList,
}, ", ")

var httpClient = &http.Client{Timeout: 20 * time.Second}

func (r Repo) request(method, path string) (*http.Response, error) {
	req, err := http.NewRequest(method, "http://"+r.Host+"/v2/"+r.Name+"/"+path, nil)
	if err != nil {
		return nil, err
	}
	// distribution answers 404 for an OCI manifest whose type is not accepted.
	req.Header.Set("Accept", manifestTypes)
	return httpClient.Do(req)
}

// get gives the body of a path below the repository, and the status code.
func (r Repo) get(path string) ([]byte, int, error) {
	resp, err := r.request(http.MethodGet, path)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return body, resp.StatusCode, err
}

// manifest reads a manifest or index by tag or digest; the digest is that of the bytes.
func (r Repo) manifest(reference string) ([]byte, digest.Digest, error) {
	body, status, err := r.get("manifests/" + reference)
	if err != nil {
		return nil, "", err
	}
	if status != http.StatusOK {
		return nil, "", fmt.Errorf("manifest %s: status %d", reference, status)
	}
	return body, digest.FromBytes(body), nil
}

// hasManifest checks that a manifest is there under its own digest and size.
func (r Repo) hasManifest(want ocispec.Descriptor) error {
	body, got, err := r.manifest(want.Digest.String())
	if err != nil {
		return err
	}
	if got != want.Digest || int64(len(body)) != want.Size {
		return fmt.Errorf("manifest %s: %d bytes with digest %s, want %d bytes", want.Digest, len(body), got, want.Size)
	}
	return nil
}

// hasBlob checks that a blob is there with the right size.
func (r Repo) hasBlob(want ocispec.Descriptor) error {
	resp, err := r.request(http.MethodHead, "blobs/"+want.Digest.String())
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("blob %s: status %d", want.Digest, resp.StatusCode)
	}
	if resp.ContentLength != want.Size {
		return fmt.Errorf("blob %s: %d bytes, want %d", want.Digest, resp.ContentLength, want.Size)
	}
	return nil
}

// referrers gives the descriptors of the v1 SOCI indexes that the registry names for
// an image: from the API where there is one, else from the list under the tag sha256-<hex>.
func (r Repo) referrers(image digest.Digest) ([]ocispec.Descriptor, error) {
	body, status, err := r.get("referrers/" + image.String() + "?artifactType=" + typeSociV1)
	if err != nil {
		return nil, err
	}
	if served := status == http.StatusOK; served != r.HasReferrers {
		return nil, fmt.Errorf("referrers API: status %d", status)
	}
	if !r.HasReferrers {
		body, status, err = r.get("manifests/" + listTag(image))
		if err != nil {
			return nil, err
		}
		if status == http.StatusNotFound {
			return nil, nil
		}
	}
	var list ocispec.Index
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("referrers of %s: %w", image, err)
	}
	var found []ocispec.Descriptor
	for _, d := range list.Manifests {
		if d.ArtifactType == typeSociV1 {
			found = append(found, d)
		}
	}
	return found, nil
}

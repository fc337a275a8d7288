package push

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Whoever takes an image for one platform out of a registry: which configuration and layers it finds.

// Pulled is what a consumer took for the image.
type Pulled struct {
	Config string
	Layers []string
}

// Puller takes the image for a platform into an empty directory.
type Puller struct {
	name string
	pull func(t testing.TB, from Repo, tag string, p ocispec.Platform, dir string) (Pulled, error)
}

var pullers = []Puller{
	{"containerd", pullContainerd},
	{crane, pullCrane},
	{skopeo, pullSkopeo},
	{"skopeo-docker-archive", pullSkopeoConverted},
	{oras, pullOras},
	{regctl, pullRegctl},
}

// found lists what a manifest names.
func found(m ocispec.Manifest) (Pulled, error) {
	p := Pulled{Config: m.Config.Digest.String()}
	for _, layer := range m.Layers {
		p.Layers = append(p.Layers, layer.Digest.String())
	}
	if len(p.Layers) == 0 {
		return p, errors.New("an image without layers")
	}
	return p, nil
}

// foundIn reads the only image of a layout that a tool wrote.
func foundIn(dir string) (Pulled, error) {
	l, err := load(dir)
	if err != nil {
		return Pulled{}, err
	}
	if len(l.Groups) != 1 || len(l.Groups[0].Images) != 1 {
		return Pulled{}, fmt.Errorf("not one image in %s", toJSON(l.Index))
	}
	return found(l.Groups[0].Images[0].Manifest)
}

// pullContainerd fetches with the handlers that containerd's client fetches with.
func pullContainerd(t testing.TB, from Repo, tag string, p ocispec.Platform, dir string) (Pulled, error) {
	t.Helper()
	ctx := namespaces.WithNamespace(t.Context(), "test")
	store, err := local.NewStore(dir)
	if err != nil {
		return Pulled{}, err
	}
	resolver := docker.NewResolver(docker.ResolverOptions{
		Hosts: docker.ConfigureDefaultRegistries(docker.WithPlainHTTP(docker.MatchLocalhost)),
	})
	name, root, err := resolver.Resolve(ctx, from.Ref(tag))
	if err != nil {
		return Pulled{}, err
	}
	fetcher, err := resolver.Fetcher(ctx, name)
	if err != nil {
		return Pulled{}, err
	}
	matcher := platforms.Only(p)
	children := images.LimitManifests(images.FilterPlatforms(images.ChildrenHandler(store), matcher), matcher, 1)
	if err := images.Dispatch(ctx, images.Handlers(remotes.FetchHandler(store, fetcher), children), nil, root); err != nil {
		return Pulled{}, err
	}
	manifest, err := images.Manifest(ctx, store, root, matcher)
	if err != nil {
		return Pulled{}, err
	}
	diffIDs, err := images.RootFS(ctx, store, manifest.Config)
	if err != nil {
		return Pulled{}, err
	}
	if len(diffIDs) != len(manifest.Layers) {
		return Pulled{}, errors.New("mismatched image rootfs and manifest layers")
	}
	return found(manifest)
}

func pullCrane(t testing.TB, from Repo, tag string, p ocispec.Platform, dir string) (Pulled, error) {
	t.Helper()
	err := command(t, crane, "pull", "--platform", platforms.Format(p), "--format", "oci", from.Ref(tag), dir)
	if err != nil {
		return Pulled{}, err
	}
	return foundIn(dir)
}

func pullOras(t testing.TB, from Repo, tag string, p ocispec.Platform, dir string) (Pulled, error) {
	t.Helper()
	err := command(t, oras, "cp", "--from-plain-http", "--platform", platforms.Format(p), from.Ref(tag), "--to-oci-layout", dir+":pulled")
	if err != nil {
		return Pulled{}, err
	}
	return foundIn(dir)
}

func pullRegctl(t testing.TB, from Repo, tag string, p ocispec.Platform, dir string) (Pulled, error) {
	t.Helper()
	err := command(t, regctl, "--host", "reg="+from.Host+",tls=disabled", "image", "copy",
		"--platform", platforms.Format(p), from.Ref(tag), "ocidir://"+dir+":pulled")
	if err != nil {
		return Pulled{}, err
	}
	return foundIn(dir)
}

func skopeoFrom(p ocispec.Platform, from Repo, tag, to string) []string {
	args := []string{"--insecure-policy", "--override-os", p.OS, "--override-arch", p.Architecture}
	if p.Variant != "" {
		args = append(args, "--override-variant", p.Variant)
	}
	return append(args, "copy", "--src-tls-verify=false", "docker://"+from.Ref(tag), to)
}

// pullSkopeo keeps the manifest as it is.
func pullSkopeo(t testing.TB, from Repo, tag string, p ocispec.Platform, dir string) (Pulled, error) {
	t.Helper()
	if err := command(t, skopeo, skopeoFrom(p, from, tag, "dir:"+dir)...); err != nil {
		return Pulled{}, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return Pulled{}, err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return Pulled{}, err
	}
	return found(m)
}

// pullSkopeoConverted makes another kind of manifest, as `podman push` and `FROM` do: this fails where
// the types in a manifest do not belong together. Layers are named by their diff IDs.
func pullSkopeoConverted(t testing.TB, from Repo, tag string, p ocispec.Platform, dir string) (Pulled, error) {
	t.Helper()
	file := filepath.Join(dir, "archive.tar")
	if err := command(t, skopeo, skopeoFrom(p, from, tag, "docker-archive:"+file)...); err != nil {
		return Pulled{}, err
	}
	archive, err := os.Open(file)
	if err != nil {
		return Pulled{}, err
	}
	defer archive.Close()
	for tr := tar.NewReader(archive); ; {
		header, err := tr.Next()
		if err != nil {
			return Pulled{}, fmt.Errorf("no manifest.json: %w", err)
		}
		if header.Name != "manifest.json" {
			continue
		}
		var list []Pulled
		raw, err := io.ReadAll(tr)
		if err == nil {
			err = json.Unmarshal(raw, &list)
		}
		if err != nil || len(list) != 1 || len(list[0].Layers) == 0 {
			return Pulled{}, fmt.Errorf("manifest.json: %w: %s", err, raw)
		}
		return list[0], nil
	}
}

// command runs a tool; its output is part of the error.
func command(t testing.TB, tool string, args ...string) error {
	t.Helper()
	program, err := findTool(tool)
	if err != nil {
		t.Fatal(err)
	}
	return failure(run(t, program, args...))
}

// platformsOf lists the platforms that there are images for, by their configurations.
func platformsOf(l *Layout, groups ...*Group) ([]ocispec.Platform, error) {
	var list []ocispec.Platform
	seen := map[string]bool{}
	for _, g := range groups {
		for _, image := range g.Images {
			var config struct {
				ocispec.Platform
				RootFS *ocispec.RootFS `json:"rootfs"`
			}
			if err := l.read(image.Manifest.Config, &config); err != nil {
				return nil, err
			}
			if config.RootFS == nil { // an artifact
				continue
			}
			p := config.Platform
			if p.OS == "" {
				p = ocispec.Platform{OS: "linux", Architecture: "amd64"} // what a consumer here asks for
			}
			p = ocispec.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}
			if name := platforms.Format(p); !seen[name] && !strings.Contains(name, "unknown") {
				seen[name] = true
				list = append(list, p)
			}
		}
	}
	return list, nil
}

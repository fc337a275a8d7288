package main

import (
	"archive/tar"
	"embed"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"soci-layout.test/peer/corpus"
	"soci-layout.test/peer/e2e/images"
)

//go:embed programs
var programs embed.FS

// image is one of the four whose start is measured. Each prints "started" first.
type image struct {
	name string
	// says is a line of output that tells that it is ready, "" where it then answers by HTTP.
	says   string
	layers func(*materials) ([]corpus.Layer, error)
	config ocispec.ImageConfig
	// large: most of it is loaded lazily.
	large bool
}

var environment = []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}

var all = []image{
	{
		name: "elasticsearch", layers: elasticsearchLayers, large: true,
		config: ocispec.ImageConfig{
			User: "1000:1000", Cmd: []string{"/opt/start/elasticsearch.sh"},
			Env: append([]string{"JAVA_HOME=/usr/lib/jvm/java-17-openjdk-" + runtime.GOARCH, "ES_JAVA_OPTS=-Xms512m -Xmx512m"}, environment...),
		},
	},
	{
		name: "python", says: "ready ", layers: pythonLayers, large: true,
		config: ocispec.ImageConfig{
			Cmd: []string{"/usr/bin/python3.11", "/opt/start/service.py"},
			Env: append([]string{"PYTHONPATH=/opt/packages", "TF_CPP_MIN_LOG_LEVEL=2"}, environment...),
		},
	},
	{
		name: "node", layers: nodeLayers, large: true,
		config: ocispec.ImageConfig{Cmd: []string{"/usr/local/bin/node", "/opt/start/service.js"}, Env: environment},
	},
	{
		name: "go", layers: goLayers,
		config: ocispec.ImageConfig{Cmd: []string{"/service"}, Env: environment},
	},
}

// materials are what was fetched, and where layers are made of it.
type materials struct {
	dir   string
	store *images.Store
}

// method of compression: as Docker's.
const method = "go-6"

// write makes a layout of an image.
func (m *materials) write(i image, dir string) error {
	layers, err := i.layers(m)
	if err != nil {
		return err
	}
	return images.Write(dir, images.OCI, images.Image{Architecture: runtime.GOARCH, Layers: layers, Config: &i.config})
}

// layer is made once of files that belong to one owner.
func (m *materials) layer(name string, owner int, write func(*layer) error) (corpus.Layer, error) {
	return m.store.Kept(name, method, func(out *tar.Writer) error { return write(newLayer(out, owner)) })
}

// together are layers, the first error for all.
func together(makers ...func() (corpus.Layer, error)) ([]corpus.Layer, error) {
	var layers []corpus.Layer
	for _, make := range makers {
		l, err := make()
		if err != nil {
			return nil, err
		}
		layers = append(layers, l)
	}
	return layers, nil
}

// program puts one of the programs into the image.
func (l *layer) program(name string) error {
	text, err := programs.ReadFile("programs/" + name)
	if err != nil {
		return err
	}
	return l.file("opt/start/"+name, 0o755, text)
}

func (m *materials) debian() (corpus.Layer, error) {
	return m.store.Packages("debian", true, images.Debian, method)
}

func elasticsearchLayers(m *materials) ([]corpus.Layer, error) {
	java := func() (corpus.Layer, error) { return m.store.Packages("java", false, images.Java, method) }
	service := func() (corpus.Layer, error) {
		archives, err := filepath.Glob(filepath.Join(m.dir, "elasticsearch", "*.zip"))
		if err != nil || len(archives) != 1 {
			return corpus.Layer{}, fmt.Errorf("%d archives of Elasticsearch, %w", len(archives), err)
		}
		return m.layer("elasticsearch", 1000, func(l *layer) error {
			home, settings := "usr/share/elasticsearch", "config/elasticsearch.yml"
			text, err := programs.ReadFile("programs/" + filepath.Base(settings))
			return errors.Join(err, l.zip(archives[0], home, settings), l.file(home+"/"+settings, 0o644, text),
				l.directory(home+"/data", 0o755), l.directory(home+"/logs", 0o755), l.directory("tmp", 0o1777),
				l.program("elasticsearch.sh"))
		})
	}
	return together(m.debian, java, service)
}

func pythonLayers(m *materials) ([]corpus.Layer, error) {
	python := func() (corpus.Layer, error) { return m.store.Packages("python", false, pythonPackages, method) }
	service := func() (corpus.Layer, error) {
		return m.layer("tensorflow", 0, func(l *layer) error {
			return errors.Join(l.tree(filepath.Join(m.dir, "python"), "opt/packages"), l.program("service.py"))
		})
	}
	return together(m.debian, python, service)
}

func nodeLayers(m *materials) ([]corpus.Layer, error) {
	modules := filepath.Join(m.dir, "node", "node_modules")
	// npm's package of the interpreter has it as the images of Node.js do: one large program.
	node := func() (corpus.Layer, error) {
		found, err := filepath.Glob(filepath.Join(modules, "node-linux-*", "bin"))
		if err != nil || len(found) != 1 {
			return corpus.Layer{}, fmt.Errorf("%d interpreters, %w", len(found), err)
		}
		return m.layer("node", 0, func(l *layer) error { return l.tree(found[0], "usr/local/bin") })
	}
	service := func() (corpus.Layer, error) {
		return m.layer("modules", 0, func(l *layer) error {
			skip := func(name string) bool { return strings.HasPrefix(name, "node-linux-") }
			return errors.Join(l.treeWithout(modules, "opt/start/node_modules", skip), l.program("service.js"))
		})
	}
	return together(m.debian, node, service)
}

func goLayers(m *materials) ([]corpus.Layer, error) {
	return together(func() (corpus.Layer, error) {
		return m.layer("go", 0, func(l *layer) error { return l.tree(filepath.Join(m.dir, "go"), "") })
	})
}

package documents

// structure is a Go struct that a document is decoded into, with the kinds of its fields.
type structure struct {
	name   string
	fields map[string]any // *structure, []*structure of one, or nil for a plain value
	free   map[string]bool
}

var (
	platform = &structure{name: "platform", fields: map[string]any{
		"architecture": nil, "os": nil, "os.version": nil, "os.features": nil, "variant": nil,
	}}
	descriptor = &structure{name: "descriptor", fields: map[string]any{
		"mediaType": nil, "digest": nil, "size": nil, "urls": nil, "annotations": nil, "data": nil,
		"platform": platform, "artifactType": nil,
	}, free: map[string]bool{"annotations": true}}
	manifest = &structure{name: "manifest", fields: map[string]any{
		"schemaVersion": nil, "mediaType": nil, "artifactType": nil, "config": descriptor,
		"layers": []*structure{descriptor}, "subject": descriptor, "annotations": nil,
	}, free: map[string]bool{"annotations": true}}
	index = &structure{name: "index", fields: map[string]any{
		"schemaVersion": nil, "mediaType": nil, "artifactType": nil, "manifests": []*structure{descriptor},
		"subject": descriptor, "annotations": nil,
	}, free: map[string]bool{"annotations": true}}
	execution = &structure{name: "config", fields: map[string]any{
		"User": nil, "ExposedPorts": nil, "Env": nil, "Entrypoint": nil, "Cmd": nil, "Volumes": nil,
		"WorkingDir": nil, "Labels": nil, "StopSignal": nil, "ArgsEscaped": nil,
	}, free: map[string]bool{"Labels": true}}
	rootfs  = &structure{name: "rootfs", fields: map[string]any{"type": nil, "diff_ids": nil}}
	history = &structure{name: "history", fields: map[string]any{
		"created": nil, "created_by": nil, "author": nil, "comment": nil, "empty_layer": nil,
	}}
	configuration = &structure{name: "configuration", fields: map[string]any{
		"created": nil, "author": nil, "architecture": nil, "variant": nil, "os": nil, "os.version": nil,
		"os.features": nil, "config": execution, "rootfs": rootfs, "history": []*structure{history},
	}}
	marker = &structure{name: "oci-layout", fields: map[string]any{"imageLayoutVersion": nil}}
)

// site is an object of a document: a struct, or a free map.
type site struct {
	object *node
	of     *structure // nil for a free map
}

func sites(n *node, of *structure) []site {
	if n.kind != '{' {
		return nil
	}
	list := []site{{n, of}}
	for _, m := range n.members {
		switch field := of.fields[m.name].(type) {
		case *structure:
			list = append(list, sites(m.value, field)...)
		case []*structure:
			for _, item := range m.value.items {
				list = append(list, sites(item, field[0])...)
			}
		}
		if of.free[m.name] && m.value.kind == '{' {
			list = append(list, site{m.value, nil})
		}
	}
	return list
}

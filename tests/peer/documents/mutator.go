package documents

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// mutator changes one document.
type mutator struct {
	random *rand.Rand
	legal  bool
	role   *structure
	stray  string
	done   []string
	// blanks puts white space between the tokens.
	blanks bool
	// bytes changes the text.
	bytes func([]byte) []byte
}

func (m *mutator) change(n *node) []byte {
	for range 1 + m.random.IntN(2) {
		list := sites(n, m.role)
		if len(list) == 0 { // an earlier change left nothing
			break
		}
		at := pick(m.random, list)
		table := legalChanges
		if !m.legal && m.random.IntN(3) > 0 {
			table = otherChanges
		}
		name := pick(m.random, slices.Sorted(maps.Keys(table)))
		if what := table[name](m, at); what != "" {
			m.done = append(m.done, name+" "+what)
		}
	}
	var blanks *rand.Rand
	if m.blanks {
		blanks = m.random
	}
	text := n.text(blanks)
	if m.bytes != nil {
		text = m.bytes(text)
	}
	return text
}

// some gives a member of the object that has one.
func (m *mutator) some(at site) *member {
	if len(at.object.members) == 0 {
		return nil
	}
	return &at.object.members[m.random.IntN(len(at.object.members))]
}

func (m *mutator) known(at site) *member {
	if at.of == nil {
		return nil
	}
	for range 20 {
		found := m.some(at)
		if found == nil {
			return nil
		}
		if _, known := at.of.fields[found.name]; known {
			return found
		}
	}
	return nil
}

// insert puts a member somewhere.
func (m *mutator) insert(at site, new member) string {
	place := m.random.IntN(len(at.object.members) + 1)
	at.object.members = slices.Insert(at.object.members, place, new)
	return fmt.Sprintf("%.60s of %s", new.raw, at.name())
}

func (at site) name() string {
	if at.of == nil {
		return "a free map"
	}
	return at.of.name
}

// fieldNames are names that some struct has.
var fieldNames = []string{
	"mediaType", "digest", "size", "layers", "config", "manifests", "platform", "os", "architecture", "subject",
	"annotations", "rootfs", "diff_ids", "data", "urls", "artifactType", "schemaVersion", "variant",
}

// strangers are names that no decoder takes for a field's, though some come near.
var strangers = []string{
	"x", "mediaTypes", "media_type", "diffIDs", "digest ", " digest", "layerß", "ﬂayers", "ｓize", "sizе", "ö\u0308s", "",
	"data\u0000", "oſ2", "\u2028", "K", "konfig", "🦀", "com.example/layers", "\ufffd", "manifest", "ο\u017f", "ı", "OS.",
}

// value is JSON that nobody asks for.
func (m *mutator) value(depth int) *node {
	r := m.random
	switch r.IntN(12) {
	case 0:
		return literal(pick(r, []string{"null", "true", "false"}))
	case 1, 2:
		return literal(pick(r, []string{
			"0", "-0", "1e3", "1.0", "-1", "1e999", "-1e-999", "18446744073709551616", "9223372036854775808",
			"1" + strings.Repeat("0", 400), "0.1E+2",
		}))
	case 3:
		return &node{kind: '"', raw: `"` + surrogates('🦀') + `\u0000\/\b"`}
	case 4:
		return text("sha256:" + strings.Repeat("0", 64))
	case 5:
		// Deeper than what recursive decoders take, and less deep than what Go takes.
		n := pick(r, []int{5, 127, 130, 600, 9000})
		return literal(strings.Repeat("[", n) + strings.Repeat("]", n))
	case 6, 7:
		if depth > 3 {
			return text("deep")
		}
		o := object()
		for range r.IntN(4) {
			name := pick(r, append(fieldNames, strangers...))
			o.members = append(o.members, newMember(name, m.value(depth+1)))
		}
		return o
	case 8:
		list := &node{kind: '['}
		for range r.IntN(4) {
			list.items = append(list.items, m.value(min(depth+1, 4)))
		}
		return list
	default:
		return text(pick(r, append(fieldNames, strangers...)))
	}
}

// legalChanges leave what a document says to those who know its members.
var legalChanges = map[string]func(*mutator, site) string{
	"white space": func(m *mutator, _ site) string { m.blanks = true; return "everywhere" },
	"blanks around": func(m *mutator, _ site) string {
		m.bytes = func(text []byte) []byte {
			return slices.Concat(bytes.Repeat([]byte(" "), pick(m.random, []int{0, 1, 64, 3000})), text, []byte(" \n"))
		}
		return "the text"
	},
	"escape": func(m *mutator, at site) string {
		found := m.some(at)
		if found == nil {
			return ""
		}
		if found.value.kind == '"' && m.random.IntN(2) == 0 {
			found.value.raw = escape(found.value.raw, m.random)
			return found.value.raw
		}
		found.raw = escape(found.raw, m.random)
		return found.raw
	},
	"unknown member": func(m *mutator, at site) string {
		name := pick(m.random, strangers)
		if at.of == nil || at.object.get(name) != nil {
			return ""
		}
		return m.insert(at, newMember(name, m.value(0)))
	},
	"mention": func(m *mutator, at site) string {
		if at.of == nil || at.object.get("see") != nil {
			return ""
		}
		new := newMember("see", text(m.stray))
		new.value.raw = escape(new.value.raw, m.random)
		return m.insert(at, new)
	},
	"free name": func(m *mutator, at site) string {
		name := pick(m.random, append(fieldNames, strangers...))
		if m.random.IntN(2) == 0 && name != "" {
			name = fold(name, m.random)
		}
		if at.of != nil || at.object.get(name) != nil {
			return ""
		}
		value := text(pick(m.random, append(fieldNames, m.stray, "\x00\u007f", "ſ", "🦀")))
		if m.random.IntN(8) == 0 {
			value = literal("null")
		}
		return m.insert(at, newMember(name, value))
	},
	"free map": func(m *mutator, at site) string {
		for name := range at.name2free() {
			if at.object.get(name) == nil {
				return m.insert(at, newMember(name, object(newMember(fold("mediaType", m.random), text("x")))))
			}
		}
		return ""
	},
	"order": func(m *mutator, at site) string {
		if at.of == nil {
			return ""
		}
		list := at.object.members
		m.random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		return "of " + at.of.name
	},
	"nothing": func(m *mutator, at site) string {
		nothing := map[string][]string{
			"artifactType": {"null", `""`}, "subject": {"null"}, "urls": {"null", "[]"}, "data": {"null", `""`},
			"annotations": {"null", "{}"}, "os.version": {"null", `""`}, "os.features": {"null", "[]"},
			"variant": {"null", `""`}, "history": {"null", "[]"}, "Labels": {"null", "{}"}, "created": {"null"},
		}
		if at.of == nil {
			return ""
		}
		for _, name := range slices.Sorted(maps.Keys(nothing)) {
			if _, known := at.of.fields[name]; known && at.object.get(name) == nil && m.random.IntN(2) == 0 {
				return m.insert(at, newMember(name, literal(pick(m.random, nothing[name]))))
			}
		}
		return ""
	},
}

func (at site) name2free() map[string]bool {
	if at.of == nil {
		return nil
	}
	return at.of.free
}

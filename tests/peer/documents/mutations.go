package documents

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf16"
)

// otherChanges may change what a document says, or make it none.
var otherChanges = map[string]func(*mutator, site) string{
	"fold": func(m *mutator, at site) string {
		found := m.known(at)
		if found == nil {
			return ""
		}
		found.name = fold(found.name, m.random)
		found.raw = quote(found.name)
		if m.random.IntN(3) == 0 {
			found.raw = escape(found.raw, m.random)
		}
		return found.raw
	},
	"fold beside": func(m *mutator, at site) string {
		found := m.known(at)
		if found == nil {
			return ""
		}
		return m.insert(at, newMember(fold(found.name, m.random), m.other(found.value)))
	},
	"fold an absent one": func(m *mutator, at site) string {
		if at.of == nil {
			return ""
		}
		name := pick(m.random, fieldNames)
		return m.insert(at, newMember(fold(name, m.random), m.value(0)))
	},
	"twice": func(m *mutator, at site) string {
		found := m.some(at)
		if found == nil {
			return ""
		}
		new := member{raw: escape(found.raw, m.random), name: found.name, value: m.other(found.value)}
		return m.insert(at, new)
	},
	"value": func(m *mutator, at site) string {
		found := m.known(at)
		if found == nil {
			return ""
		}
		found.value = m.other(found.value)
		return "of " + found.name
	},
	"another kind": func(m *mutator, at site) string {
		found := m.some(at)
		if found == nil {
			return ""
		}
		found.value = m.value(0)
		return "of " + found.name
	},
	"number": func(m *mutator, at site) string {
		for _, name := range []string{"size", "schemaVersion"} {
			if n := at.object.get(name); n != nil {
				n.kind, n.items, n.members = 0, nil, nil
				n.raw = pick(m.random, []string{
					"-1", "-0", "0", "01", "1.0", "2e0", "1e3", "9223372036854775807", "9223372036854775808", "+1", "0x2",
					"NaN", `"2"`, "2 ", "-9223372036854775808", "null", "4294967296",
				})
				return name + " " + n.raw
			}
		}
		return ""
	},
	"null": func(m *mutator, at site) string {
		found := m.some(at)
		if found == nil {
			return ""
		}
		found.value = literal("null")
		return "for " + found.name
	},
	"null among the items": func(m *mutator, at site) string {
		for _, member := range at.object.members {
			if member.value.kind == '[' {
				place := m.random.IntN(len(member.value.items) + 1)
				member.value.items = slices.Insert(member.value.items, place, literal("null"))
				return "of " + member.name
			}
		}
		return ""
	},
	"gone": func(m *mutator, at site) string {
		found := m.some(at)
		if found == nil {
			return ""
		}
		name := found.name
		at.object.members = slices.DeleteFunc(at.object.members, func(other member) bool { return other.name == name })
		return name
	},
	"half of a pair": func(m *mutator, at site) string {
		return m.spoil(at, pick(m.random, []string{`\ud800`, `\udfff`, `\ud83d\ud83d`, `\udc00\ud800`}))
	},
	"no UTF-8": func(m *mutator, at site) string {
		return m.spoil(at, pick(m.random, []string{"\xff", "\xc3", "\xe2\x82", "\xed\xa0\x80", "\xf5\x80", "\xc0\xaf", "\xf0\x9f\xa6"}))
	},
	"control": func(m *mutator, at site) string {
		return m.spoil(at, pick(m.random, []string{"\x00", "\n", "\x1f", "\x7f", `\u0000`, `\u001f`, `\x`, `\u12`}))
	},
	"in front": func(m *mutator, at site) string {
		with := pick(m.random, []string{"\xef\xbb\xbf", "\x00", "\u00a0", "\x0c", "// x\n", "null", "\xff\xfe", "\u2028"})
		m.bytes = func(text []byte) []byte { return append([]byte(with), text...) }
		return quote(with)
	},
	"behind": func(m *mutator, at site) string {
		with := pick(m.random, []string{"{}", "x", "\x00", "null", "]", "\xef\xbb\xbf", "\x0c", `{"digest":"` + m.stray + `"}`})
		m.bytes = func(text []byte) []byte { return append(slices.Clone(text), with...) }
		return quote(with)
	},
	"UTF-16": func(m *mutator, at site) string {
		m.bytes = func(text []byte) []byte {
			out := []byte{0xff, 0xfe}
			for _, unit := range utf16.Encode([]rune(string(text))) {
				out = append(out, byte(unit), byte(unit>>8))
			}
			return out[2*m.random.IntN(2):]
		}
		return "little endian"
	},
	"in an array": func(m *mutator, at site) string {
		m.bytes = func(text []byte) []byte { return slices.Concat([]byte("["), text, []byte("]")) }
		return "the text"
	},
	"cut": func(m *mutator, at site) string {
		m.bytes = func(text []byte) []byte { return text[:m.random.IntN(len(text)+1)] }
		return "the text"
	},
	"comma": func(m *mutator, at site) string {
		m.bytes = func(text []byte) []byte {
			return bytes.Replace(text, []byte("}"), []byte(pick(m.random, []string{",}", ",,}", "//\n}", ",null}"})), 1)
		}
		return "before }"
	},
	"too deep": func(m *mutator, at site) string {
		n := pick(m.random, []int{9998, 9999, 10000, 10001, 100000})
		return m.insert(at, newMember("x", literal(strings.Repeat(`{"a":`, n)+"1"+strings.Repeat("}", n))))
	},
	"byte": func(m *mutator, at site) string {
		m.bytes = func(text []byte) []byte {
			if len(text) > 0 {
				text[m.random.IntN(len(text))] ^= byte(1) << m.random.IntN(8)
			}
			return text
		}
		return "somewhere"
	},
}

// spoil puts something into a string or a name.
func (m *mutator) spoil(at site, what string) string {
	found := m.some(at)
	if found == nil {
		return ""
	}
	into := func(raw string) string {
		// Behind the quote or before the last one: nowhere within an escape.
		if m.random.IntN(2) == 0 {
			return raw[:1] + what + raw[1:]
		}
		return raw[:len(raw)-1] + what + raw[len(raw)-1:]
	}
	if found.value.kind == '"' && m.random.IntN(3) > 0 {
		found.value.raw = into(found.value.raw)
		return "in " + found.name + ": " + quote(what)
	}
	found.raw = into(found.raw)
	return "in the name " + found.name + ": " + quote(what)
}

// other is another value of the same kind.
func (m *mutator) other(n *node) *node {
	r := m.random
	switch n.kind {
	case '"':
		return text(pick(r, []string{
			"", "linux", "Linux", "windows", "amd64", "x86_64", "AArch64", "unknown", "v8", "V7", "10.0.1", m.stray,
			strings.ToUpper(m.stray), strings.TrimPrefix(m.stray, "sha256:"), "sha512:" + strings.Repeat("ab", 64),
			"sha256:" + strings.Repeat("0", 63), "sha256:../../index.json", "other:x", "a b", "x\x00y", "\ufffd",
			"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
			"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.config.v1+json",
			"Application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
			"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip",
			"application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.oci.empty.v1+json",
			"application/vnd.oci.image.layer.v1.tar+GZIP", "application/octet-stream", "1.0.0", "aGk=", "aGk", "a\n",
			"application/vnd.amazon.soci.index.v2+json", "application/vnd.amazon.soci.index.v1+json",
		}))
	case '{':
		if r.IntN(2) == 0 {
			return object()
		}
		copied := *n
		copied.members = slices.Clone(n.members)
		if len(copied.members) > 0 {
			i := r.IntN(len(copied.members))
			copied.members[i].value = m.other(copied.members[i].value)
		}
		return &copied
	case '[':
		copied := *n
		copied.items = slices.Clone(n.items)
		if len(n.items) == 0 {
			return &copied
		}
		switch r.IntN(4) {
		case 0:
			copied.items = nil
		case 1:
			copied.items = append(copied.items, n.items[0])
		case 2:
			slices.Reverse(copied.items)
		default:
			i := r.IntN(len(copied.items))
			copied.items[i] = m.other(copied.items[i])
		}
		return &copied
	default:
		return literal(pick(r, []string{"0", "1", "2", "3", "100", "-1", "true", "1.5", "null"}))
	}
}

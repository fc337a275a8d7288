// Package documents changes the JSON documents of OCI layouts at random, and tells what Go's own decoder
// sees in them. It goes by the formats alone.
package documents

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"unicode/utf16"
)

// node is a JSON value whose members keep their order, and whose strings keep their spelling.
type node struct {
	kind    byte // '{', '[', '"', or 0 for what is written as it stands
	raw     string
	members []member
	items   []*node
}

type member struct {
	raw   string // with quotes
	name  string // what it stands for
	value *node
}

func parse(text []byte) *node {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	n, err := read(decoder)
	if err != nil {
		panic(fmt.Sprintf("a document that was not changed yet: %v", err))
	}
	return n
}

func read(decoder *json.Decoder) (*node, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	n := &node{}
	switch value := token.(type) {
	case json.Delim:
		n.kind = byte(value)
		for decoder.More() {
			var m member
			if n.kind == '{' {
				name, err := decoder.Token()
				if err != nil {
					return nil, err
				}
				m.name, _ = name.(string)
				m.raw = quote(m.name)
			}
			if m.value, err = read(decoder); err != nil {
				return nil, err
			}
			if n.kind == '{' {
				n.members = append(n.members, m)
			} else {
				n.items = append(n.items, m.value)
			}
		}
		_, err = decoder.Token()
		return n, err
	case string:
		n.kind, n.raw = '"', quote(value)
	case json.Number:
		n.raw = value.String()
	case bool:
		n.raw = fmt.Sprint(value)
	case nil:
		n.raw = "null"
	}
	return n, nil
}

// quote writes a string as plainly as JSON allows.
func quote(text string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func text(s string) *node    { return &node{kind: '"', raw: quote(s)} }
func literal(s string) *node { return &node{raw: s} }

func newMember(name string, value *node) member {
	return member{raw: quote(name), name: name, value: value}
}

func object(members ...member) *node { return &node{kind: '{', members: members} }

// string is what a string node stands for; "" for others.
func (n *node) string() string {
	var s string
	if n.kind == '"' {
		_ = json.Unmarshal([]byte(n.raw), &s)
	}
	return s
}

func (n *node) get(name string) *node {
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// write appends the text of the node; blanks, if given, puts white space between tokens.
func (n *node) write(out io.StringWriter, blanks *rand.Rand) {
	put := func(s string) {
		if blanks != nil && blanks.IntN(6) == 0 {
			s += pick(blanks, []string{" ", "\n", "\t", "\r\n", "  ", strings.Repeat(" ", 70)})
		}
		_, _ = out.WriteString(s)
	}
	switch n.kind {
	case '{':
		put("{")
		for i, m := range n.members {
			if i > 0 {
				put(",")
			}
			put(m.raw)
			put(":")
			m.value.write(out, blanks)
		}
		put("}")
	case '[':
		put("[")
		for i, item := range n.items {
			if i > 0 {
				put(",")
			}
			item.write(out, blanks)
		}
		put("]")
	default:
		put(n.raw)
	}
}

func (n *node) text(blanks *rand.Rand) []byte {
	var out strings.Builder
	n.write(&out, blanks)
	return []byte(out.String())
}

// visit calls f for every node below, with what it is a member of.
func (n *node) visit(f func(*node)) {
	f(n)
	for _, m := range n.members {
		m.value.visit(f)
	}
	for _, item := range n.items {
		item.visit(f)
	}
}

func pick[T any](random *rand.Rand, list []T) T { return list[random.IntN(len(list))] }

// escape spells some letters of a JSON string as escapes; it stands for the same text.
func escape(raw string, random *rand.Rand) string {
	var out strings.Builder
	inner := raw[1 : len(raw)-1]
	for i := 0; i < len(inner); {
		switch c := inner[i]; {
		case c == '\\' && inner[i+1] == 'u':
			out.WriteString(inner[i : i+6])
			i += 6
		case c == '\\':
			out.WriteString(inner[i : i+2])
			i += 2
		case c == '/' && random.IntN(2) == 0:
			out.WriteString(`\/`)
			i++
		case c < 0x80 && random.IntN(3) == 0:
			fmt.Fprintf(&out, pick(random, []string{`\u%04x`, `\u%04X`}), c)
			i++
		default:
			out.WriteByte(c)
			i++
		}
	}
	return `"` + out.String() + `"`
}

// fold spells a name so that Go's decoder still takes it for a field's.
func fold(name string, random *rand.Rand) string {
	letters := []rune(name)
	for tries := 0; tries < 8 || string(letters) == name; tries++ {
		i := random.IntN(len(letters))
		switch c := letters[i]; {
		case (c == 's' || c == 'S') && random.IntN(2) == 0:
			letters[i] = 'ſ'
		case (c == 'k' || c == 'K') && random.IntN(2) == 0:
			letters[i] = '\u212a'
		case 'a' <= c && c <= 'z':
			letters[i] = c - 'a' + 'A'
		case 'A' <= c && c <= 'Z':
			letters[i] = c - 'A' + 'a'
		}
		if tries > 100 {
			break
		}
	}
	return string(letters)
}

// surrogates spells a character beyond the first 65,536 as JSON does.
func surrogates(c rune) string {
	high, low := utf16.EncodeRune(c)
	return fmt.Sprintf(`\u%04x\u%04X`, high, low)
}

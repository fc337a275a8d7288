package corpus

import (
	"encoding/binary"
	"hash/crc32"
)

// gzipHeader holds the optional parts of a member's header (RFC 1952).
type gzipHeader struct {
	Text          bool
	Time          uint32
	Extra         []byte
	Name, Comment string
	Checksum      bool
	XFL, OS       byte
}

const (
	flagText    = 1
	flagHCRC    = 2
	flagExtra   = 4
	flagName    = 8
	flagComment = 16
)

func (h gzipHeader) bytes() []byte {
	var flags byte
	set := func(on bool, flag byte) {
		if on {
			flags |= flag
		}
	}
	set(h.Text, flagText)
	set(h.Checksum, flagHCRC)
	set(h.Extra != nil, flagExtra)
	set(h.Name != "", flagName)
	set(h.Comment != "", flagComment)
	b := binary.LittleEndian.AppendUint32([]byte{0x1f, 0x8b, 8, flags}, h.Time)
	b = append(b, h.XFL, h.OS)
	if h.Extra != nil {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(h.Extra)))
		b = append(b, h.Extra...)
	}
	if h.Name != "" {
		b = append(append(b, h.Name...), 0)
	}
	if h.Comment != "" {
		b = append(append(b, h.Comment...), 0)
	}
	if h.Checksum {
		b = binary.LittleEndian.AppendUint16(b, uint16(crc32.ChecksumIEEE(b)))
	}
	return b
}

// gzipMember puts a header and a trailer around a raw deflate stream.
func gzipMember(h gzipHeader, deflated, plain []byte) []byte {
	b := append(h.bytes(), deflated...)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(plain))
	return binary.LittleEndian.AppendUint32(b, uint32(len(plain)))
}

package corpus

import "encoding/binary"

// deflateBits writes deflate blocks by hand, for those that no encoder makes: empty
// ones in a row, at any bit, and stored ones of any length.
type deflateBits struct {
	out  []byte
	hold uint32
	used uint
}

func (d *deflateBits) put(value uint32, bits uint) {
	d.hold |= value << d.used
	for d.used += bits; d.used >= 8; d.used -= 8 {
		d.out = append(d.out, byte(d.hold))
		d.hold >>= 8
	}
}

func (d *deflateBits) align() {
	if d.used > 0 {
		d.put(0, 8-d.used)
	}
}

func (d *deflateBits) head(last bool, kind uint32) {
	var final uint32
	if last {
		final = 1
	}
	d.put(final, 1)
	d.put(kind, 2)
}

// stored writes data as it is, 65535 bytes at most.
func (d *deflateBits) stored(data []byte, last bool) {
	d.head(last, 0)
	d.align()
	d.out = binary.LittleEndian.AppendUint16(d.out, uint16(len(data)))
	d.out = binary.LittleEndian.AppendUint16(d.out, ^uint16(len(data)))
	d.out = append(d.out, data...)
}

// fixed writes data as literals of the fixed code: 8 bits below 144, else 9, high
// bit first. Without data it is the empty block of ten bits.
func (d *deflateBits) fixed(data []byte, last bool) {
	d.head(last, 1)
	for _, c := range data {
		if c < 144 {
			d.code(0x30+uint32(c), 8)
		} else {
			d.code(0x190+uint32(c-144), 9)
		}
	}
	d.code(0, 7)
}

func (d *deflateBits) code(value uint32, bits uint) {
	for i := bits; i > 0; i-- {
		d.put(value>>(i-1)&1, 1)
	}
}

func (d *deflateBits) bytes() []byte {
	d.align()
	return d.out
}

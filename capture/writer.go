package capture

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// Writer writes packets as pcapng with nanosecond timestamps, one interface
// for each link type that occurs. A VLAN tag that the kernel took off is put
// back, without its priority.
type Writer struct {
	// Comment says what the file is, for those who look at it with other
	// programs. Set it before the first packet; 4 KiB of it are written.
	Comment string

	w   *bufio.Writer
	app string
	ifs map[LinkType]uint32
	tag []byte // the latest frame that got its VLAN tag back
	err error
}

// NewWriter returns a writer that names app as the writing application. Call
// Flush at the end; w stays the caller's to close.
func NewWriter(w io.Writer, app string) *Writer {
	return &Writer{w: bufio.NewWriterSize(w, 256<<10), app: app}
}

// Write writes a batch of packets and keeps nothing of it. What it returns is
// the first error of the underlying writer (a full disk, say); after that
// nothing more is written.
func (w *Writer) Write(batch []Packet) error {
	if w.ifs == nil {
		w.section()
	}
	for i := range batch {
		w.packet(&batch[i])
	}
	return w.failed()
}

// Flush writes out what is buffered; an empty capture becomes a valid file.
func (w *Writer) Flush() error {
	if w.ifs == nil {
		w.section()
	}
	w.keep(w.w.Flush())
	return w.failed()
}

func (w *Writer) failed() error {
	if w.err != nil {
		return fmt.Errorf("write capture: %w", w.err)
	}
	return nil
}

func (w *Writer) keep(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *Writer) bytes(b []byte) {
	_, err := w.w.Write(b)
	w.keep(err)
}

// block writes a block of a fixed part, data padded to 32 bits, and options.
func (w *Writer) block(kind uint32, fixed, data, options []byte) {
	pad := -len(data) & 3
	size := uint32(12 + len(fixed) + len(data) + pad + len(options))
	var word [8]byte
	binary.LittleEndian.PutUint32(word[:], kind)
	binary.LittleEndian.PutUint32(word[4:], size)
	w.bytes(word[:])
	w.bytes(fixed)
	w.bytes(data)
	w.bytes(make([]byte, 3)[:pad])
	w.bytes(options)
	w.bytes(word[4:])
}

func (w *Writer) section() {
	w.ifs = make(map[LinkType]uint32)
	fixed := binary.LittleEndian.AppendUint32(nil, 0x1a2b3c4d)
	fixed = append(fixed, 1, 0, 0, 0)                        // version 1.0
	fixed = binary.LittleEndian.AppendUint64(fixed, 1<<64-1) // length unknown
	var options []byte
	if w.Comment != "" {
		options = option(1, strings.ToValidUTF8(w.Comment[:min(len(w.Comment), 4<<10)], "")) // opt_comment
	}
	options = append(options, option(4, w.app)...) // shb_userappl
	w.block(magicSection, fixed, nil, endOfOptions(options))
}

func (w *Writer) packet(p *Packet) {
	id, ok := w.ifs[p.Link]
	if !ok {
		id = uint32(len(w.ifs))
		w.ifs[p.Link] = id
		fixed := binary.LittleEndian.AppendUint16(nil, uint16(p.Link))
		fixed = append(fixed, 0, 0, 0, 0, 0, 0) // no snap length
		w.block(blockInterface, fixed, nil, endOfOptions(option(optionResolution, "\x09")))
	}
	data, wire := p.Data, max(p.OrigLen, len(p.Data))
	if p.VLAN != 0 && p.Link == LinkEthernet && len(data) >= 12 {
		w.tag = append(append(w.tag[:0], data[:12]...), etherVLAN>>8, etherVLAN&0xff, byte(p.VLAN>>8), byte(p.VLAN))
		w.tag = append(w.tag, data[12:]...)
		data, wire = w.tag, wire+4
	}
	var fixed [20]byte
	binary.LittleEndian.PutUint32(fixed[:], id)
	binary.LittleEndian.PutUint32(fixed[4:], uint32(uint64(p.Time)>>32))
	binary.LittleEndian.PutUint32(fixed[8:], uint32(p.Time))
	binary.LittleEndian.PutUint32(fixed[12:], uint32(len(data)))
	binary.LittleEndian.PutUint32(fixed[16:], uint32(wire))
	var direction []byte
	if p.Outgoing {
		direction = outgoing
	}
	w.block(blockEnhanced, fixed[:], data, direction)
}

// outgoing is the option epb_flags that says so.
var outgoing = endOfOptions(option(2, "\x02\x00\x00\x00"))

func option(code uint16, value string) []byte {
	b := binary.LittleEndian.AppendUint16(nil, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&3)...)
}

func endOfOptions(b []byte) []byte { return append(b, 0, 0, 0, 0) }

package expr

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
)

// The oracle: programs that tcpdump compiled, run by the rules of libpcap's own
// interpreter. It shares nothing with the package.

// links are the link types that tcpdump is asked about.
var links = []uint16{0, 1, 101, 108, 113, 228, 229, 276}

// emptyFile writes a capture file without packets, for tcpdump to compile for.
func emptyFile(t testing.TB, link uint16) string {
	t.Helper()
	header := make([]byte, 24)
	binary.NativeEndian.PutUint32(header, 0xa1b2c3d4)
	binary.NativeEndian.PutUint16(header[4:], 2)
	binary.NativeEndian.PutUint16(header[6:], 4)
	binary.NativeEndian.PutUint32(header[16:], 262144)
	binary.NativeEndian.PutUint32(header[20:], uint32(link))
	path := filepath.Join(t.TempDir(), "empty.pcap")
	if err := os.WriteFile(path, header, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// compile asks tcpdump for an expression's program on a file's link type; the
// string is its complaint.
func compile(file, text string, optimized bool) ([]bpf.RawInstruction, string) {
	return compileOn([]string{"-r", file}, text, optimized)
}

// compileOn is compile for a file or an interface.
func compileOn(args []string, text string, optimized bool) ([]bpf.RawInstruction, string) {
	args = append(slices.Clone(args), "-ddd")
	if !optimized {
		args = append(args, "-O")
	}
	cmd := exec.Command("tcpdump", append(args, "--", text)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		// Before the complaint stands what it is reading from.
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		return nil, lines[len(lines)-1]
	}
	var program []bpf.RawInstruction
	lines := bufio.NewScanner(&stdout)
	lines.Scan() // their number
	for lines.Scan() {
		var in bpf.RawInstruction
		if _, err := fmt.Sscan(lines.Text(), &in.Op, &in.Jt, &in.Jf, &in.K); err != nil {
			return nil, err.Error()
		}
		program = append(program, in)
	}
	return program, ""
}

// Offsets of what the kernel has beside the packet (SKF_AD_OFF, linux/filter.h).
const (
	tagItself  = 0xfffff000 + 44
	tagPresent = 0xfffff000 + 48
)

// interpret runs a program over a packet: a load beyond the data and a
// division by zero end it with "no match". tag is that beside the packet, -1 for
// none.
func interpret(program []bpf.RawInstruction, data []byte, wire uint32, tag int) bool {
	var a, x uint32
	var mem [16]uint32
	load := func(off uint64, size uint16) (uint32, bool) {
		switch off { // beside the packet, in the kernel
		case tagPresent:
			return map[bool]uint32{true: 1}[tag >= 0], true
		case tagItself:
			return uint32(max(tag, 0)), true
		}
		n := map[uint16]uint64{0x00: 4, 0x08: 2, 0x10: 1}[size]
		if off+n > uint64(len(data)) {
			return 0, false
		}
		var word [8]byte
		copy(word[8-n:], data[off:off+n])
		return uint32(binary.BigEndian.Uint64(word[:])), true
	}
	for pc := 0; ; pc++ {
		in := program[pc]
		ok := true
		operand := in.K
		if in.Op&0x08 != 0 {
			operand = x
		}
		switch class := in.Op & 7; class {
		case 0, 1: // ld, ldx
			var v uint32
			switch in.Op & 0xe0 {
			case 0x00:
				v = in.K
			case 0x20:
				v, ok = load(uint64(in.K), in.Op&0x18)
			case 0x40:
				v, ok = load(uint64(in.K)+uint64(x), in.Op&0x18)
			case 0x60:
				v = mem[in.K]
			case 0x80:
				v = wire
			case 0xa0:
				v, ok = load(uint64(in.K), 0x10)
				v = v & 0xf << 2
			}
			if class == 0 {
				a = v
			} else {
				x = v
			}
		case 2:
			mem[in.K] = a
		case 3:
			mem[in.K] = x
		case 4: // alu
			switch in.Op & 0xf0 {
			case 0x00:
				a += operand
			case 0x10:
				a -= operand
			case 0x20:
				a *= operand
			case 0x30:
				if ok = operand != 0; ok {
					a /= operand
				}
			case 0x40:
				a |= operand
			case 0x50:
				a &= operand
			case 0x60:
				a <<= operand
			case 0x70:
				a >>= operand
			case 0x80:
				a = -a
			case 0x90:
				if ok = operand != 0; ok {
					a %= operand
				}
			case 0xa0:
				a ^= operand
			}
		case 5: // jmp
			var yes bool
			switch in.Op & 0xf0 {
			case 0x00:
				pc += int(in.K)
				continue
			case 0x10:
				yes = a == operand
			case 0x20:
				yes = a > operand
			case 0x30:
				yes = a >= operand
			case 0x40:
				yes = a&operand != 0
			}
			if yes {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		case 6:
			return in.K != 0
		case 7:
			if in.Op&0x80 != 0 {
				a = x
			} else {
				x = a
			}
		}
		if !ok {
			return false
		}
	}
}

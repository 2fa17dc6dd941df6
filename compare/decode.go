package compare

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"tcpsandbox/protocol"
)

// DecodedLimit is how much of a body is decoded, in bytes. A longer one is
// compared as far as that: a bomb of 1 MB ends here, too.
const DecodedLimit = 4 << 20

// contentCoding is a way in which a body is compressed (RFC 9110 §8.4).
type contentCoding uint8

const (
	codingGzip contentCoding = iota
	codingDeflate
	codingBrotli
	codingZstd

	contentCodings
)

// codingLimit is how many codings, one over the other, are undone.
const codingLimit = 4

// parseCodings reads Content-Encoding, which may stand in several fields. known
// says that all of its codings can be undone.
func parseCodings(codings []contentCoding, fields []field) (_ []contentCoding, known bool) {
	codings = codings[:0]
	for i := range fields {
		if !is(fields[i].name, "content-encoding") {
			continue
		}
		value := fields[i].value
		for more := true; more; {
			var item []byte
			item, value, more = bytes.Cut(value, comma)
			switch item = protocol.TrimSpace(item); {
			case len(item) == 0, is(item, "identity"):
				continue
			case is(item, "gzip"), is(item, "x-gzip"):
				codings = append(codings, codingGzip)
			case is(item, "deflate"):
				codings = append(codings, codingDeflate)
			case is(item, "br"):
				codings = append(codings, codingBrotli)
			case is(item, "zstd"):
				codings = append(codings, codingZstd)
			default:
				return codings, false
			}
			if len(codings) > codingLimit {
				return codings, false
			}
		}
	}
	return codings, true
}

// resetter is a decoder that can begin anew.
type resetter interface {
	io.Reader
	Reset(io.Reader) error
}

// decoders are kept: a zstd decoder is 100 KiB and more, a gzip one 40 KiB.
var decoders [contentCodings]sync.Pool // of resetter

// decode undoes the codings, the last one first. Where that comes to more than
// DecodedLimit, text is the beginning, and over is set. An error means that the
// body is not in these codings, or not to its end; text is what there is before.
// It uses and enlarges the rooms, in one of which text lies unless there was
// nothing to undo.
func decode(rooms *[2][]byte, body []byte, codings []contentCoding) (text []byte, over bool, err error) {
	text = body
	for i := len(codings) - 1; i >= 0; i-- {
		if len(text) == 0 {
			break // nothing is nothing in every coding
		}
		room := &rooms[i%2]
		var now bool
		var failed error
		*room, now, failed = undo((*room)[:0], text, codings[i])
		text, over = *room, over || now
		if failed != nil && !over { // the end of what was cut off is no error
			err = errors.Join(err, failed)
		}
	}
	return text, over, err
}

// undo undoes a coding and appends what comes out to room.
func undo(room, body []byte, c contentCoding) (_ []byte, over bool, err error) {
	from := bytes.NewReader(body)
	decoder, _ := decoders[c].Get().(resetter)
	if decoder == nil {
		decoder = newDecoder(c)
	}
	defer decoders[c].Put(decoder)
	if err := decoder.Reset(from); err != nil {
		return room, false, err
	}
	for {
		if len(room) == cap(room) {
			room = append(room, make([]byte, max(4<<10, min(len(room), DecodedLimit-len(room)+1)))...)[:len(room)]
		}
		n, err := decoder.Read(room[len(room):cap(room)])
		room = room[:len(room)+n]
		switch {
		case len(room) > DecodedLimit:
			return room[:DecodedLimit], true, nil
		case err == io.EOF:
			return room, false, nil
		case err != nil:
			return room, false, err
		}
	}
}

func newDecoder(c contentCoding) resetter {
	switch c {
	case codingGzip:
		return new(gzip.Reader)
	case codingDeflate:
		return new(inflater)
	case codingBrotli:
		return brotli.NewReader(nil)
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(8<<20)) // RFC 8878 §3.1.1.1.2 asks for 8 MiB
	if err != nil {
		panic(err) // of these options
	}
	return d
}

// inflater reads deflate, which is zlib's format by RFC 9110 §8.4.1.2, and
// without zlib's frame where servers took the name by its word.
type inflater struct {
	io.Reader
	zlib, raw io.Reader
}

func (z *inflater) Reset(from io.Reader) error {
	r := from.(*bytes.Reader)
	var frame [2]byte
	n, _ := r.ReadAt(frame[:], 0)
	// RFC 1950 §2.2: the method is 8, and both bytes are a multiple of 31.
	if n == 2 && frame[0]&15 == 8 && (int(frame[0])<<8|int(frame[1]))%31 == 0 {
		var err error
		if z.zlib == nil {
			z.zlib, err = zlib.NewReader(r)
		} else {
			err = z.zlib.(zlib.Resetter).Reset(r, nil)
		}
		z.Reader = z.zlib
		return err
	}
	if z.raw == nil {
		z.raw = flate.NewReader(r)
	} else if err := z.raw.(flate.Resetter).Reset(r, nil); err != nil {
		return err
	}
	z.Reader = z.raw
	return nil
}

package capture_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
)

// followed is a file that is read while the test writes it.
type followed struct {
	t      *testing.T
	path   string
	said   notices
	src    capture.Source
	got    chan int // how many packets have come in all, after each batch
	cancel context.CancelFunc
	ended  chan error
}

func follow(t *testing.T, path string) *followed {
	f := &followed{t: t, path: path, got: make(chan int, 1000), ended: make(chan error, 1)}
	var err error
	if f.src, err = capture.OpenFollowed(path, f.said.add); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.src.Close() })
	var ctx context.Context
	ctx, f.cancel = context.WithTimeout(context.Background(), patience)
	t.Cleanup(f.cancel)
	go func() {
		n := 0
		f.ended <- f.src.Run(ctx, func(batch []capture.Packet) error {
			n += len(batch)
			f.got <- n
			return nil
		})
	}()
	return f
}

// append writes at the end of the file, which it makes if need be.
func (f *followed) append(p []byte) {
	f.t.Helper()
	out, err := os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err == nil {
		_, err = out.Write(p)
		out.Close()
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// until waits for so many packets.
func (f *followed) until(want int) {
	f.t.Helper()
	for {
		select {
		case n := <-f.got:
			if n == want {
				return
			}
			if n > want {
				f.t.Fatalf("%d packets came, want %d", n, want)
			}
		case err := <-f.ended:
			f.t.Fatalf("it ended, with %v, before %d packets had come: %+v", err, want, f.src.Stats())
		case <-time.After(patience):
			f.t.Fatalf("%d packets did not come: %+v", want, f.src.Stats())
		}
	}
}

// end waits for the end, and returns what of the input was cut off.
func (f *followed) end() string {
	f.t.Helper()
	if err := <-f.ended; err != nil {
		f.t.Error(err)
	}
	return f.src.Stats().Truncated
}

// growth returns captures in each format and where their packets end.
func growth(t *testing.T) map[string][]byte {
	packets := capturetest.New("10.0.0.1:4000", "10.0.0.2:80").Handshake().Client("hello").Server("you").Close().Packets
	var ng strings.Builder
	w := capture.NewWriter(&ng, "test")
	var batch []capture.Packet
	for _, p := range packets {
		batch = append(batch, capture.Packet{Data: p.Data, Time: p.Time.UnixNano(), OrigLen: len(p.Data), Link: capture.LinkEthernet})
	}
	if err := w.Write(batch); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"pcap": capturetest.Pcap(packets), "pcapng": []byte(ng.String())}
}

const grown = 8 // packets in each of growth's

// TestFollow has files grow by pieces of all sizes, from before they exist: a
// packet that is there in part is waited for.
func TestFollow(t *testing.T) {
	for format, whole := range growth(t) {
		for name, pieces := range map[string][]int{
			"whole at once": {}, "header first": {2, 24, 24}, "packet by half": {100, 101, 150, len(whole) - 1}, "length by half": {34, 35},
		} {
			for _, exists := range []bool{false, true} {
				t.Run(strings.Join([]string{format, name, map[bool]string{true: "empty file", false: "no file"}[exists]}, ", "), func(t *testing.T) {
					path := filepath.Join(t.TempDir(), "shop.pcap")
					if exists {
						if err := os.WriteFile(path, nil, 0o600); err != nil {
							t.Fatal(err)
						}
					}
					f := follow(t, path)
					if !exists {
						f.said.until(t, 0, path+" is not there yet: waiting for it")
					}
					at := 0
					for _, next := range append(pieces, len(whole)) {
						f.append(whole[at:next])
						at = next
						time.Sleep(time.Millisecond) // any pause will do: what comes must be the same
					}
					f.until(grown)
					if !f.src.Live() {
						t.Error("it does not say that packets arrive as they happen")
					}
					f.cancel()
					if cut := f.end(); cut != "" {
						t.Errorf("cut off: %s", cut)
					}
					if s := f.src.Stats(); s.Packets != grown || s.Malformed != 0 {
						t.Errorf("%+v", s)
					}
				})
			}
		}
	}
}

// TestFollowEnds ends the growth of a file in every way there is.
func TestFollowEnds(t *testing.T) {
	whole := growth(t)["pcap"]
	for _, c := range []struct {
		name      string
		harm      func(f *followed) error
		said, cut string
	}{
		{"removed", func(f *followed) error { return os.Remove(f.path) }, " was removed: the capture ends", ""},
		{"renamed", func(f *followed) error { return os.Rename(f.path, f.path+".1") }, " was removed: the capture ends", ""},
		{"replaced", func(f *followed) error {
			if err := os.WriteFile(f.path+".new", whole, 0o600); err != nil {
				return err
			}
			return os.Rename(f.path+".new", f.path)
		}, "", "another file took its name while it was followed, and that one is not read"},
		{"truncated", func(f *followed) error { return os.Truncate(f.path, 30) }, "", "it was truncated while it was followed, from "},
		{"removed within a packet", func(f *followed) error {
			f.append(whole[24:60])
			return os.Remove(f.path)
		}, " was removed: the capture ends", "the last record lacks "},
		{"stopped within a packet", func(f *followed) error {
			f.append(whole[24:60])
			f.cancel()
			return nil
		}, "", ""},
		{"closed", func(f *followed) error { return f.src.Close() }, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "shop.pcap")
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			f := follow(t, path)
			f.until(grown)
			if err := c.harm(f); err != nil {
				t.Fatal(err)
			}
			if cut := f.end(); !strings.HasPrefix(cut, c.cut) || c.cut == "" && cut != "" {
				t.Errorf("cut off: %q, want %q", cut, c.cut)
			}
			said := f.said.list()
			if c.said != "" && (len(said) != 1 || said[0] != path+c.said) || c.said == "" && len(said) > 0 {
				t.Errorf("said was %q, want %q", said, c.said)
			}
		})
	}
}

// TestFollowLast removes a file right after its last packet was written: that
// one is not lost.
func TestFollowLast(t *testing.T) {
	whole := growth(t)["pcap"]
	for range 20 {
		path := filepath.Join(t.TempDir(), "shop.pcap")
		if err := os.WriteFile(path, whole[:200], 0o600); err != nil {
			t.Fatal(err)
		}
		f := follow(t, path)
		<-f.got
		f.append(whole[200:])
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if cut := f.end(); cut != "" || f.src.Stats().Packets != grown {
			t.Fatalf("%+v", f.src.Stats())
		}
	}
}

func TestFollowRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, want := range map[string]string{
		write("shop.pcap.gz", "\x1f\x8b\x08\x00"): "a gzipped file cannot be followed while it grows",
		write("notes.pcap", "some notes"):         "not a pcap or pcapng file",
		dir:                                       "only a file can be followed: what is not one is read to its end anyway",
	} {
		src, err := capture.OpenFollowed(path, nil)
		if err == nil {
			src.Close()
		}
		if want = "follow " + path + ": " + want; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := capture.OpenFollowed(filepath.Join(dir, "no such folder", "shop.pcap"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	// Nobody writes to the pipe, so that one who opens it waits for ever.
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	refused := make(chan error, 1)
	go func() {
		_, err := capture.OpenFollowed(pipe, nil)
		refused <- err
	}()
	select {
	case err := <-refused:
		if want := "follow " + pipe + ": only a file can be followed: what is not one is read to its end anyway"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	case <-time.After(patience):
		t.Error("a pipe that nobody writes to is waited for")
	}
	// What turns out later to be none.
	for text, want := range map[string]string{
		"\x1f\x8b\x08\x00": "a gzipped file cannot be followed while it grows", "some notes": "not a pcap or pcapng file",
	} {
		path := write("empty.pcap", "")
		f := follow(t, path)
		f.append([]byte(text))
		if err := <-f.ended; err == nil || err.Error() != "read "+path+": "+want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestReadFails has an input fail within a packet, as a broken disk does: what
// came before is delivered, and the error says what failed.
func TestReadFails(t *testing.T) {
	whole := growth(t)["pcap"]
	src, err := capture.OpenStream(io.MultiReader(bytes.NewReader(whole[:len(whole)-7]), iotest.ErrReader(syscall.EIO)), "shop.pcap")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	n := 0
	err = src.Run(t.Context(), func(batch []capture.Packet) error {
		n += len(batch)
		return nil
	})
	if !errors.Is(err, syscall.EIO) || err.Error() != "read shop.pcap: input/output error" || n != grown-1 {
		t.Errorf("%d packets, then %v", n, err)
	}
}

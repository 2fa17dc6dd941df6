package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"tcpsandbox/capture"
	"tcpsandbox/session"
)

// Save implements tui.Keeper: it writes what is kept of a session's packets to a
// new file in the current directory.
func (s *runScreen) Save(slot int) (path string, err error) {
	at, ok := s.slot(slot)
	if !ok {
		return "", errors.New("save: there is no such session")
	}
	kept, ok := s.p.store.Look(at.id)
	if !ok {
		return "", fmt.Errorf("save session %d: its packets are not kept any more: there was no room, or it was left out", at.id)
	}
	path, err = saveSession(kept.Session, kept.Whole, func(w *capture.Writer) error { return s.p.store.Write(at.id, w) })
	if err == nil {
		s.mu.Lock()
		s.saved[slot] = savedSession{path, kept}
		s.mu.Unlock()
	}
	return path, err
}

// Command implements tui.Keeper: it replays the session from the file that Save
// has written, or else from those that were played.
func (s *runScreen) Command(slot int) string {
	at, ok := s.slot(slot)
	if !ok {
		return ""
	}
	s.mu.Lock()
	saved, ok := s.saved[slot]
	s.mu.Unlock()
	if ok {
		return s.p.opt.replaySaved(saved.path, &saved.kept)
	}
	return s.p.opt.replayFiltered(at.client, int(s.p.tags.Load()))
}

// saveSession makes a capture of a session, session-7.pcapng in the current
// directory, or session-7-2.pcapng if that is there, and so on.
func saveSession(of *session.Session, whole bool, write func(*capture.Writer) error) (path string, err error) {
	const most = 1000
	for n := 1; n <= most; n++ {
		path = "session-" + strconv.FormatUint(of.ID, 10)
		if n > 1 {
			path += "-" + strconv.Itoa(n)
		}
		path += ".pcapng"
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		err = writeNew(path, func(f io.Writer) error {
			w := capture.NewWriter(f, "tcpsandbox "+version())
			w.Comment = fmt.Sprintf("tcpsandbox: session %d, client %v, server %v", of.ID, of.Client, of.Server)
			if !whole {
				w.Comment += ", in part"
			}
			return errors.Join(write(w), w.Flush())
		})
		if !errors.Is(err, fs.ErrExist) {
			if err != nil {
				return "", fmt.Errorf("save session %d: %w", of.ID, err)
			}
			return path, nil
		}
	}
	return "", fmt.Errorf("save session %d: there are %d files of it already, such as %s", of.ID, most, path)
}

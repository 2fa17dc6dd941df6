package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// FileError is why a report could not be written.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("write report %s: %v", e.Path, e.Err) }

func (e *FileError) Unwrap() error { return e.Err }

// Hint tells what to do about it; it is empty where the error says it all.
func (e *FileError) Hint() string {
	switch {
	case errors.Is(e.Err, errFormat):
		return "name the report with an ending that is supported, such as --report run.json"
	case errors.Is(e.Err, syscall.ENOSPC), errors.Is(e.Err, syscall.EDQUOT):
		return "free some space, or give --report a path on another file system"
	case errors.Is(e.Err, fs.ErrNotExist):
		return "mkdir -p " + filepath.Dir(e.Path)
	}
	return ""
}

// writers are the formats by the ending of the file's name.
var writers = map[string]func(*Result, io.Writer) error{
	".json": (*Result).WriteJSON,
	".xml":  (*Result).WriteJUnit,
	".html": (*Result).WriteHTML,
}

var errFormat = errors.New("no such format: supported are .json, .xml (JUnit) and .html")

// CheckName returns an error unless path has an ending that WriteFile knows,
// so that a run need not be made to learn that.
func CheckName(path string) error {
	if _, ok := writers[filepath.Ext(path)]; ok || irregular(path) {
		return nil
	}
	return &FileError{path, errFormat}
}

// CheckPlace returns an error unless a file can be made where path says, so
// that a run of hours does not lose its report to a typing error.
func CheckPlace(path string) error {
	if irregular(path) {
		return nil
	}
	if err := CheckLink(path); err != nil {
		return &FileError{path, err}
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return &FileError{path, syscall.EISDIR}
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".report-*")
	if err != nil {
		var inner *fs.PathError
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return &FileError{path, err}
	}
	f.Close()
	return os.Remove(f.Name())
}

// CheckLink returns an error if path is a symbolic link that another user has put into
// a folder where everybody may, such as /tmp: it could lead to any file of ours. Where
// it can the kernel refuses as much (proc_sys_fs(5), protected_symlinks), but not a
// file that is written beside its place, and renamed. A link of ours, or in a folder
// of somebody's own, is good.
func CheckLink(path string) error {
	for range 40 { // as many as the kernel follows
		info, err := os.Lstat(path)
		if err != nil || info.Mode().Type() != fs.ModeSymlink {
			return nil
		}
		folder, err := os.Stat(filepath.Dir(path))
		if err != nil {
			return nil
		}
		mine, its := info.Sys().(*syscall.Stat_t), folder.Sys().(*syscall.Stat_t)
		const all = fs.ModeSticky | 0o002
		if folder.Mode()&all == all && int(mine.Uid) != os.Geteuid() && mine.Uid != its.Uid {
			return errForeignLink
		}
		next, err := os.Readlink(path)
		if err != nil {
			return nil
		}
		if !filepath.IsAbs(next) {
			next = filepath.Join(filepath.Dir(path), next)
		}
		path = next
	}
	return syscall.ELOOP
}

var errForeignLink = errors.New("it is another user's link, in a folder that everybody may write to")

// irregular reports that path exists and is neither a file nor a directory.
func irregular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// WriteFile writes the result to path, in the format that its ending names;
// devices and pipes with another get JSON. A file appears whole or not at all: it is
// written beside its place first, and replaces what was there. A new one is its
// owner's only: it may hold what production's users sent. Errors are *FileError.
func WriteFile(path string, r *Result) error {
	if err := CheckName(path); err != nil {
		return err
	}
	write := writeAtomically
	if irregular(path) {
		write = writeInPlace
	}
	format, ok := writers[filepath.Ext(path)]
	if !ok {
		format = (*Result).WriteJSON
	}
	if err := write(path, func(w io.Writer) error { return format(r, w) }); err != nil {
		var inner *fs.PathError
		if errors.As(err, &inner) {
			err = inner.Err // its path is path, or that of the file beside it
		}
		return &FileError{path, err}
	}
	return nil
}

// writeInPlace is for what cannot be renamed over, such as /dev/stdout.
func writeInPlace(path string, content func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(writeBuffered(f, content), f.Close())
}

func writeAtomically(path string, content func(io.Writer) error) (err error) {
	mode := fs.FileMode(0o600)
	if err := CheckLink(path); err != nil {
		return err
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // a link stays a link
		if info, err := os.Stat(path); err == nil {
			if info.IsDir() {
				return syscall.EISDIR
			}
			mode = info.Mode().Perm()
		}
	}
	beside := fmt.Sprintf("%s.%d.partial", path, os.Getpid())
	os.Remove(beside) // what is there is not ours, or was left by one that was killed
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(beside)
		}
	}()
	// Sync: some file systems find out only then that there is no space.
	if err := errors.Join(writeBuffered(f, content), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(beside, path)
}

func writeBuffered(w io.Writer, content func(io.Writer) error) error {
	b := bufio.NewWriterSize(w, 64<<10)
	if err := content(b); err != nil {
		return err
	}
	return b.Flush()
}

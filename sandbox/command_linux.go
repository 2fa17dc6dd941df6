package sandbox

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// findProgram resolves the first word of a command as execvp(3) does, with the
// PATH in env (the last one counts) and dir for relative paths.
func findProgram(name, dir string, env []string) (string, error) {
	if name == "" {
		return "", &StartError{Command: `""`, Err: errors.New("the command is empty")}
	}
	if strings.Contains(name, "/") {
		path, err := absolute(dir, name)
		if err == nil {
			err = executable(path)
		}
		if err != nil {
			return "", startError(name, path, err)
		}
		return path, nil
	}
	failed := error(exec.ErrNotFound)
	for _, folder := range filepath.SplitList(variable(env, "PATH")) {
		path, err := absolute(dir, filepath.Join(folder, name))
		if err != nil {
			return "", startError(name, name, err)
		}
		err = executable(path)
		if err == nil {
			return path, nil
		}
		// As a shell does, tell of the file that may not be executed; a folder
		// in PATH that may not be searched is passed over.
		if info, statErr := os.Stat(path); statErr == nil && !info.IsDir() {
			failed = err
		}
	}
	if !errors.Is(failed, exec.ErrNotFound) {
		return "", startError(name, name, failed)
	}
	fix := "look for it in PATH: " + variable(env, "PATH")
	if path, err := absolute(dir, name); err == nil && executable(path) == nil {
		fix = "it is in the working directory: ./" + name
	}
	return "", &StartError{Command: name, Err: exec.ErrNotFound, Fix: fix}
}

func absolute(dir, path string) (string, error) {
	if filepath.IsAbs(path) {
		return path, nil
	}
	return filepath.Abs(filepath.Join(dir, path))
}

func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return errors.Unwrap(err) // the path is in the message already
	}
	if info.IsDir() {
		return syscall.EISDIR
	}
	if info.Mode()&0o111 == 0 {
		return syscall.EACCES
	}
	return nil
}

func variable(env []string, key string) (value string) {
	for _, pair := range env {
		if k, v, ok := strings.Cut(pair, "="); ok && k == key {
			value = v
		}
	}
	return value
}

// startError looks into why path, given as name, could not be executed.
func startError(name, path string, err error) *StartError {
	e := &StartError{Command: name, Err: err}
	info, statErr := os.Stat(path)
	switch {
	case errors.Is(err, syscall.EACCES) && statErr == nil && info.Mode()&0o111 == 0:
		e.Fix = "chmod +x " + shellQuote(path)
	case errors.Is(err, syscall.EACCES):
		e.Fix = "the application's user may not get there: try --user, or move it out of a private folder"
	case errors.Is(err, syscall.ENOEXEC):
		e.Fix = "it is neither a program for this machine nor a script with a #! line"
		if machine := builtFor(path); machine != "" {
			e.Fix = fmt.Sprintf("it was built for %s, this machine is %s", machine, runtime.GOARCH)
		}
	case errors.Is(err, syscall.ENOENT) && statErr == nil:
		e.Fix = "the file is there; what its #! line or its dynamic linker names is not"
	}
	return e
}

// builtFor returns the machine of an ELF file, as in "AARCH64".
func builtFor(path string) string {
	f, err := elf.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	return strings.TrimPrefix(f.Machine.String(), "EM_")
}

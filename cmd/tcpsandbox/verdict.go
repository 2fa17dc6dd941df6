package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"tcpsandbox/compare"
	"tcpsandbox/report"
)

// verdictFlags is what the command line of run says about what answers may
// differ in, what of them may be shown, and how much may be wrong.
type verdictFlags struct {
	rulesFiles       []string
	learn            string // the file that noise is written to; "": none
	maskNames        []string
	maxDifferentFlag string
	maxSlowdownFlag  string

	rules        *compare.Rules
	secrets      *compare.Secrets
	maxDifferent threshold // share of the compared answers
	maxSlowdown  threshold // of the application's p99 over production's, as a share of production's
}

// threshold is a share that must not be exceeded, if one was given.
type threshold struct {
	given bool
	share float64
}

func (v *verdictFlags) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&v.rulesFiles, "rules", nil, "allow the differences that this file names (YAML; may repeat)")
	f.StringVar(&v.learn, "learn", "", "write what the baseline differs in to this file, for --rules; what it has stays")
	f.StringSliceVar(&v.maskNames, "mask", nil, "hide values of this name in reports: a header's, cookie's, JSON key's, field's or parameter's")
	f.StringVar(&v.maxDifferentFlag, "max-different", "", "accept P% of the compared answers to be different or missing")
	f.StringVar(&v.maxSlowdownFlag, "max-slowdown", "", "fail when the application's p99 is more than P% over production's")
}

// complete checks and reads what was given, files too, and so what would
// otherwise fail after the run.
func (v *verdictFlags) complete() error {
	var err error
	if v.maxDifferent, err = parseThreshold("--max-different", v.maxDifferentFlag, 100); err != nil {
		return err
	}
	if v.maxSlowdown, err = parseThreshold("--max-slowdown", v.maxSlowdownFlag, math.Inf(1)); err != nil {
		return err
	}
	if slices.ContainsFunc(v.maskNames, func(name string) bool { return strings.TrimSpace(name) == "" }) {
		return errors.New("--mask: a name is empty")
	}
	v.secrets = compare.NewSecrets(v.maskNames...)
	var files []*compare.Rules
	for _, path := range v.rulesFiles {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && v.learn != "" && filepath.Clean(path) == filepath.Clean(v.learn) {
			continue // it is yet to be learned
		}
		if err != nil {
			return fmt.Errorf("read rules %s: %w", path, inner(err))
		}
		one, err := compare.ParseRules(path, text)
		if err != nil {
			return err
		}
		files = append(files, one)
	}
	v.rules = compare.Default().With(files...)
	if v.learn == "" {
		return nil
	}
	if err := report.CheckLink(v.learn); err != nil {
		return fmt.Errorf("write rules %s: %w", v.learn, err)
	}
	// What can be read, added to and written beside can be written after the run.
	if _, err := v.learned(nil); err != nil {
		return err
	}
	beside, err := os.CreateTemp(filepath.Dir(resolved(v.learn)), ".learn-*")
	if err != nil {
		return fmt.Errorf("write rules %s: %w", v.learn, inner(err))
	}
	beside.Close()
	return os.Remove(beside.Name())
}

// learned returns the text of the learned file with these places in it.
func (v *verdictFlags) learned(places []compare.LearnedPlace) ([]byte, error) {
	if info, err := os.Stat(v.learn); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("write rules %s: it is not a file", v.learn)
	}
	existing, err := os.ReadFile(v.learn)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read rules %s: %w", v.learn, inner(err))
	}
	return compare.WriteLearned(v.learn, existing, places)
}

// saveLearned adds places to the file that --learn names. The file is whole
// at any time.
func (v *verdictFlags) saveLearned(places []compare.LearnedPlace) (err error) {
	text, err := v.learned(places)
	if err != nil {
		return err
	}
	path, mode := resolved(v.learn), fs.FileMode(private)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	beside := fmt.Sprintf("%s.%d.partial", path, os.Getpid())
	defer func() {
		if err != nil {
			os.Remove(beside)
			err = fmt.Errorf("write rules %s: %w", v.learn, inner(err))
		}
	}()
	os.Remove(beside) // what is there is not ours, or was left by one that was killed
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(beside, path)
}

// resolved follows links, so that a link stays one when its file is replaced.
func resolved(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	return path
}

// inner takes the path off an error that is named for it already.
func inner(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		var errno syscall.Errno
		if errors.As(path.Err, &errno) {
			return errno
		}
	}
	return err
}

// parseThreshold reads "0.1%" or "0.1" as 0.001, and "" as no threshold.
func parseThreshold(flag, text string, most float64) (threshold, error) {
	if text == "" {
		return threshold{}, nil
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(n >= 0 && n <= most) || math.IsInf(n, 0) {
		upTo := ""
		if !math.IsInf(most, 1) {
			upTo = fmt.Sprintf(" and at most %g", most)
		}
		return threshold{}, fmt.Errorf("%s %s: want a percentage of at least 0%s, such as 0.1%%", flag, text, upTo)
	}
	return threshold{true, n / 100}, nil
}

// keepFindings writes what outlives the run: an example of each group of
// differences, and what was learned of the noise. It goes on after an error.
func (p *pipeline) keepFindings(r *report.Result) error {
	failed := p.saveFailures(r.Differences)
	if p.opt.learn == "" {
		return failed
	}
	var places []compare.LearnedPlace
	for _, n := range p.summary.Noise {
		places = append(places, compare.LearnedPlace{Route: n.Route, Place: n.Place, Differed: n.Baseline, Answers: n.Answers})
	}
	return errors.Join(failed, p.opt.saveLearned(places))
}

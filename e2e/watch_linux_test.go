package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"tcpsandbox/capture"
)

// watch writes what passes production's interface to prod.pcapng, for those
// who look into a failure.
func (w *world) watch() error {
	var src capture.Source
	err := w.namespaces["prod"].onThread(func() (err error) {
		src, err = capture.OpenLive("eth0", capture.LiveConfig{})
		return err
	})
	if err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(w.dir, "prod.pcapng"))
	if err != nil {
		src.Close()
		return err
	}
	done := make(chan error, 1)
	go func() {
		out := capture.NewWriter(file, "tcpsandbox e2e")
		err := src.Run(context.Background(), out.Write)
		done <- errors.Join(err, out.Flush(), file.Close())
	}()
	w.unwatch = func() {
		src.Close()
		if err := <-done; err != nil {
			w.t.Errorf("capture for inspection: %v", err)
		}
	}
	return nil
}

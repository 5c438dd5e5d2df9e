package bench_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// profile takes a profile of the first process's processor time, for some seconds from now on; the returned function
// waits for its end. Without -pprof it does nothing.
func (f *fixture) profile(t *testing.T, name string, seconds int) (wait func()) {
	t.Helper()
	if *profiles == "" {
		return func() {}
	}
	var group sync.WaitGroup
	var err error
	address := f.pprof
	group.Go(func() {
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			err = save(name+".cpu", fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", address, seconds))
			if err == nil || time.Now().After(deadline) { // at first the process does not listen yet
				return
			}
		}
	})
	return func() {
		group.Wait()
		require.NoError(t, err)
	}
}

// heap takes a profile of what the first process has in memory.
func (f *fixture) heap(t *testing.T, name string) {
	t.Helper()
	if *profiles != "" {
		require.NoError(t, save(name+".heap", f.pprof+"/debug/pprof/heap"))
	}
}

func save(name, url string) error {
	response, err := http.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s %w", url, response.Status, text, err)
	}
	if err := os.MkdirAll(*profiles, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(*profiles, name+".pprof"), text, 0o600)
}

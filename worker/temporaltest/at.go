package temporaltest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// At is the server at an address, once it answers. The test's end disconnects from it and leaves it running.
func At(t testing.TB, address string) *Server {
	t.Helper()
	var s *Server
	require.Eventually(t, func() (ok bool) {
		var err error
		s, err = connect(address)
		return err == nil
	}, ready, 50*time.Millisecond, "no Temporal answers at %s", address)
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	return s
}

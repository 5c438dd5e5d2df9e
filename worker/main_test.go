package worker_test

import (
	"os"
	"testing"

	"github.com/compozy/schedules/worker/temporaltest"
)

// server is the Temporal server of this test binary.
var server *temporaltest.Server

func TestMain(m *testing.M) { os.Exit(temporaltest.Run(m, &server)) }

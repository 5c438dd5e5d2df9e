package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/config"
)

func TestQuickstart(t *testing.T) {
	t.Run("Should load, with a run every few seconds and a paused one", func(t *testing.T) {
		project, err := config.Load("../examples/quickstart")
		require.NoError(t, err)
		assert.Equal(t, "quickstart", project.Name)
		assert.Equal(t, []string{"daily-report", "heartbeat", "invoice-reminder", "price-refresh", "warehouse-sync"}, ids(project))
		assert.Len(t, project.Scheduled(), 5)
		timing, err := config.ParseCron(project.Workflows[1].Schedule.Cron, "")
		require.NoError(t, err)
		assert.Equal(t, 5*time.Second, timing.Every)
		assert.False(t, project.Workflows[4].Schedule.IsEnabled())
	})
}

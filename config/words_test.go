package config_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/compozy/schedules/config"
)

func TestWords(t *testing.T) {
	tests := []struct{ cron, zone, want string }{
		{"@every 90s", "", "every 1m30s"},
		{"@every 5m", "", "every 5m"},
		{"@every 60m", "", "every 1h"},
		{"@every 70m", "", "every 1h10m"},
		{"@every 1h0m30s", "", "every 1h0m30s"},
		{"@every 10s", "Asia/Tokyo", "every 10s"},
		{"* * * * *", "", "every minute"},
		{"*/1 * * * *", "", "every minute"},
		{"*/5 * * * *", "", "every 5 minutes"},
		{"0-59/15 * * * *", "", "every 15 minutes"},
		{"0,30 * * * *", "", "every 30 minutes"},
		{"0 * * * *", "", "every hour at :00"},
		{"7 * * * *", "", "every hour at :07"},
		{"@hourly", "", "every hour at :00"},
		{"15 */6 * * *", "", "at 00:15, 06:15, 12:15, 18:15"},
		{"15 */2 * * *", "", "every 2 hours at :15"},
		{"@daily", "", "at 00:00"},
		{"30 9 * * *", "UTC", "at 09:30"},
		{"30 9,17 * * *", "", "at 09:30, 17:30"},
		{"0 9 * * 1-5", "America/New_York", "at 09:00 on Monday to Friday (America/New_York)"},
		{"CRON_TZ=Asia/Tokyo 0 9 * * *", "", "at 09:00 (Asia/Tokyo)"},
		{"0 9 * * 0", "", "at 09:00 on Sunday"},
		{"@weekly", "", "at 00:00 on Sunday"},
		{"0 9 * * 0,6", "", "at 09:00 on Sunday, Saturday"},
		{"0 9 * * 1,2", "", "at 09:00 on Monday, Tuesday"},
		{"0 9 * * 4-6", "", "at 09:00 on Thursday to Saturday"},
		{"*/10 * * * 6", "", "every 10 minutes on Saturday"},
		{"@monthly", "", "at 00:00 on day 1 of the month"},
		{"0 9 31 * *", "", "at 09:00 on day 31 of the month"},
		// A full range is a restriction, and cron joins restrictions with "or": every day.
		{"0 9 13 * 0-6", "", "cron 0 9 13 * 0-6"},
		{"0 9 1-31 * 1", "", "cron 0 9 1-31 * 1"},
		// No short words.
		{"0 0 13 * 5", "", "cron 0 0 13 * 5"},
		{"0  0 1,15   * *", "", "cron 0 0 1,15 * *"},
		{"@yearly", "", "cron @yearly"},
		{"0 0 1 1 *", "Europe/Berlin", "cron 0 0 1 1 * (Europe/Berlin)"},
		{"*/7 * * * *", "", "cron */7 * * * *"},
		{"5-59/5 * * * *", "", "cron 5-59/5 * * * *"},
		{"*/5 9-17 * * *", "", "cron */5 9-17 * * *"},
		{"0 8-18/2 * * *", "", "cron 0 8-18/2 * * *"},
		{"0 */5 * * *", "", "cron 0 */5 * * *"},
		// What does not parse is shown as it is.
		{"every now and then", "", "every now and then"},
		{"0 9 * * *", "Nowhere/City", "0 9 * * *"},
	}
	for _, test := range tests {
		t.Run("Should say "+test.cron+" "+test.zone, func(t *testing.T) {
			assert.Equal(t, test.want, (&config.Schedule{Cron: test.cron, Timezone: test.zone}).Words())
		})
	}
}

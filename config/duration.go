package config

import (
	"fmt"
	"time"
)

// ParseDuration reads the Go duration (such as 90s, 5m or 1h30m) of the named field. Empty means zero.
// A negative one is an error.
func ParseDuration(field, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("invalid %s %q: write a duration such as 90s, 5m or 1h30m", field, text)
	}
	if d < 0 {
		return 0, fmt.Errorf("invalid %s %q: a duration is not negative, so remove the minus sign", field, text)
	}
	return d, nil
}

// Duration is a time.Duration that is text ("1m30s") in JSON, so that people can write and read it
// in signals, queries and answers.
type Duration time.Duration

// MarshalText writes the Go form, such as 1m30s.
func (d Duration) MarshalText() ([]byte, error) {
	return []byte(time.Duration(d).String()), nil
}

// UnmarshalText reads the Go form.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := ParseDuration("duration", string(text))
	*d = Duration(parsed)
	return err
}

package cmd

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compozy/schedules/config"
)

func newVersion(env Environment) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(env.Out, version())
			return err
		},
	}
}

// version is what the Go toolchain stamped into the binary.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "schedules (unknown build)"
	}
	var text strings.Builder
	text.WriteString("schedules " + info.Main.Version)
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			text.WriteString(" " + config.Short(setting.Value))
		}
	}
	return text.String() + " " + info.GoVersion
}

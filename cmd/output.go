package cmd

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// addOutputFlag adds the flag for the form of what a command prints; isJSON reads it.
func addOutputFlag(command *cobra.Command, output *string) {
	command.Flags().StringVarP(output, "output", "o", "text", "text or json")
	completeFlag(command, "output", "text", "json")
}

// completeFlag tells the shells a flag's values.
func completeFlag(command *cobra.Command, name string, values ...string) {
	// It fails only for a flag that the command does not have.
	_ = command.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

func isJSON(output string) (bool, error) {
	if output != "text" && output != "json" {
		return false, fmt.Errorf("unknown output %q: use text or json", output)
	}
	return output == "json", nil
}

func printJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

package cmd

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compozy/schedules/config"
)

func newSchema(env Environment) *cobra.Command {
	kinds := make([]string, 0, len(config.SchemaKinds()))
	for _, kind := range config.SchemaKinds() {
		kinds = append(kinds, string(kind))
	}
	return &cobra.Command{
		Use:   "schema " + strings.Join(kinds, "|"),
		Short: "Print the JSON Schema of a kind of file, for editors",
		Long: "Print the JSON Schema (draft 2020-12) of a workflow file, or of the project's compozy.yaml. Editors that\n" +
			"know it complete and explain the keys, and mark mistakes while you type. `schedules validate` is stricter.",
		Example:   "  schedules schema workflow > workflow.schema.json",
		ValidArgs: kinds,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name one kind of file: " + strings.Join(kinds, " or "))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := config.Schema(config.SchemaKind(args[0]))
			if err != nil {
				return err
			}
			_, err = env.Out.Write(text)
			return err
		},
	}
}

package cmd

import (
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compozy/schedules/api"
	"github.com/compozy/schedules/config"
)

func newAPIKey(env Environment) *cobra.Command {
	command := &cobra.Command{
		Use:   "api-key",
		Short: "Make keys for the API",
		Args:  cobra.NoArgs,
	}
	command.AddCommand(newAPIKeyNew(env))
	return command
}

func newAPIKeyNew(env Environment) *cobra.Command {
	var name, output string
	var scopes []string
	command := &cobra.Command{
		Use:   "new",
		Short: "Make a key and print it once, with the line for the settings",
		Long: "Make a key and print it once, with the line for the settings of `schedules serve`. Only the key's hash\n" +
			"goes there: nobody can print the key again. The key goes to its user, into " + tokenVariable + ".",
		Example: "  schedules api-key new --name ci --scope " + strings.Join(config.Scopes(), " --scope "),
		Args:    cobra.NoArgs,
	}
	command.Flags().StringVar(&name, "name", "", "who uses the key; it stands in logs and in schedules' notes")
	command.Flags().StringSliceVar(&scopes, "scope", []string{config.ScopeRead},
		"what the key may do: "+strings.Join(config.Scopes(), ", ")+"; may be repeated")
	addOutputFlag(command, &output)
	completeFlag(command, "scope", config.Scopes()...)
	command.RunE = func(*cobra.Command, []string) error {
		asJSON, err := isJSON(output)
		if err != nil {
			return err
		}
		key, err := api.NewKey(name, scopes)
		if err != nil {
			return err
		}
		return printKey(env, key, asJSON)
	}
	return command
}

func printKey(env Environment, key api.Key, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(env.Out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(map[string]any{
			"token": key.Token, "name": key.Setting.Name, "sha256": key.Setting.SHA256, "scopes": key.Setting.Scopes,
			"variable": key.Variable(),
		})
	}
	return say(env.Out, "The key, shown this once:\n\n  %s\n\nFor the settings of `schedules serve`, in the file:\n\napi_keys:\n%s\n\n"+
		"or as a variable, further keys after a comma:\n\n%s", key.Token, key.YAML(), key.Variable())
}

// Command schedules keeps a project's Temporal schedules equal to its YAML.
package main

import (
	"os"

	// A bare container has no zone files of its own.
	_ "time/tzdata"

	"github.com/compozy/schedules/cmd"
)

func main() {
	os.Exit(cmd.Main(os.Args[1:], cmd.OS()))
}

// Checks Grafana dashboards against Grafana's own schema: no unknown field, none missing, each value of
// its type, also in the options of each kind of panel.
package main

import (
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins()
	code := 0
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			code = 1
		}
	}
	os.Exit(code)
}

func check(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var read dashboard.Dashboard
	if err := read.UnmarshalJSONStrict(text); isMistake(err) {
		return err
	}
	if err := read.Validate(); isMistake(err) {
		return err
	}
	return nil
}

// Where all is right, both return an error without words.
func isMistake(err error) bool {
	return err != nil && err.Error() != ""
}

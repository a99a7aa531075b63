package cli

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/spf13/cobra"
)

// walk visits every command of ours.
func walk(cmd *cobra.Command, visit func(path, use, short, example string)) {
	for _, c := range cmd.Commands() {
		if c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		visit(c.CommandPath(), c.Use, c.Short, c.Example)
		walk(c, visit)
	}
}

func walkLong(cmd *cobra.Command, visit func(long string)) {
	visit(cmd.Long)
	for _, c := range cmd.Commands() {
		walkLong(c, visit)
	}
}

// TestHelp compares the tree of commands and some help texts with testdata/help; regenerate with -rewrite.
func TestHelp(t *testing.T) {
	datadriven.Walk(t, "testdata/help", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			root := newRoot(&session{sys: Machine()})
			switch d.Cmd {
			case "tree":
				var sb strings.Builder
				walk(root, func(path, use, short, _ string) {
					_, args, _ := strings.Cut(use, " ")
					fmt.Fprintf(&sb, "%-44s %s\n", strings.TrimSpace(path+" "+args), short)
				})
				return sb.String()
			case "help":
				var out bytes.Buffer
				root.SetOut(&out)
				root.SetArgs(append(strings.Fields(d.Input), "--help"))
				if err := root.Execute(); err != nil {
					return err.Error()
				}
				return out.String()
			}
			t.Fatalf("unknown command %s", d.Cmd)
			return ""
		})
	})
}

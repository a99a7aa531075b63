package kv

import (
	"flag"
	"os"
	"testing"
)

// checksInCI are the random cases of each property in every test run; -rapid.checks asks for more.
const checksInCI = "30"

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", checksInCI); err != nil { // before the command line is read
		panic(err)
	}
	os.Exit(m.Run())
}

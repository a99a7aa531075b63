package exec_test

import (
	"testing"

	"aval/internal/exec/exectest"
)

// TestTranscripts runs the transcripts in testdata; exectest's doc.go describes their language.
func TestTranscripts(t *testing.T) { exectest.Run(t, "testdata") }

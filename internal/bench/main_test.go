package bench

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"aval/internal/config"
	"aval/internal/node"
)

// childEnv makes the test binary behave as the program for the processes that a run starts.
const childEnv = "AVAL_BENCH_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := child(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child is "bench load" or "node run --home DIR".
func child(ctx context.Context, args []string) error {
	if args[0] == "bench" {
		return Generate(ctx, os.Stdin, os.Stdout)
	}
	c, err := config.Load(args[3], os.LookupEnv, nil)
	if err != nil {
		return err
	}
	nc, err := node.Load(c, []byte(os.Getenv("AVAL_PASSPHRASE")))
	if err != nil {
		return err
	}
	if nc.Logger, err = c.Log.Logger(os.Stderr); err != nil {
		return err
	}
	return node.Run(ctx, nc)
}

// Command aval runs nodes of a ledger of payable vouchers, and is the command line of those who use it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"aval/internal/cli"
)

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	code := cli.Main(ctx, cli.Machine(), os.Args[1:])
	stop()
	os.Exit(code)
}

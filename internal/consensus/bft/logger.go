package bft

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
)

// logTextMax bounds one line of the kernel, in bytes.
const logTextMax = 512

// kernelLog passes on what the kernel says. The kernel narrates every step, and what it warns of is mostly what
// networks do, so its levels are lowered by one.
type kernelLog struct {
	log *slog.Logger
	// failed is told why the kernel cannot go on.
	failed func(text string)
}

func (l *kernelLog) write(level slog.Level, template string, args []any) {
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	l.log.Log(context.Background(), level, "kernel", slog.String("text", logText(template, args)))
}

// logText formats a line. Whole messages, which may hold megabytes, are named by their kind.
func logText(template string, args []any) string {
	short := make([]any, len(args))
	for i, a := range args {
		if m, ok := a.(*smartbftprotos.Message); ok {
			a = kindOf(m)
		}
		short[i] = a
	}
	text := fmt.Sprintf(template, short...)
	if len(text) > logTextMax {
		text = text[:logTextMax] + "…"
	}
	return text
}

// Debugf logs at debug level.
func (l *kernelLog) Debugf(template string, args ...any) { l.write(slog.LevelDebug-1, template, args) }

// Infof logs at debug level.
func (l *kernelLog) Infof(template string, args ...any) { l.write(slog.LevelDebug, template, args) }

// Warnf logs at info level.
func (l *kernelLog) Warnf(template string, args ...any) { l.write(slog.LevelInfo, template, args) }

// Errorf logs at warning level.
func (l *kernelLog) Errorf(template string, args ...any) { l.write(slog.LevelWarn, template, args) }

// Panicf ends the calling goroutine of the kernel. The kernel calls it where it cannot go on; whoever runs the kernel
// is told, stops it and starts another from ledger and log, as after a crash, without taking the node down.
func (l *kernelLog) Panicf(template string, args ...any) {
	l.failed(logText(template, args))
	runtime.Goexit()
}

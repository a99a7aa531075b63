//go:build !linux

package transport

import (
	"log/slog"
	"net"
)

// tuneSocket leaves the socket as it is where the option is not known.
func tuneSocket(net.Conn, *slog.Logger) {}

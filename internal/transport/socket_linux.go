package transport

import (
	"log/slog"
	"net"

	"golang.org/x/sys/unix"
)

// notSentBytesMax is how much unsent data the kernel may hold for a link. Without a bound it takes megabytes of
// bulk, and a vote written after them would wait for all of it.
const notSentBytesMax = 2 * ChunkBytes

// tuneSocket bounds what the kernel buffers. That is a matter of speed alone, so failures are only logged.
func tuneSocket(raw net.Conn, log *slog.Logger) {
	tcp, ok := raw.(*net.TCPConn)
	if !ok {
		return
	}
	rc, err := tcp.SyscallConn()
	if err == nil {
		ctlErr := rc.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSentBytesMax)
		})
		if ctlErr != nil {
			err = ctlErr
		}
	}
	if err != nil {
		log.Debug("a socket keeps its buffer size", slog.Any("error", err))
	}
}

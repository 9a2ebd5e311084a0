// Package systemd speaks with the service manager: ready, stopping, the watchdog, sockets that it holds, and the
// journal; it also has the queue in front of the log, whoever reads that. Without a service manager every call is a no-op.
package systemd

import (
	"fmt"
	"net"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// Ready says that the gateway serves.
func Ready() error { return notify(daemon.SdNotifyReady) }

// Stopping says that it is about to end.
func Stopping() error { return notify(daemon.SdNotifyStopping) }

func notify(state string) error {
	if _, err := daemon.SdNotify(false, state); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}

// Listeners are the sockets that systemd holds for the gateway, by the FileDescriptorName of their unit. They are handed
// over once: a second call finds none.
func Listeners() (map[string][]net.Listener, error) {
	return activation.ListenersWithNames()
}

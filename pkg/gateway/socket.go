package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SocketGroup may use the command line as root may.
const SocketGroup = "slipway"

// listenSocket makes the command line's way in. It is bound under a private name, gets its mode and group, and only
// then its own: nobody connects to a socket that is open too wide.
func listenSocket(path string) (net.Listener, error) {
	if err := patiently(func() error { return Unanswered(path) }); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	private, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	// A socket's path ends at 107 bytes, and the private name may be the longer one: bind within the folder.
	dir, err := os.Open(private)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	bound := fmt.Sprintf("/proc/self/fd/%d/s", dir.Fd())
	l, err := net.Listen("unix", bound)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := errors.Join(shareSocket(bound), os.Rename(filepath.Join(private, "s"), path)); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Unanswered is an error while somebody answers on the socket.
func Unanswered(path string) error {
	c, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return nil
	}
	c.Close()
	return fmt.Errorf("another slipway serves on %s: stop it, or set another socket", path)
}

// patiently tries for a second. A gateway that was killed while it started a worker lives on in that child for the
// moment between fork and exec, with all its sockets: seen once in 190 kills.
func patiently(try func() error) error {
	const tries, pause = 11, 100 * time.Millisecond
	err := try()
	for n := 1; n < tries && err != nil; n++ {
		time.Sleep(pause)
		err = try()
	}
	return err
}

// shareSocket opens the socket to its group, where the group exists and the daemon may give it away.
func shareSocket(path string) error {
	if g, err := user.LookupGroup(SocketGroup); err == nil {
		if gid, err := strconv.Atoi(g.Gid); err == nil {
			_ = os.Chown(path, -1, gid) // a daemon that runs for a developer is in no such group
		}
	}
	return os.Chmod(path, 0o660)
}

// peerOf finds who is at the other end of a unix connection. Who may do everything is root, the daemon's own user, and
// the members of the group.
func peerOf(c net.Conn) (peer, error) {
	conn, ok := c.(*net.UnixConn)
	if !ok {
		return peer{}, nil
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var p peer
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			failed = err
			return
		}
		p.uid = cred.Uid
		if p.trusted = cred.Uid == 0 || int(cred.Uid) == os.Getuid(); p.trusted {
			return
		}
		groups, err := peerGroups(int(fd))
		failed = err
		p.trusted = slices.ContainsFunc(append(groups, cred.Gid), isSocketGroup)
	})
	return p, errors.Join(err, failed)
}

// peerGroups are the supplementary groups that the peer had when it connected, from the kernel and not from a
// database that may have changed since.
func peerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 256)
	length := uint32(len(groups) * 4)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
		uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&length)), 0)
	if errno != 0 {
		return nil, os.NewSyscallError("getsockopt SO_PEERGROUPS", errno)
	}
	return groups[:length/4], nil
}

func isSocketGroup(gid uint32) bool {
	g, err := user.LookupGroupId(strconv.FormatUint(uint64(gid), 10))
	return err == nil && g.Name == SocketGroup
}

// peerKey finds in a connection's context who is at its other end.
type peerKey struct{}

// peer is a process on this machine.
type peer struct {
	uid     uint32
	trusted bool
}

// markPeer is the socket server's ConnContext.
func markPeer(ctx context.Context, c net.Conn) context.Context {
	p, err := peerOf(c)
	if err != nil {
		p.trusted = false
	}
	return context.WithValue(ctx, peerKey{}, p)
}

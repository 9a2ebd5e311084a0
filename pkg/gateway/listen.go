package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/slipway-gateway/slipway/pkg/certificate"
	"github.com/slipway-gateway/slipway/pkg/config"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/systemd"
)

// mostConnections bounds each listener: a gateway's memory is scarce, and 8,000 devices that boot at once queue for a
// moment in the kernel.
const mostConnections = 4096

// door is one listener and what it serves.
type door struct {
	net.Listener
	name string // https, http, device_https or device_http
}

// ways are all listeners and the command line's socket.
type ways struct {
	doors        []door
	socket       net.Listener // nil: its disk takes nothing
	smallRecords bool         // to clients of TLS
	warnings     []string     // addresses in the settings that a socket of systemd overrides with another one
}

// listen binds everything before anything is touched: a port that is taken damages nothing. Sockets that systemd holds
// take the place of the settings of the same name.
func listen(cfg config.Config) (*ways, error) {
	held, err := systemd.Listeners()
	if err != nil {
		return nil, err
	}
	w := &ways{smallRecords: cfg.TLSSmallRecords}
	for _, way := range []struct {
		name      string
		addresses config.Addresses
	}{
		{"https", cfg.ListenHTTPS}, {"http", cfg.ListenHTTP},
		{"device_https", cfg.ListenDeviceHTTPS}, {"device_http", cfg.ListenDeviceHTTP},
	} {
		if given := held[way.name]; len(given) > 0 {
			delete(held, way.name)
			for _, l := range given {
				w.doors = append(w.doors, door{l, way.name})
				w.warnIfOther(cfg, way.name, way.addresses, l.Addr())
			}
			continue
		}
		for _, address := range way.addresses {
			var l net.Listener
			err := patiently(func() (err error) {
				l, err = plainTCP().Listen(context.Background(), "tcp", address)
				return err
			})
			if err != nil {
				w.close()
				return nil, refused(way.name, address, err)
			}
			w.doors = append(w.doors, door{l, way.name})
		}
	}
	if err := w.checkHeld(cfg, held); err != nil {
		w.close()
		return nil, err
	}
	w.socket, err = listenSocket(cfg.Socket)
	if errors.Is(fleet.OfDisk(err), fleet.ErrFull) {
		w.warnings = append(w.warnings, fmt.Sprintf("the command line cannot reach the gateway, as the disk of its socket takes nothing (%v): set a socket in /run", err))
		return w, nil
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// standIn is the folder for a copy of the catalog while its disk takes nothing: beside the socket, which nobody else has
// and which is in memory.
func (w *ways) standIn(cfg config.Config) string {
	if w.socket == nil {
		return filepath.Join(os.TempDir(), fmt.Sprintf("slipway-%.8x.catalog", sha256.Sum256([]byte(cfg.CatalogDir))))
	}
	return cfg.Socket + ".catalog"
}

// warnIfOther tells an operator who has set an address that it is not what counts.
func (w *ways) warnIfOther(cfg config.Config, name string, configured config.Addresses, held net.Addr) {
	_, port, _ := net.SplitHostPort(held.String())
	for _, address := range configured {
		if strings.HasSuffix(address, ":"+port) {
			return
		}
	}
	for _, v := range cfg.Values() {
		if v.Key == "listen."+name && v.Source != "default" {
			w.warnings = append(w.warnings, fmt.Sprintf("listen.%s is %s in %s, but slipway.socket holds %s, which counts: systemctl edit slipway.socket",
				name, v.Value, v.Source, held))
		}
	}
}

// plainTCP listens without Multipath TCP, which Go takes by itself: its connections do not inherit TCP_NOTSENT_LOWAT, and
// megabytes were queued for a device that reads 1 KiB.
func plainTCP() *net.ListenConfig {
	var c net.ListenConfig
	c.SetMultipathTCP(false)
	return &c
}

// page is the address under which people reach all doors, host being who we are where the listener does not say it.
func (w *ways) page(host func() string) string {
	for _, name := range []string{"https", "http"} {
		for _, d := range w.doors {
			tcp, ok := d.Addr().(*net.TCPAddr)
			if d.name != name || !ok {
				continue
			}
			address := tcp.IP.String()
			if tcp.IP.IsUnspecified() {
				address = host()
			}
			usual := map[string]string{"https": ":443", "http": ":80"}[name]
			return strings.TrimSuffix(name+"://"+net.JoinHostPort(address, strconv.Itoa(tcp.Port)), usual)
		}
	}
	return ""
}

// checkHeld refuses held sockets that nobody would serve, and in test mode those that the LAN reaches: the settings
// cannot know their addresses.
func (w *ways) checkHeld(cfg config.Config, left map[string][]net.Listener) error {
	for name := range left {
		return fmt.Errorf("systemd holds a socket named %q: name it https, http, device_https or device_http by FileDescriptorName=", name)
	}
	if cfg.AuthDevice != "none" || cfg.InsecureLAN {
		return nil
	}
	for _, d := range w.doors {
		if tcp, ok := d.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
			return fmt.Errorf("test mode admits everybody, and %s is reachable from the LAN: set auth.insecure_lan: true as well", d.Addr())
		}
	}
	return nil
}

func refused(name, address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen.%s: %s is in use by another program: stop that program, or set another address", name, address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listen.%s: %s needs privileges: choose a port of 1024 or above, or let slipway.socket hold it", name, address)
	}
	return fmt.Errorf("listen.%s: %w", name, err)
}

func (w *ways) close() {
	for _, d := range w.doors {
		d.Close()
	}
	if w.socket != nil {
		w.socket.Close()
	}
}

func (w *ways) addresses() string {
	var all []byte
	for _, d := range w.doors {
		if len(all) > 0 {
			all = append(all, ' ')
		}
		all = append(all, d.name+"="+d.Addr().String()...)
	}
	return string(all)
}

// endpoints says what is served on each listener, and is told what all of them and the device doors serve.
func (w *ways) endpoints(all, devices http.Handler, identity *certificate.Identity, gate *endpoint.Gate) []endpoint.Listener {
	var served []endpoint.Listener
	for _, d := range w.doors {
		e := endpoint.Listener{Listener: d.Listener, Handler: all, MaxConnections: mostConnections, Gate: gate}
		if d.name == "device_https" || d.name == "device_http" {
			e.Handler = devices
		}
		if d.name == "https" || d.name == "device_https" {
			e.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: identity.GetCertificate}
			e.SmallRecords = w.smallRecords
		}
		served = append(served, e)
	}
	if w.socket == nil {
		return served
	}
	return append(served, endpoint.Listener{Listener: w.socket, Handler: all, Identify: markPeer})
}

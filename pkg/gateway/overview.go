package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/backup"
	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/certificate"
	"github.com/slipway-gateway/slipway/pkg/config"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/depot"
	"github.com/slipway-gateway/slipway/pkg/dropfolder"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/mqtt"
	"github.com/slipway-gateway/slipway/pkg/sighting"
	"github.com/slipway-gateway/slipway/pkg/webhook"
)

// overview answers what people ask about the gateway as a whole. It is the operator door's gateway, and where metrics come
// from.
type overview struct {
	cfg      config.Config
	binary   Binary
	started  time.Time
	clock    clock
	recovery *recovery
	store    *catalog.Catalog
	depot    *depot.Depot
	dumps    *dumpFront
	lostKey  func() error // a file that is gone from among the keys
	book     *sighting.Book
	identity *certificate.Identity
	folder   *dropfolder.Folder // nil: off
	backups  *backup.Daily      // nil: off
	source   *backup.Source
	doors    *ways
	gate     *endpoint.Gate
	broker   *mqtt.Broker // nil: off
	rollouts rolloutList
	webhooks *webhook.Courier
	storage  *storage
}

// Ready reports that recovery is over.
func (o *overview) Ready() bool { return o.recovery.isOver() }

// Rebuild reads again what lies on disk.
func (o *overview) Rebuild(ctx context.Context) error { return o.recovery.again(ctx, true) }

// Backup writes everything that cannot be found again, private keys too.
func (o *overview) Backup(w io.Writer) error { return o.source.Write(w) }

// BackUpNow makes the daily backup at once.
func (o *overview) BackUpNow(ctx context.Context) (made api.MadeBackup, err error) {
	if o.backups == nil {
		return made, fleet.Refused("catalog.backup is off: set it to daily, or write one with slipway backup create FILE")
	}
	c, err := o.backups.MakeNow(context.WithoutCancel(ctx)) // one that is begun is ended, whoever stops waiting
	return api.MadeBackup{File: filepath.Join(o.backups.Dir, c.Name), Bytes: c.Size, Records: c.Records}, err
}

// AcceptClock notes the time that the clock says now, back too.
func (o *overview) AcceptClock() (time.Time, error) {
	now := time.Now()
	return now, o.clock.accept(now)
}

// CA is the gateway's own certificate authority, PEM; nil where an operator brought a certificate.
func (o *overview) CA() ([]byte, error) { return o.identity.CA() }

// Status is what `slipway status` and the page tell.
func (o *overview) Status() (api.Status, error) {
	s := api.Status{
		Version: o.binary.Version, StartedAt: o.started.UTC(), Trouble: o.Trouble(), Listens: o.doors.addresses(), BaseURL: o.BaseURL(),
		DropFolder: o.cfg.DropDir, CAFile: o.identity.CAFile(), CertificateTo: o.identity.NotAfter(),
	}
	s.Trouble, s.Warnings = api.List(s.Trouble), []string{}
	s.Healthy = o.Ready() && len(s.Trouble) == 0
	models, err := o.store.Models()
	if err != nil {
		return s, err
	}
	for _, m := range models {
		if text := m.NoSymbols(); text != "" {
			s.Warnings = append(s.Warnings, text)
		}
	}
	stock, err := o.store.Stock()
	if err != nil {
		return s, err
	}
	s.Models, s.Devices, s.OpenCrashes = stock.Models, stock.Devices, stock.Open
	for _, n := range stock.Dumps {
		s.Dumps += n
	}
	s.Waiting, s.Missing, s.Failed = stock.Dumps[crash.Waiting], stock.Dumps[crash.Missing], stock.Dumps[crash.Failed]
	regrouping, err := o.store.Regrouping()
	if err != nil {
		return s, err
	}
	s.Regrouped = regrouping.String()
	if s.CountedSince, err = o.store.CountedSince(); err != nil {
		return s, err
	}
	if s.AssetBytes, err = o.depot.Usage(); err != nil {
		return s, err
	}
	s.DumpBytes, _ = o.dumps.Usage()
	stat, err := statFS(o.cfg.StateDir)
	s.FreeBytes = freeBytes(stat)
	return s, err
}

// Trusted reports that a request came through the command line's socket from somebody who may do everything.
func (o *overview) Trusted(ctx context.Context) bool {
	p, _ := ctx.Value(peerKey{}).(peer)
	return p.trusted
}

// Peer names who came through the command line's socket.
func (o *overview) Peer(ctx context.Context) string {
	p, ok := ctx.Value(peerKey{}).(peer)
	if !ok {
		return ""
	}
	return fmt.Sprintf("uid:%d", p.uid)
}

// Text is a report as people read it.
func (o *overview) Text(packed []byte) (string, error) { return reportText(packed) }

// Trouble is what an operator should know.
func (o *overview) Trouble() []string {
	var said []string
	for _, one := range o.troubles() {
		said = append(said, one.text)
	}
	return said
}

// Wrong is the same, and what each is about.
func (o *overview) Wrong() []fleet.Wrong {
	var all []fleet.Wrong
	for _, one := range o.troubles() {
		all = append(all, fleet.Wrong{Kind: strings.ReplaceAll(one.kind, "_", " "), About: one.about, Text: one.text})
	}
	return all
}

// trouble is something that is wrong, and a sentence about it.
type trouble struct {
	about string // what is wrong, while the sentence may change; "" where the sentence does not
	text  string
	kind  string // one of troubleKinds
}

// troubleKinds are what metrics tell apart: each is there from the start, with 0.
var troubleKinds = []string{
	"catalog", "firmware", "dumps", "drop_folder", "backups", "connections", "broker", "disk", "clock", "certificate", "keys", "webhooks",
}

func (t trouble) same(o trouble) bool {
	return t.about == o.about && (t.about != "" || t.text == o.text)
}

func (o *overview) troubles() []trouble {
	var all []trouble
	add := func(kind, about string, texts ...string) {
		for _, text := range texts {
			if text != "" {
				all = append(all, trouble{about, text, kind})
			}
		}
	}
	if t := o.store.Trouble(); t != "" {
		add("catalog", "catalog", orRestore(o.cfg, errors.New(t)).Error())
	}
	add("catalog", "unread catalog", o.store.Unread())
	add("firmware", "", o.depot.Trouble()...)
	add("dumps", "dumps", o.dumps.Trouble())
	if o.folder != nil {
		add("drop_folder", "", o.folder.Trouble()...)
	}
	if o.backups != nil {
		add("backups", "backups", o.backups.Trouble())
	}
	add("connections", "gate", o.gate.Trouble())
	if o.broker != nil {
		add("broker", "broker", o.broker.Trouble())
	}
	add("disk", "", o.storage.trouble()...)
	add("webhooks", "", o.webhooks.Trouble()...)
	add("clock", "clock", o.clock.trouble(time.Now()))
	if t := o.identity.Trouble(); t != "" {
		add("certificate", "identity", t)
	} else if err := o.lostKey(); err != nil {
		add("keys", "keys", err.Error())
	}
	if ends := o.identity.NotAfter(); time.Until(ends) < 7*24*time.Hour {
		add("certificate", "certificate", "the certificate ends on "+ends.UTC().Format(time.RFC3339))
	}
	return all
}

// BaseURL is the address that people and CI are told; devices are told the one by which they came.
func (o *overview) BaseURL() string {
	if o.cfg.ProvisioningBaseURL != "" {
		return o.cfg.ProvisioningBaseURL
	}
	return o.doors.page(func() string {
		for _, name := range certificate.Hosts() {
			if ip := net.ParseIP(name); ip != nil && !ip.IsLoopback() {
				return name
			}
		}
		return "localhost"
	})
}

//go:build ignore

// make fills the state folder of make.sh's gateway, which is stopped, with what its doors alone do not make: groups whose
// dumps are partly or all gone, groups that the first rules for fingerprints kept apart or threw together, and dumps that
// nobody has looked at. It is run in the source tree of commit a978fee and uses its packages.
//
//	go run make.go variants DUMP FOLDER   dumps that crashed elsewhere in the same program
//	go run make.go fill STATE FOLDER      the rest of the catalog
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/dumps"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// Where testdata/crash/core.dmp has what a variant changes, in bytes: the crashed task's pc, and as the panic handler
// wrote them the pc and mcause.
const atPC, atPanicPC, atCause = 412, 1068, 1204

var variants = map[string]struct{ pc, cause uint32 }{
	"store":    {0x800002ae, 7}, // plant::Valve::drive, as it was
	"load":     {0x800002ae, 5}, // the same place, another sort of fault
	"regulate": {0x800002ba, 7},
	"worker":   {0x80000258, 7},
	"memset":   {0x80000278, 7},
}

func makeVariants(dump, folder string) {
	original, err := os.ReadFile(dump)
	check(err)
	for name, v := range variants {
		d := bytes.Clone(original)
		binary.LittleEndian.PutUint32(d[atPC:], v.pc)
		binary.LittleEndian.PutUint32(d[atPanicPC:], v.pc)
		binary.LittleEndian.PutUint32(d[atCause:], v.cause)
		sum := sha256.Sum256(d[:len(d)-sha256.Size])
		check(os.WriteFile(filepath.Join(folder, name), append(d[:len(d)-sha256.Size], sum[:]...), 0o644))
	}
}

func space() (free, total int64, err error) { return math.MaxInt64, math.MaxInt64, nil }

func main() {
	if os.Args[1] == "variants" {
		makeVariants(os.Args[2], os.Args[3])
		return
	}
	state, folder := os.Args[2], os.Args[3]
	ctx := context.Background()
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	store, err := catalog.Open(catalog.Options{
		Dir: filepath.Join(state, "catalog"), Reserve: 1, Space: space, Logger: logger, Now: time.Now, Beat: func() {},
	})
	check(err)
	shelves, err := dumps.Open(ctx, dumps.Options{
		Dir: filepath.Join(state, "coredumps"), MaxBytes: 1 << 20, KeepPerDevice: 20, MaxUse: func(n int64) int64 { return n },
		KeepFree: func(int64) int64 { return 0 }, Reserve: 1, Space: space, Index: index{store}, Logger: logger, Now: time.Now,
	})
	check(err)
	f := &filling{ctx, store, shelves, folder}

	// The first rules did not qualify names, so that two bugs came to be one group: ten crashes of which three dumps are
	// left, two of one and one of the other.
	const split = "5b117000000000aa"
	for range 7 {
		f.remove(f.reported("press003", "gone", split, "1.0.0"))
	}
	f.reported("press001", "worker", split, "2.0.1")
	f.reported("press002", "worker", split, "2.0.1")
	f.reported("press001", "memset", split, "2.0.1")
	f.change(split, func(g *crash.Group) { g.Resolve("9.0.0", time.Now().UTC()) })

	// No dump is left.
	const old = "01d0000000000001"
	for range 4 {
		f.remove(f.reported("press002", "gone", old, "1.0.0"))
	}
	f.change(old, func(g *crash.Group) { g.Ignore(time.Now().UTC()) })

	// A dump is left that cannot be decoded any more.
	f.reported("press003", "no dump at all", "01d0000000000002", "1.0.0")

	// Nobody has looked at it yet.
	f.upload("press003", "store")
	check(store.Close())
}

type filling struct {
	ctx    context.Context
	store  *catalog.Catalog
	dumps  *dumps.Store
	folder string
}

// upload stores a variant, or bytes that are no dump.
func (f *filling) upload(key fleet.DeviceKey, what string) fleet.Dump {
	body, err := os.ReadFile(filepath.Join(f.folder, what))
	if err != nil {
		body = []byte(what + time.Now().String())
	}
	d, err := f.dumps.Write(f.ctx, fleet.Dump{Device: key, Model: "press", Chip: "esp32c3", FirmwareVersion: "2.0.1"}, bytes.NewReader(body), int64(len(body)))
	check(err)
	check(f.store.RecordDumps(f.ctx, []fleet.Dump{d}))
	return d
}

// reported is upload, and a report with a fingerprint.
func (f *filling) reported(key fleet.DeviceKey, what, fingerprint string, v fleet.Version) fleet.Dump {
	d := f.upload(key, what)
	_, err := f.store.RecordCrash(f.ctx, crash.Crash{
		Device: d.Device, Model: d.Model, Name: d.Name(), Uploaded: d.UploadedAt, State: crash.Reported, DecodedAt: time.Now().UTC(), DecodedBy: "a978fee",
		DeclaredVersion: d.FirmwareVersion, DeclaredChip: d.Chip, Grade: crash.Exact, Version: v, Chip: "ESP32-C3",
		Fingerprint: fingerprint, Kind: "fault:StoreAccessFault", Reason: "StoreAccessFault", TopFrame: "drive crash.cpp:75",
	}, 0)
	check(err)
	return d
}

func (f *filling) remove(d fleet.Dump) { check(f.dumps.Remove(f.ctx, d.Device, d.Name())) }

func (f *filling) change(fingerprint string, how func(*crash.Group)) {
	g, err := f.store.UpdateGroup(f.ctx, fingerprint, func(g *crash.Group) error { how(g); return nil })
	check(err)
	fmt.Println(g.Fingerprint, g.State, g.Count)
}

type index struct{ *catalog.Catalog }

func (x index) RecordDumpLater(d fleet.Dump) { x.Catalog.RecordDumpLater(d, func() {}) }

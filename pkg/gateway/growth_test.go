package gateway

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// backupOf writes a backup of a catalog, which is the quick way to fill one.
type backupOf struct {
	t   testing.TB
	out *bufio.Writer
	sum hash.Hash
	zip *gzip.Writer
}

func newBackup(t testing.TB, w io.Writer) *backupOf {
	zip, err := gzip.NewWriterLevel(w, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	b := &backupOf{t, bufio.NewWriter(io.MultiWriter(zip, sum)), sum, zip}
	fmt.Fprintf(b.out, "slipway catalog %d\n", catalog.Schema)
	return b
}

// put adds a record, nil for a key that says all by itself.
func (b *backupOf) put(key string, record any) {
	var value []byte
	if record != nil {
		var err error
		if value, err = json.Marshal(record); err != nil {
			b.t.Fatal(err)
		}
	}
	for _, part := range [][]byte{[]byte(key), value} {
		b.out.Write(binary.AppendUvarint(nil, uint64(len(part)))) //nolint:errcheck // end says it
		b.out.Write(part)                                         //nolint:errcheck // end says it
	}
}

func (b *backupOf) end() {
	b.out.WriteByte(0) //nolint:errcheck // Flush says it
	if err := b.out.Flush(); err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.zip.Write(b.sum.Sum(nil)); err != nil {
		b.t.Fatal(err)
	}
	if err := b.zip.Close(); err != nil {
		b.t.Fatal(err)
	}
}

// A large plant. The race detector gets a tenth of it.
var (
	manyDevices = 100_000
	manyDumps   = 100_000
	manyGroups  = 5_000
	onFirst     = 1 // devices of the first group
)

func manyDevice(n int) fleet.DeviceKey { return fleet.DeviceKey(fmt.Sprintf("dev%05d", n)) }

// large makes a catalog with the records of a large plant.
func large(t testing.TB, dir string, more ...func(*backupOf)) {
	t.Helper()
	since := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var packed bytes.Buffer
	b := newBackup(t, &packed)
	b.put("m/pump", fleet.Model{Code: "pump"})
	for n := range manyDevices {
		key := manyDevice(n)
		b.put("d/"+string(key), fleet.Device{Key: key, Model: "pump"})
		b.put("dm/pump/"+string(key), nil)
	}
	for n := range manyGroups {
		name := fmt.Sprintf("%016x", n)
		state := []crash.GroupState{crash.Open, crash.Resolved, crash.Ignored}[n%3]
		b.put("gm/"+name+"/"+name, nil)
		b.put("gv/"+name+"/1.0", crash.VersionCount{Version: "1.0", Count: 1})
		devices := 1
		if n == 0 {
			devices = onFirst
		}
		b.put("g/"+name, crash.Group{Fingerprint: name, Model: "pump", Decision: crash.Decision{State: state}, Devices: devices, Tally: crash.Tally{Count: 1 + n, LastSeen: since.Add(time.Duration(n) * time.Second)}})
	}
	for n := range manyDumps {
		at := since.Add(time.Duration(n) * time.Second)
		d := fleet.Dump{Device: manyDevice(n % manyDevices), Model: "pump", UploadedAt: at}
		one := crash.Crash{Device: d.Device, Model: "pump", Name: d.Name(), Uploaded: at, State: crash.Missing}
		if n%20 == 0 {
			one.State, one.Fingerprint = crash.Reported, fmt.Sprintf("%016x", n/20)
		}
		file := string(d.Device) + "/" + string(d.Name())
		turned := string(d.Name()) + "/" + string(d.Device)
		b.put("u/"+file, d)
		b.put("ut/"+turned, nil)
		b.put("c/"+file, one)
		b.put("cs/"+string(one.State)+"/"+turned, nil)
	}
	for _, put := range more {
		put(b)
	}
	b.end()
	_, err := catalog.Restore(catalog.Options{
		Dir: dir, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Beat: func() {},
		Space: func() (int64, int64, error) { return math.MaxInt64, math.MaxInt64, nil },
	}, &packed)
	if err != nil {
		t.Fatal(err)
	}
}

// TestWhatPeopleAskReadsAFewRecordsOfALargePlant counts what is read of the catalog: by the page, by a scrape, by the
// status and by lists.
func TestWhatPeopleAskReadsAFewRecordsOfALargePlant(t *testing.T) {
	cfg := settings(t)
	large(t, cfg.CatalogDir)
	g, err := New(cfg, Binary{Version: "1.2.3"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	close(g.recovery.over) // it would look for the dumps' files
	now := time.Now()
	for n := range manyDevices {
		g.book.Seen(fleet.Seen{Device: manyDevice(n), At: now, By: fleet.HeardConfig, Said: fleet.Said{Version: fmt.Sprintf("1.%d", n%3)}})
	}
	token, _, err := (&auth.Operators{Store: g.store, Now: time.Now}).Create(t.Context(), "test", auth.Viewer)
	if err != nil {
		t.Fatal(err)
	}
	const shown = 50
	for _, test := range []struct {
		path string
		most int64 // records and keys
		says string
	}{
		{"/api/devices?limit=50&state=live&version=1.1", shown + 10, `"next":"dev00148"`},
		{"/api/devices?limit=50&state=silent&version=1.1", 10, `"devices":[]`},
		{"/api/status", 20, fmt.Sprintf(`"devices":%d,`, manyDevices)},
		{"/api/status", 20, fmt.Sprintf(`"open_crashes":%d`, (manyGroups+2)/3)},
		{"/metrics", 20, fmt.Sprintf(`slipway_coredumps{state="missing"} %d`, manyDumps-manyDumps/20)},
		{"/metrics", 20, fmt.Sprintf(`slipway_crash_groups_open %d`, (manyGroups+2)/3)},
		{"/metrics", 20, fmt.Sprintf(`slipway_devices{model="pump",state="live",version="1.1"} %d`, (manyDevices+1)/3)},
		{"/", 2*shown + 4*shown + 30, fmt.Sprintf("%s devices", humanize.Comma(int64(manyDevices)))},
		{"/devices?state=live&version=1.1", 4*shown + 10, fmt.Sprintf("%s devices", humanize.Comma(int64(manyDevices+1)/3))},
		{"/crashes", 2*shown + 4*shown + 30, " kinds</p>"},
		{"/api/coredumps?limit=50&state=missing", 4*shown + 10, `"next":"`},
		{"/api/coredumps?limit=50&since=2026-01-01T01:00:00Z&until=2026-01-01T02:00:00Z", 4*shown + 10, `"uploaded_at":"2026-01-01T02:00:00Z"`},
		{"/api/coredumps?state=missing&since=2026-01-02T20:00:00Z", 10, `"coredumps":[]`},
		{"/api/devices/" + string(manyDevice(7)) + "/coredumps?until=2026-01-01T00:00:00Z", 10, `"coredumps":[]`},
		{"/api/devices?limit=50&since=1h", shown + 10, `"next":"dev00049"`},
		{"/api/crashes?limit=50&since=2026-01-01T00:10:00Z&until=2026-01-01T00:20:00Z", shown + 5, `"total":`},
		{"/api/crashes?limit=50", shown + 5, fmt.Sprintf(`"total":%d`, manyGroups)},
		{"/api/crashes?limit=50&sort=count&state=resolved&model=pump", shown + 5, fmt.Sprintf(`"total":%d`, (manyGroups+1)/3)},
		{"/api/crashes?limit=50&sort=devices&text=00&version=1.0", shown + 5, `"next":"`},
		{"/api/crashes?limit=50&sort=first_seen&text=nothing", 5, `"crashes":[]`},
	} {
		before := catalog.Reads()
		r := httptest.NewRequest(http.MethodGet, test.path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		g.allDoors.ServeHTTP(w, r)
		read := catalog.Reads() - before
		t.Logf("%s: %d records and keys", test.path, read)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), test.says) {
			t.Errorf("%s: %d without %q: %.2000s", test.path, w.Code, test.says, w.Body)
		}
		if read > test.most {
			t.Errorf("%s: %d records and keys are read, want %d at most", test.path, read, test.most)
		}
	}
}

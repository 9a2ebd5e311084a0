package catalog

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const killedImport = 400 // devices: several transactions

// TestNothingAcknowledgedIsLostByAKill kills a process that writes at a random moment, every other time also while it opens the
// catalog. SLIPWAY_KILL_ROUNDS sets how often, 20 times unless told. Each change is there with its event, or neither is.
func TestNothingAcknowledgedIsLostByAKill(t *testing.T) {
	rounds := 20
	if s := os.Getenv("SLIPWAY_KILL_ROUNDS"); s != "" {
		var err error
		rounds, err = strconv.Atoi(s)
		must(t, err)
	}
	const roundsPerFolder = 20 // so that the last rounds look at no more than the first
	acknowledged, versions := 0, 0
	for first := 0; first < rounds; first += roundsPerFolder {
		dir := t.TempDir()
		said := promises{}
		for round := first; round < min(first+roundsPerFolder, rounds); round++ {
			killAtRandom(t, dir, round-first, said)
			c, err := Open(settled(t, dir))
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			said.check(t, c)
			checkIndexes(t, c)
			checkEvents(t, c)
			versions = max(versions, checkCounters(t, c))
			must(t, c.Close())
			if t.Failed() {
				t.Fatalf("in round %d", round)
			}
		}
		acknowledged += len(said)
	}
	if acknowledged == 0 || versions == 0 {
		t.Error("nothing was acknowledged before a kill, or no crash is counted: this test looked at nothing")
	}
	t.Logf("%d kills, %d changes acknowledged before them", rounds, acknowledged)
}

// promises are the lines that the child has said: a verb and what it is about.
type promises map[string]bool

func killAtRandom(t *testing.T, dir string, round int, said promises) {
	cmd := child("write", dir, strconv.Itoa(round))
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	soon := func() *time.Timer {
		return time.AfterFunc(time.Duration(rand.IntN(400))*time.Millisecond, func() { _ = cmd.Process.Kill() })
	}
	var killer *time.Timer
	if round%2 == 0 { // every other one may not be open yet, on a slow machine none
		killer = soon()
		defer killer.Stop()
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if killer == nil {
			killer = soon()
			defer killer.Stop()
		}
		if err == io.EOF {
			break // a last line without its end was cut off
		}
		must(t, err)
		said[strings.TrimSpace(line)] = true
	}
	_ = cmd.Wait() // killed
	if complaint.Len() > 0 {
		t.Fatalf("round %d: the child failed by itself: %s", round, &complaint)
	}
}

// writeUntilKilled changes the catalog in every way at once.
func writeUntilKilled(dir string, arguments []string) error {
	round, err := strconv.Atoi(arguments[0])
	if err != nil {
		return err
	}
	c, err := Open(unattended(dir))
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := c.AddModel(ctx, fleet.Model{Code: "pump"}); err != nil && round == 0 {
		return err
	}
	var working sync.WaitGroup
	failed := make(chan error, 1)
	for _, work := range []func(c *Catalog, n int) (string, error){
		addsDevice, changesSecrets, recordsBuild, imports, recordsDump('a'), recordsDump('b'), countsCrash,
	} {
		working.Go(func() {
			for n := round * 10_000; ; n++ {
				line, err := work(c, n)
				if err != nil {
					failed <- err
					return
				}
				if _, err := os.Stdout.WriteString(line + "\n"); err != nil {
					return
				}
			}
		})
	}
	return <-failed
}

func killedDevice(kind byte, n int) auth.NewDevice {
	return auth.NewDevice{Device: fleet.Device{Key: fleet.DeviceKey(fmt.Sprintf("%c%07d", kind, n)), Model: "pump"}}
}

func addsDevice(c *Catalog, n int) (string, error) {
	d := killedDevice('a', n)
	return "device " + string(d.Device.Key), c.AddDevice(context.Background(), d.Device, d.Secrets)
}

func changesSecrets(c *Catalog, n int) (string, error) {
	d := killedDevice('s', n/100)
	if n%100 == 0 {
		return "device " + string(d.Device.Key), c.AddDevice(context.Background(), d.Device, d.Secrets)
	}
	return fmt.Sprintf("secret %s %d", d.Device.Key, n), c.UpdateDeviceSecrets(context.Background(), d.Device.Key, func(s *auth.DeviceSecrets) error {
		s.Current = auth.Hash(strconv.Itoa(n))
		return nil
	})
}

func recordsBuild(c *Catalog, n int) (string, error) {
	b := fleet.Build{Model: "pump", Version: fleet.Version(fmt.Sprintf("1.0.%d", n)), ELFSHA256: fmt.Sprintf("%064x", n)}
	_, _, err := c.RecordBuild(context.Background(), b, true)
	return "build " + string(b.Version), err
}

func imports(c *Catalog, n int) (string, error) {
	devices := make([]auth.NewDevice, killedImport)
	for i := range devices {
		devices[i] = killedDevice('i', (n/10_000*400+n%10_000)*1000+i) // four digits are the import's
	}
	return "import " + string(devices[0].Device.Key), c.AddDevices(context.Background(), devices)
}

func killedDump(kind byte, n int) fleet.Dump {
	return fleet.Dump{Device: fleet.DeviceKey(fmt.Sprintf("%c0000000", kind)), Model: "pump", UploadedAt: noon.Add(time.Duration(n) * time.Microsecond)}
}

// recordsDump records dumps and removes every second one.
func recordsDump(kind byte) func(c *Catalog, n int) (string, error) {
	return func(c *Catalog, n int) (string, error) {
		d := killedDump(kind, n)
		if n%3 == 2 {
			d = killedDump(kind, n-1)
			return fmt.Sprintf("gone %s %s", d.Device, d.Name()), c.RemoveDump(context.Background(), d.Device, d.Name())
		}
		return fmt.Sprintf("dump %s %s", d.Device, d.Name()), c.RecordDumps(context.Background(), []fleet.Dump{d})
	}
}

func countsCrash(c *Catalog, n int) (string, error) {
	d := killedDump('c', n)
	if err := c.RecordDumps(context.Background(), []fleet.Dump{d}); err != nil {
		return "", err
	}
	_, err := c.RecordCrash(context.Background(), crash.Crash{
		Device: d.Device, Model: d.Model, Name: d.Name(), Uploaded: d.UploadedAt, State: crash.Reported, Fingerprint: "f1", Version: "1.0",
	}, 0)
	return fmt.Sprintf("crash %s %s", d.Device, d.Name()), err
}

// check compares the catalog with what was acknowledged.
func (said promises) check(t *testing.T, c *Catalog) {
	t.Helper()
	crashes := 0
	for line := range said {
		verb, about, _ := strings.Cut(line, " ")
		first, second, _ := strings.Cut(about, " ")
		var err error
		switch verb {
		case "device":
			_, err = c.Device(fleet.DeviceKey(about))
		case "secret":
			var s auth.DeviceSecrets
			s, err = c.DeviceSecrets(fleet.DeviceKey(first))
			have, _ := strconv.Atoi(string(s.Current))
			if now, _ := strconv.Atoi(second); have < now {
				err = fmt.Errorf("secret %d is forgotten, it is %d", now, have)
			}
		case "build":
			_, err = c.Build("pump", fleet.Version(about))
		case "import":
			first, _ := strconv.Atoi(about[1:])
			for i := range killedImport {
				if _, err = c.Device(killedDevice('i', first+i).Device.Key); err != nil {
					break
				}
			}
		case "dump":
			_, err = c.Dump(fleet.DeviceKey(first), fleet.DumpName(second))
			gone := said["gone "+about]
			if micros, _ := fleet.DumpName(second).Time(); !gone && micros.Sub(noon)/time.Microsecond%3 == 1 {
				err = nil // it may have been removed without our being told
			}
			if gone {
				err = nil
			}
		case "gone":
			if _, err = c.Dump(fleet.DeviceKey(first), fleet.DumpName(second)); err == nil {
				err = fmt.Errorf("it is back")
			} else {
				err = nil
			}
		case "crash":
			crashes++
			var l crash.Listed
			if l, err = c.Dump(fleet.DeviceKey(first), fleet.DumpName(second)); err == nil && l.Crash.State != crash.Reported {
				err = fmt.Errorf("it is %s", l.Crash.State)
			}
		}
		if err != nil {
			t.Errorf("acknowledged and lost: %s: %v", line, err)
		}
	}
	g, _, _, err := c.Group("f1")
	if crashes > 0 && (err != nil || g.Count < crashes) {
		t.Errorf("%d crashes were acknowledged and %d counted: %v", crashes, g.Count, err)
	}
}

// checkIndexes compares every record with its indexes, in both directions: no operation may be there in half.
// checkDays holds that no more crashes are counted by the day than in all.
func checkDays(t *testing.T, of string, tally crash.Tally) {
	t.Helper()
	n := 0
	for _, day := range tally.Recent {
		n += day.Count
	}
	if n > tally.Count {
		t.Errorf("%s: %d crashes on the last days, and %d in all", of, n, tally.Count)
	}
}

func checkIndexes(t *testing.T, c *Catalog) {
	t.Helper()
	expected, have := map[string]bool{}, map[string]bool{}
	imported, counted, reported := map[string]int{}, 0, 0
	err := c.view(func(txn *badger.Txn) error {
		return each(txn, "", "", false, func(key string, item *badger.Item) error {
			kind, _, _ := strings.Cut(key, "/")
			have[key] = true
			switch kind {
			case "d":
				var s storedDevice
				must(t, read(item, &s))
				expected[modelDeviceKey(s.Model, s.Key)] = true
				expected[secretsKey(s.Key)] = true
				if s.Key[0] == 'i' {
					imported[string(s.Key[:5])]++
				}
			case "b":
				var b fleet.Build
				must(t, read(item, &b))
				expected[elfKey(b)] = true
			case "u":
				var d fleet.Dump
				must(t, read(item, &d))
				expected[dumpTimeKey(d.Device, d.Name())] = true
				expected[crashKey(d.Device, d.Name())] = true
			case "c":
				var one crash.Crash
				must(t, read(item, &one))
				expected[stateKey(one.State, one.Device, one.Name)] = true
				if one.Again != nil {
					expected[askedKey(one.Device, one.Name)] = true
				}
				if grouped(one) {
					expected[chainDumpKey(one)] = true
					reported++
				}
			case "g":
				var g crash.Group
				must(t, read(item, &g))
				counted += g.Count
				checkDays(t, key, g.Tally)
				for _, key := range []string{urgencyKey(g), ignoredKey(g)} {
					if key != "" {
						expected[key] = true
					}
				}
			case "gk":
				var chain crash.Chain
				must(t, read(item, &chain))
				checkDays(t, key, chain.Tally)
				if chain.Old && len(chain.Recent) > 0 {
					t.Errorf("%s: it is of before days were counted, and has %v", key, chain.Recent)
				}
			case "nx":
				expected[crashedInKey(key)] = true
			}
			return nil
		})
	})
	must(t, err)
	for key := range expected {
		if !have[key] {
			t.Errorf("there is no %s", key)
		}
	}
	for key := range have {
		switch kind, _, _ := strings.Cut(key, "/"); kind {
		case "dm", "ds", "be", "ut", "c", "cs", "gc", "go", "gi", "nd":
			if !expected[key] {
				t.Errorf("%s is of nothing", key)
			}
		case "xi":
			t.Errorf("%s: an import is neither done nor undone", key)
		}
	}
	checkCounters(t, c)
	checkStock(t, c)
	if counted < reported {
		t.Errorf("the groups count %d crashes, and there are %d", counted, reported)
	}
	for batch, n := range imported {
		if n != killedImport {
			t.Errorf("import %s: %d devices of %d", batch, n, killedImport)
		}
	}
}

// checkCounters holds the counters of each version against the devices that crashed in it, which are written at once, and
// says how many versions have crashed.
func checkCounters(t *testing.T, c *Catalog) int {
	t.Helper()
	sums, have := map[string]crash.Series{}, map[string]crash.Series{}
	must(t, c.view(func(txn *badger.Txn) error {
		err := each(txn, allCrashedPrefix, "", false, func(key string, item *badger.Item) error {
			var device crash.Series
			must(t, read(item, &device))
			version, _, _ := cutLast(strings.TrimPrefix(key, allCrashedPrefix))
			sum := sums[version]
			sum.Gather(device, noon)
			sums[version] = sum
			return nil
		})
		must(t, err)
		return each(txn, allCountedPrefix, "", false, func(key string, item *badger.Item) error {
			var s crash.Series
			must(t, read(item, &s))
			have[strings.TrimPrefix(key, allCountedPrefix)] = s
			return nil
		})
	}))
	for version, sum := range sums {
		for day, n := range sum.Days {
			if got := have[version].Days[day]; got.Crashes != n.Crashes || got.Devices != n.Devices {
				t.Errorf("%s: counted are %+v, and the devices that crashed have %+v", version, got, n)
			}
		}
	}
	for version, s := range have {
		for day, n := range s.Days {
			if n.Crashes > 0 && sums[version].Days[day].Crashes == 0 {
				t.Errorf("%s: counted are %+v, and no device has crashed", version, n)
			}
		}
	}
	return len(sums)
}

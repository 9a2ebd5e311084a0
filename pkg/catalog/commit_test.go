package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// waitingChanges is how many goroutines wait for the committer to take what they hand in.
func waitingChanges() int { return changesIn("[select") }

// changesIn is how many goroutines with a change are in a state, as their stacks say it.
func changesIn(state string) (n int) {
	stacks := make([]byte, 1<<20)
	for goroutine := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		head, frames, _ := strings.Cut(goroutine, "\n")
		if strings.Contains(head, state) && strings.Contains(frames, "(*Catalog).run(") {
			n++
		}
	}
	return n
}

// together hands in changes so that the committer finds all of them waiting, in this order.
func together(t *testing.T, c *Catalog, changes ...func(*tx) error) []error {
	t.Helper()
	busy, free := make(chan struct{}), make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Go(func() {
		_ = c.update(context.Background(), func(*tx) error {
			close(busy)
			<-free
			return nil
		})
	})
	<-busy
	errs := make([]error, len(changes))
	for i, change := range changes {
		waiting.Go(func() { errs[i] = c.update(context.Background(), change) })
		for waitingChanges() <= i { // the committer takes them in the order in which they came
			runtime.Gosched()
		}
	}
	close(free)
	waiting.Wait()
	return errs
}

// TestTheSecondOfTwoFirstRequestsOfADeviceFindsIt when it is told that it is there: it looks it up then. Their batch is held open
// until that has been done, or the second waits for the batch as all others in it do.
func TestTheSecondOfTwoFirstRequestsOfADeviceFindsIt(t *testing.T) {
	c := withModel(t, "pump")
	d := newDevice("pump", 1).Device
	busy, free, looked := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var first, second, found error
	requests := []func(){
		func() { first = c.RegisterDevice(context.Background(), d) },
		func() {
			second = c.RegisterDevice(context.Background(), d)
			_, found = c.Device(d.Key)
			close(looked)
		},
		func() {
			_ = c.update(context.Background(), func(*tx) error {
				for changesIn("[chan receive") < 4 { // the one below and these three
					select {
					case <-looked:
						return nil
					default:
						runtime.Gosched()
					}
				}
				return nil
			})
		},
	}
	var waiting sync.WaitGroup
	waiting.Go(func() { _ = c.update(context.Background(), func(*tx) error { close(busy); <-free; return nil }) })
	<-busy
	for i, request := range requests {
		waiting.Go(request)
		for waitingChanges() <= i {
			runtime.Gosched()
		}
	}
	close(free)
	waiting.Wait()
	must(t, first)
	want(t, second, fleet.ErrTaken)
	must(t, found)
}

func TestAChangeThatFailsLeavesNothingAndItsNeighboursCount(t *testing.T) {
	c := open(t, t.TempDir())
	refusal := errors.New("no")
	errs := together(t, c,
		func(tx *tx) error { return tx.set("m/first", []byte(`{"code":"first"}`)) },
		func(tx *tx) error {
			if err := tx.set("m/second", []byte(`{}`)); err != nil {
				return err
			}
			tx.delete("m/first")
			return refusal
		},
		func(tx *tx) error {
			if seen, err := tx.has("m/first"); err != nil || !seen {
				return errors.Join(err, errors.New("the third does not see the first"))
			}
			return tx.set("m/third", []byte(`{}`))
		},
	)
	if errs[0] != nil || !errors.Is(errs[1], refusal) || errs[2] != nil {
		t.Errorf("answers %v", errs)
	}
	if _, err := c.Model("first"); err != nil {
		t.Error(err)
	}
	if _, err := c.Model("third"); err != nil {
		t.Error(err)
	}
	_, err := c.Model("second")
	want(t, err, fleet.ErrUnknown)
}

// Badger takes 629,145 bytes or 6,553 writes in a transaction, and what it refuses in the middle of an operation would
// be committed by half.
func TestChangesThatNoTransactionHoldsTogetherAreCommittedOneAfterTheOther(t *testing.T) {
	for name, shape := range map[string]struct{ writes, bytes int }{"large": {8, 30 << 10}, "many": {1500, 10}} {
		t.Run(name, func(t *testing.T) {
			c := open(t, t.TempDir())
			value := []byte(strings.Repeat("x", shape.bytes))
			changes := make([]func(*tx) error, 12)
			for i := range changes {
				changes[i] = func(tx *tx) error {
					for n := range shape.writes {
						if err := tx.set(fmt.Sprintf("t/%02d/%04d", i, n), value); err != nil {
							return err
						}
					}
					return nil
				}
			}
			for i, err := range together(t, c, changes...) {
				n, countErr := c.count(fmt.Sprintf("t/%02d/", i))
				if err != nil || countErr != nil || n != shape.writes {
					t.Errorf("change %d: %v, %d of %d records", i, err, n, shape.writes)
				}
			}
		})
	}
}

// TestWhatCompactionMovesStaysAsItWasWritten writes several times what a memtable and a table hold, in all sizes, over
// and over. On 32 bits Badger's allocator mixed records up where a table did not fit its first buffer: see settings.
func TestWhatCompactionMovesStaysAsItWasWritten(t *testing.T) {
	const records, rounds = 3000, 4
	sizes := []int{10, 300, 2_100, 4_200, 17_500, 30_000}
	dir := t.TempDir()
	c := open(t, dir)
	valueOf := func(n, round int) []byte {
		value := make([]byte, sizes[(n+round)%len(sizes)])
		rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(round)}).Read(value) //nolint:errcheck // it cannot fail
		return value
	}
	check := func(c *Catalog, round int) {
		t.Helper()
		must(t, c.view(func(txn *badger.Txn) error {
			for n := range records {
				item, err := txn.Get(fmt.Appendf(nil, "t/%05d", n))
				if err != nil {
					return fmt.Errorf("record %d: %w", n, err)
				}
				err = item.Value(func(v []byte) error {
					if !bytes.Equal(v, valueOf(n, round)) {
						return fmt.Errorf("record %d is another one after round %d", n, round)
					}
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		}))
	}
	for round := range rounds {
		for n := 0; n < records; n += 10 {
			must(t, c.update(t.Context(), func(tx *tx) error {
				for i := n; i < n+10; i++ {
					if err := tx.set(fmt.Sprintf("t/%05d", i), valueOf(i, round)); err != nil {
						return err
					}
				}
				return nil
			}))
		}
		check(c, round)
	}
	must(t, c.Close())
	check(open(t, dir), rounds-1)
}

func TestAChangeThatNoTransactionHoldsIsRefusedWhole(t *testing.T) {
	c := open(t, t.TempDir())
	err := c.update(t.Context(), func(tx *tx) error {
		for n := range 20 {
			if err := tx.set(fmt.Sprintf("t/%d", n), make([]byte, mostRecord)); err != nil {
				return err
			}
		}
		return nil
	})
	want(t, err, fleet.ErrRefused)
	if n, err := c.count("t/"); n != 0 || err != nil {
		t.Errorf("%d records are there, %v", n, err)
	}
}

func TestOneNameIsTakenOnceHoweverManyAskAtOnce(t *testing.T) {
	c := withModel(t, "pump")
	var asking sync.WaitGroup
	taken := make(chan error, 50)
	for range cap(taken) {
		asking.Go(func() { taken <- c.AddDevice(t.Context(), newDevice("pump", 1).Device, auth.DeviceSecrets{}) })
	}
	asking.Wait()
	close(taken)
	got := 0
	for err := range taken {
		if err == nil {
			got++
			continue
		}
		want(t, err, fleet.ErrTaken)
	}
	if got != 1 {
		t.Errorf("the name was given %d times", got)
	}
}

func TestReadersAndWritersDoNotDisturbEachOther(t *testing.T) {
	c := withModel(t, "pump", "fan")
	var working errgroup.Group
	for w := range 8 {
		working.Go(func() error { return writes(c, w) })
		working.Go(func() error { return reads(c) })
	}
	must(t, working.Wait())
	for code, n := range map[fleet.ModelCode]int{"": 120, "fan": 120, "pump": 0} {
		if got, err := c.CountDevices(code); got != n || err != nil {
			t.Errorf("model %q has %d devices, not %d: %v", code, got, n, err)
		}
	}
	checkIndexes(t, c)
}

// writes adds devices to model pump, moves them to fan and removes every second one.
func writes(c *Catalog, w int) error {
	for n := range 30 {
		d := newDevice("pump", w*1000+n)
		if err := c.AddDevice(context.Background(), d.Device, d.Secrets); err != nil {
			return err
		}
		_, err := c.UpdateDevice(context.Background(), d.Device.Key, func(d *fleet.Device) error {
			d.Model = "fan"
			return nil
		})
		if err == nil && n%2 == 0 {
			err = c.RemoveDevice(context.Background(), d.Device.Key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func reads(c *Catalog) error {
	for range 100 {
		err := c.EachDevice(func(d fleet.Device) error {
			if d.Name == "" {
				return fmt.Errorf("a device was read in half: %+v", d)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func TestAChangeThatNobodyWaitsForIsNotTakenIn(t *testing.T) {
	c := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	busy, free := make(chan struct{}), make(chan struct{})
	var working errgroup.Group
	working.Go(func() error {
		return c.update(ctx, func(tx *tx) error {
			close(busy)
			<-free
			return tx.set("m/a", []byte(`{"code":"a"}`))
		})
	})
	<-busy
	cancel()
	want(t, c.update(ctx, func(tx *tx) error { return tx.set("m/b", []byte(`{"code":"b"}`)) }), context.Canceled)
	close(free)
	must(t, working.Wait())
	if _, err := c.Model("a"); err != nil {
		t.Errorf("what was handed in is not done: %v", err)
	}
	_, err := c.Model("b")
	want(t, err, fleet.ErrUnknown)
}

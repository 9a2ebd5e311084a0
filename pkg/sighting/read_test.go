package sighting

import (
	"errors"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// slowStore lets a test say when the devices may be read, and fails the first time.
type slowStore struct {
	*shelf
	may   chan struct{}
	fails int
}

func (s *slowStore) EachDevice(do func(fleet.Device) error) error {
	<-s.may
	if s.fails > 0 {
		s.fails--
		return errors.New("not now")
	}
	return s.shelf.EachDevice(do)
}

func TestWhoAsksWhileABookIsReadWaitsForAllOfIt(t *testing.T) {
	o := shelfOf(3, "").options()
	slow := &slowStore{shelf: shelfOf(3, ""), may: make(chan struct{})}
	o.Store = slow
	b := Open(o)
	told := make(chan int)
	go func() {
		n := 0
		b.EachDevice("pump", func(fleet.Placed) { n++ })
		told <- n
	}()
	select {
	case n := <-told:
		t.Fatalf("told of %d devices before any was read", n)
	default:
	}
	close(slow.may)
	if n := <-told; n == 0 {
		t.Error("told of none")
	}
	if err := b.Read(); err != nil {
		t.Error(err)
	}
}

func TestABookThatCouldNotBeReadIsReadOnceMore(t *testing.T) {
	o := shelfOf(3, "").options()
	may := make(chan struct{})
	close(may)
	o.Store = &slowStore{shelf: shelfOf(3, ""), may: may, fails: 2}
	b := Open(o)
	if err := b.Read(); err == nil {
		t.Error("two failures, and it was read")
	}
	if err := b.Read(); err != nil {
		t.Error(err)
	}
}

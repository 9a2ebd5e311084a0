package catalog

import (
	"sync"
	"time"
)

const (
	// tableRoom is more than the tables of two logs take, which is what Badger may write at once.
	tableRoom = 16 << 20

	// tableTime is longer than it takes to write what a log holds as a table.
	tableTime = 5 * time.Second
)

// tables keeps room for the tables that Badger writes in a goroutine of its own, some time after the batch that filled a
// log. It maps them as sparse files under new names, so that their blocks cannot be allocated before, as [ahead] does: on
// a full disk writing one ends the process by SIGBUS.
//
// So while a table is written somebody looks each millisecond: when another process takes the room meanwhile, what is kept
// for that is given up at once.
type tables struct {
	space func() (free, total int64, err error)
	short func()        // gives up what is kept for it
	begun chan struct{} // a table is about to be written
	stop  chan struct{}
	over  sync.WaitGroup
}

func newTables(o Options) *tables {
	t := &tables{space: o.Space, short: o.Short, begun: make(chan struct{}, 1), stop: make(chan struct{})}
	t.over.Go(t.look)
	return t
}

// begin says that Badger writes a table now or soon.
func (t *tables) begin() {
	select {
	case t.begun <- struct{}{}:
	default:
	}
}

func (t *tables) fits() bool {
	free, _, err := t.space()
	return err == nil && free >= tableRoom
}

// look watches the room while tables are written.
func (t *tables) look() {
	var until time.Time
	for {
		patience := time.Millisecond
		if time.Now().After(until) {
			patience = time.Hour
		} else if !t.fits() {
			t.short()
		}
		select {
		case <-t.begun:
			until = time.Now().Add(tableTime)
		case <-t.stop:
			return
		case <-time.After(patience):
		}
	}
}

// end is called when Badger writes nothing more.
func (t *tables) end() {
	close(t.stop)
	t.over.Wait()
}

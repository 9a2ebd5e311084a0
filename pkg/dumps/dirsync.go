package dumps

import "sync"

// dirSync lets all who wait for a directory's sync share the next one that starts after they came. Each sync of flash
// costs milliseconds and a device's uploads arrive in bursts.
type dirSync struct {
	mu      sync.Mutex // guards what follows
	running *syncRound
	next    *syncRound
}

type syncRound struct {
	done chan struct{}
	err  error
}

// wait returns when a sync that began after the call has ended.
func (d *dirSync) wait(sync func() error) error {
	d.mu.Lock()
	if d.running != nil { // it may have begun before the caller's rename: the next one counts
		if d.next == nil {
			d.next = &syncRound{done: make(chan struct{})}
		}
		round := d.next
		d.mu.Unlock()
		<-round.done
		return round.err
	}
	round := &syncRound{done: make(chan struct{})}
	d.running = round
	d.mu.Unlock()
	d.run(round, sync)
	return round.err
}

// run ends a round and hands the next one to a goroutine: whoever began the first has waited long enough. Those who wait
// for the next round wait for that goroutine.
func (d *dirSync) run(round *syncRound, sync func() error) {
	round.err = sync()
	d.mu.Lock()
	d.running, d.next = d.next, nil
	if d.running != nil {
		go d.run(d.running, sync)
	}
	d.mu.Unlock()
	close(round.done)
}

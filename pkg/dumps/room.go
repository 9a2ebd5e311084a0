package dumps

import (
	"container/heap"
	"context"
	"iter"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// worth is how much a dump is missed by whoever looks for what crashed. A device's newest dump never goes for others.
type worth int

const (
	oneOfMany worth = iota
	firstOne        // of its fingerprint: since when
	lastOne         // of its fingerprint: how it looks now
)

// lookAgain is how long a target that cannot be reached is not tried again for: each try asks the index about every dump.
const lookAgain = time.Minute

// mostAsked bounds what one upload asks the index about while a target cannot be reached.
const mostAsked = 256

// reachTargets removes pairs until dumps.max_use and dumps.keep_free hold. Where all that may go would not reach them,
// which is said once, only what the last upload has taken goes: others may have filled the disk, and it is not for the
// dumps to make up for that.
func (s *Store) reachTargets(ctx context.Context, taken int64) {
	over, why, err := s.over()
	if err != nil || over <= 0 {
		s.note("")
		return
	}
	if s.tryAgain() {
		if plan, enough := s.plan(over, 0); enough {
			s.note("")
			s.carryOut(ctx, plan)
			return
		}
		s.note(why)
	}
	plan, _ := s.plan(min(over, taken), mostAsked)
	s.carryOut(ctx, plan)
}

// over is how many bytes too much the dumps take, and by which target.
func (s *Store) over() (bytes int64, why string, err error) {
	free, total, err := s.options.Space()
	if err != nil {
		return 0, "", err
	}
	use, room := s.Usage()-s.options.MaxUse(total), s.options.KeepFree(total)-free
	switch {
	case use > room:
		return use, "the dumps take more than dumps.max_use, and what is left of them stays", nil
	default:
		return room, "less is free than dumps.keep_free asks for, and all dumps together could not make up for it", nil
	}
}

// tryAgain reports that nobody has found lately that a target cannot be reached.
func (s *Store) tryAgain() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.options.Now()
	return now.After(s.until) || s.until.Sub(now) > lookAgain // the clock was set back
}

func (s *Store) note(trouble string) {
	s.mu.Lock()
	said := s.short == trouble
	s.short, s.until = trouble, time.Time{}
	if trouble != "" {
		s.until = s.options.Now().Add(lookAgain)
	}
	s.mu.Unlock()
	if !said && trouble != "" {
		s.options.Logger.Warn("rotation cannot reach its target", "reason", trouble)
	}
}

// candidate is a pair that may have to go.
type candidate struct {
	key fleet.DeviceKey
	pair
}

// plan picks pairs of no particular worth of at least so many bytes together, and says whether there are enough. It asks
// the index about at most so many; 0 is no bound.
func (s *Store) plan(bytes int64, most int) (plan []candidate, enough bool) {
	asked := 0
	for c := range s.candidates() {
		if bytes <= 0 {
			return plan, true
		}
		if asked++; most > 0 && asked > most {
			return plan, false
		}
		if s.worthOf(c) == oneOfMany {
			plan = append(plan, c)
			bytes -= c.bytes
		}
	}
	return plan, bytes <= 0
}

func (s *Store) worthOf(c candidate) worth {
	first, last, err := s.options.Index.EndsOfCrash(c.key, c.name())
	switch {
	case err != nil || last:
		return lastOne
	case first:
		return firstOne
	}
	return oneOfMany
}

func (s *Store) carryOut(ctx context.Context, plan []candidate) {
	for _, c := range plan {
		if err := s.Remove(ctx, c.key, c.name()); err != nil {
			s.notRemoved(c.key, c.pair, err)
		}
	}
}

// book reserves bytes of an upload, so that uploads at once do not each count on the same room, and makes room down to
// least bytes that stay free.
func (s *Store) book(ctx context.Context, key fleet.DeviceKey, bytes, least int64) error {
	s.mu.Lock()
	s.pending += bytes
	s.mu.Unlock()
	err := s.makeRoom(ctx, key, least)
	if err != nil {
		s.unbook(bytes)
	}
	return err
}

func (s *Store) unbook(bytes int64) {
	s.mu.Lock()
	s.pending -= bytes
	s.mu.Unlock()
}

// makeRoom removes pairs until so many bytes are free besides what uploads are taking. Here the firsts of a fingerprint go
// as well, after them the lasts, but never a device's newest: an upload that is refused is a dump that is lost. When nothing
// may go any more it is ErrFull.
func (s *Store) makeRoom(ctx context.Context, key fleet.DeviceKey, least int64) error {
	for allowed := oneOfMany; allowed <= lastOne; allowed++ {
		short, err := s.shortBy(least)
		if err != nil || short <= 0 {
			return err
		}
		for c := range s.candidates() {
			if s.worthOf(c) > allowed {
				continue
			}
			s.carryOut(ctx, []candidate{c})
			if short, err = s.shortBy(least); err != nil || short <= 0 {
				return err
			}
		}
	}
	return fleet.Full("no room for a dump of device %s: less than the reserve of %d MiB is free and nothing is left to remove", key, s.options.Reserve>>20)
}

// shortBy is how many bytes are missing to least.
func (s *Store) shortBy(least int64) (int64, error) {
	free, _, err := s.options.Space()
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return least - (free - s.pending), nil
}

// candidates are all pairs but the newest of each device, from the device that has most, its oldest first.
func (s *Store) candidates() iter.Seq[candidate] {
	return func(yield func(candidate) bool) {
		queue := s.fullest()
		for queue.Len() > 0 {
			top := &queue[0]
			s.mu.Lock()
			pairs := s.devices[top.key].pairs
			i := len(pairs) - top.left // those before it were yielded and stay, or are gone
			var c candidate
			ok := i >= 0 && i < len(pairs)-1
			if ok {
				c = candidate{top.key, pairs[i]}
			}
			s.mu.Unlock()
			if !ok {
				heap.Pop(&queue)
				continue
			}
			top.left--
			heap.Fix(&queue, 0)
			if !yield(c) {
				return
			}
		}
	}
}

// crowd is a device and how many of its pairs nobody has looked at.
type crowd struct {
	key    fleet.DeviceKey
	left   int
	oldest int64 // name of its oldest, for the order of those that have as many
}

type crowds []crowd

func (c crowds) Len() int { return len(c) }
func (c crowds) Less(i, j int) bool {
	if c[i].left != c[j].left {
		return c[i].left > c[j].left
	}
	return c[i].oldest < c[j].oldest
}
func (c crowds) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *crowds) Push(x any)   { *c = append(*c, x.(crowd)) }
func (c *crowds) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

func (s *Store) fullest() crowds {
	s.mu.Lock()
	defer s.mu.Unlock()
	var queue crowds
	for key, sh := range s.devices {
		if n := len(sh.pairs); n > 1 {
			queue = append(queue, crowd{key, n, sh.pairs[0].micros})
		}
	}
	heap.Init(&queue)
	return queue
}

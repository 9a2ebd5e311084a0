package systemd

import (
	"io"
	"sync"
	"time"
)

// Queue holds log lines until whoever reads the log takes them, so that a full pipe or a stuck journal holds up nobody who
// logs. It is bounded: while it is full lines are dropped and counted. Once half of it has been written again, the next line
// says how many were lost, where they were lost.
type Queue struct {
	wake    chan struct{} // a line was put, or the queue was closed
	written chan struct{} // closed when the writer has ended

	mu      sync.Mutex // guards what follows
	lines   []line
	bytes   int
	losing  bool   // full, and not half empty since
	lost    uint64 // since the last line that said how many
	dropped uint64 // since the start
	closed  bool
	sayLost func(lost uint64) // puts a line, with the queue's room for one more
}

// line is what is written once its turn comes.
type line struct {
	size  int
	write func() error
}

// The limits: what a busy gateway logs in some seconds, and little beside its other memory.
const (
	mostLines     = 4096
	mostLineBytes = 4 << 20
)

// NewQueue starts the queue's writer.
func NewQueue() *Queue {
	q := &Queue{wake: make(chan struct{}, 1), written: make(chan struct{})}
	go q.run()
	return q
}

// SayLost sets what logs that lines were lost. It is called by the writer, and logs into the queue.
func (q *Queue) SayLost(say func(lost uint64)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sayLost = say
}

// Dropped is how many lines were dropped since the start.
func (q *Queue) Dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// Close lets no further line in and waits until all are written, or until patience ends: it says whether they are.
func (q *Queue) Close(patience time.Duration) bool {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.stir()
	bound := time.NewTimer(patience)
	defer bound.Stop()
	select {
	case <-q.written:
		return true
	case <-bound.C:
		return false
	}
}

// Writer is w behind the queue; each Write is a line.
func (q *Queue) Writer(w io.Writer) io.Writer { return queued{q, w} }

type queued struct {
	queue *Queue
	w     io.Writer
}

// Write never waits for the reader and never fails.
func (w queued) Write(text []byte) (int, error) {
	kept := append([]byte(nil), text...) // the handler uses its buffer again
	w.queue.put(len(kept), func() error {
		_, err := w.w.Write(kept)
		return err
	})
	return len(text), nil
}

// put lets a line in, or drops it.
func (q *Queue) put(size int, write func() error) {
	q.mu.Lock()
	if len(q.lines) >= mostLines || q.bytes+size > mostLineBytes {
		q.losing = true
	}
	if q.losing || q.closed {
		q.lost++
		q.dropped++
		q.mu.Unlock()
		return
	}
	q.lines = append(q.lines, line{size, write})
	q.bytes += size
	q.mu.Unlock()
	q.stir()
}

func (q *Queue) stir() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run writes until the queue is closed and empty. A line that cannot be written is lost as one that found no room.
func (q *Queue) run() {
	defer close(q.written)
	for range q.wake {
		for {
			next, ok := q.first()
			if !ok {
				break
			}
			err := next.write()
			q.wrote(next, err)
		}
		if q.over() {
			return
		}
	}
}

func (q *Queue) first() (line, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) == 0 {
		return line{}, false
	}
	return q.lines[0], true
}

func (q *Queue) over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed && len(q.lines) == 0
}

// wrote takes the first line out, and says what was lost as soon as there is room and somebody reads.
func (q *Queue) wrote(first line, err error) {
	q.mu.Lock()
	q.lines[0] = line{}
	q.lines = q.lines[1:]
	q.bytes -= first.size
	if err != nil {
		q.lost++
		q.dropped++
		q.mu.Unlock()
		return
	}
	if q.losing && len(q.lines) <= mostLines/2 && q.bytes <= mostLineBytes/2 {
		q.losing = false
	}
	lost, say := q.lost, q.sayLost
	if lost == 0 || q.losing || q.closed || say == nil {
		q.mu.Unlock()
		return
	}
	q.lost = 0
	q.mu.Unlock()
	say(lost)
}

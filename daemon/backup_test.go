package main

import (
	"path/filepath"
	"testing"
	"time"
)

func TestTheCatalogIsCopiedOnceADay(t *testing.T) {
	g := startGateway(t)
	copies := func() int { return len(filesIn(t, filepath.Join(g.state, "backup"), ".backup.gz")) }
	g.within(5*time.Second, "a first copy", func() bool { return copies() == 1 })
	g.restart()
	time.Sleep(200 * time.Millisecond)
	if n := copies(); n != 1 {
		t.Errorf("%d copies after a restart on the same day", n)
	}
}

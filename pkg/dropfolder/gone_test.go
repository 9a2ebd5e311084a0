package dropfolder

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestADropFolderThatIsGoneIsTroubleAndTakenFromAgainWhenItIsBack(t *testing.T) {
	var g gate
	f, log := folder(t, &g, nil)
	f.scanEvery = 5 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	dir := f.options.Dir
	trouble := func() bool { return strings.Contains(strings.Join(f.Trouble(), "\n"), "drop folder cannot be read") }
	drop(t, dir, "first.zip", whole)
	eventually(t, "the first scan", exists(dir, "accepted", "first.zip"))
	for i, gone := range []func() error{
		func() error { return os.RemoveAll(dir) },
		func() error { return os.Rename(dir, dir+".old") },
	} {
		if err := gone(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "trouble", trouble)
		if err := os.Mkdir(dir, 0o770); err != nil {
			t.Fatal(err)
		}
		eventually(t, "no trouble", func() bool { return !trouble() })
		drop(t, dir, "again.zip", whole)
		eventually(t, "accepted", exists(dir, "accepted", "again.zip"))
		if n := strings.Count(log.String(), "nothing is taken until it is back"); n != i+1 {
			t.Errorf("it is in the journal %d times:\n%s", n, log)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTheDirectoryThatLiesAtTheFoldersPlaceIsWatched(t *testing.T) {
	f, _ := folder(t, &gate{}, nil)
	dir := f.options.Dir
	w := newWatch(dir, f.options.Logger)
	defer w.stop()
	w.follow()
	for _, test := range []struct {
		replace func() error
		told    bool // the removal; a mount over the folder tells nothing
	}{
		{func() error { return os.Rename(dir, dir+".old") }, false},
		{func() error { return os.RemoveAll(dir) }, true}, // the next one may well have its number
	} {
		if err := test.replace(); err != nil {
			t.Fatal(err)
		}
		for test.told {
			if e := <-w.events; e.gone {
				w.lost()
				break
			}
		}
		if err := os.Mkdir(dir, 0o770); err != nil {
			t.Fatal(err)
		}
		w.follow()
		if err := os.WriteFile(filepath.Join(dir, "demo.zip"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for found, end := false, time.After(patience); !found; {
			select {
			case e := <-w.events:
				found = e.name == "demo.zip"
			case <-end:
				t.Fatal("no event from the directory that lies there now")
			}
		}
	}
}

func TestAReasonSteersNoTerminal(t *testing.T) {
	g := gate{answer: func(string) error {
		return fleet.Refused("entry \x1b[31mred\u009b0m\xff is none of the five\nand more")
	}}
	f, _ := folder(t, &g, nil)
	const name = "\x1b]0;title\x07\n2026: all is well.zip"
	drop(t, f.options.Dir, name, whole)
	f.scan(t.Context())
	text, err := os.ReadFile(filepath.Join(f.options.Dir, rejectedDir, name+".reason.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(string(text), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
		t.Errorf("%q", text)
	}
	for _, want := range []string{`"\x1b]0;title\a\n2026: all is well.zip" was rejected on `, `entry \x1b[31mred\u009b0m\xff is none of the five` + "\nand more\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

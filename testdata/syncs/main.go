// Command syncs takes each sync out in turn, in a copy of the tree, and prints the test that fails without it. A sync
// without a test that fails is a promise that nobody would miss: then it ends with an error.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// cut is a line of code that keeps a promise, and the code that forgets it.
type cut struct {
	promise string
	file    string
	with    string
	without string
	tests   string // packages whose tests should notice
}

var cuts = []cut{
	{"the kernel is asked to sync a file", "pkg/durable/disk.go", "unix.Fdatasync(int(f.Fd()))", "error(nil)", "./pkg/durable"},
	{"the kernel is asked to sync a directory", "pkg/durable/disk.go", "return f.Sync()", "return nil", "./pkg/durable"},
	{"a file's content, before it gets its name", "pkg/durable/landing.go", "err := disk.Sync(l.file)", "err := error(nil)", "./pkg/durable ./pkg/dumps ./pkg/depot"},
	{"a landing syncs by itself", "pkg/durable/landing.go", "err := l.Sync(); err != nil", "err := error(nil); err != nil", "./pkg/durable ./pkg/depot"},
	{"a shared sync syncs", "pkg/durable/landing.go", "r.err = SyncDir(dir)", "r.err = nil", "./pkg/dumps"},
	{"the name of a key, a certificate, a marker", "pkg/durable/durable.go", "return SyncDir(filepath.Dir(path))", "return nil", "./pkg/durable"},
	{"a dump's names, before the 201", "pkg/dumps/write.go", "err := folder.Sync(dir); err != nil", "err := error(nil); err != nil", "./pkg/dumps"},
	{"the name of a device's directory", "pkg/dumps/write.go", "err := s.folder.Sync(s.options.Dir); err != nil", "err := error(nil); err != nil", "./pkg/dumps"},
	{"a copy of a dump that was cut off: its directory", "pkg/dumps/write.go", "errors.Join(s.folder.Sync(s.options.Dir), folder.Sync(dir))", "s.folder.Sync(s.options.Dir)", "./pkg/dumps"},
	{"a copy of a dump that was cut off: its device", "pkg/dumps/write.go", "errors.Join(s.folder.Sync(s.options.Dir), folder.Sync(dir))", "folder.Sync(dir)", "./pkg/dumps"},
	{"the names of a build", "pkg/depot/acceptbundle.go", "return durable.SyncDir(d.modelDir(build.Model))", "return nil", "./pkg/depot"},
	{"the name of a model's directory", "pkg/depot/land.go", "return durable.SyncDir(filepath.Dir(dir))", "_ = filepath.Dir(dir)\n\treturn nil", "./pkg/depot"},
	{"the name of what is offered", "pkg/depot/land.go", "return durable.SyncDir(d.options.Dir)", "return nil", "./pkg/depot"},
	{"the name of a plain image", "pkg/depot/acceptimage.go", "err := durable.SyncDir(d.options.Dir); err != nil", "err := error(nil); err != nil", "./pkg/depot"},
	{"that a build is removed", "pkg/depot/remove.go", "err = durable.SyncDir(filepath.Dir(path))", "_ = filepath.Dir(path)", "./pkg/depot"},
	{"the name of a backup", "pkg/backup/file.go", "durable.SyncDir(filepath.Dir(path))", "nil", "./pkg/backup"},
	{"that a restore is under way", "pkg/backup/restore.go", "durable.WriteFile(marker,", "os.WriteFile(marker,", "./pkg/backup"},
	{"the names that a restore exchanges", "pkg/backup/stage.go", "return durable.SyncDir(filepath.Dir(to))", "_ = filepath.Dir(to)\n\t\treturn nil", "./pkg/backup"},
	{"the settings that a restore writes", "pkg/backup/stage.go", "durable.WriteFile(path, content, mode)", "os.WriteFile(path, content, mode)", "./pkg/backup"},
	{"that a restore is over", "pkg/backup/restore.go", "err = errors.Join(err, durable.SyncDir(s.place.StateDir))", "_ = s", "./pkg/backup"},
	{"each transaction of the catalog", "pkg/catalog/badger.go", "WithSyncWrites(true)", "WithSyncWrites(false)", "./pkg/catalog"},
	{"the kernel is asked what it has not kept", "pkg/durable/disk.go", "err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags))", "_ = flags", "./pkg/durable"},
	{"that ext4 keeps what the catalog has synced", "pkg/catalog/commit.go", "err = c.ahead.kept()", "err = nil", "./pkg/catalog"},
	{"that ext4 keeps the names that were synced", "pkg/durable/durable.go", "return Kept(f)", "return nil", "./pkg/durable"},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "syncs:", err)
		os.Exit(1)
	}
}

func run() error {
	tree, err := os.MkdirTemp("", "slipway-syncs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tree)
	if out, err := exec.Command("sh", "-c", "git ls-files -z | xargs -0 cp --parents -t "+tree).CombinedOutput(); err != nil {
		return fmt.Errorf("copy the tree: %w: %s", err, out)
	}
	unnoticed := 0
	for _, c := range cuts {
		noticed, err := c.try(tree)
		if err != nil {
			return fmt.Errorf("%s: %w", c.promise, err)
		}
		if noticed == "" {
			unnoticed++
			noticed = "NOBODY NOTICED"
		}
		fmt.Printf("%-52s %-30s %s\n", c.promise, c.file, noticed)
	}
	if unnoticed > 0 {
		return fmt.Errorf("%d of %d syncs can be taken out and no test fails", unnoticed, len(cuts))
	}
	fmt.Printf("%d syncs taken out in turn, each noticed\n", len(cuts))
	return nil
}

var failure = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// try takes one out and names the first test that fails, "" where none does.
func (c cut) try(tree string) (noticed string, err error) {
	path := filepath.Join(tree, c.file)
	whole, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	defer func() {
		if restored := os.WriteFile(path, whole, 0o644); err == nil {
			err = restored
		}
	}()
	if n := bytes.Count(whole, []byte(c.with)); n != 1 {
		return "", fmt.Errorf("%q stands %d times in %s, not once", c.with, n, c.file)
	}
	if err := os.WriteFile(path, bytes.Replace(whole, []byte(c.with), []byte(c.without), 1), 0o644); err != nil {
		return "", err
	}
	// An import that is no longer needed is no failing test: vet is off, and what does not build is an error.
	args := append([]string{"test", "-vet=off", "-count=1", "-run", "PowerCut|Lasts|Kernel|Badger|NotKept"}, strings.Fields(c.tests)...)
	test := exec.Command("go", args...)
	test.Dir = tree
	out, failed := test.CombinedOutput()
	if failed == nil {
		return "", nil
	}
	if m := failure.FindSubmatch(out); m != nil {
		return string(m[1]), nil
	}
	return "", fmt.Errorf("no test ran: %s", out)
}

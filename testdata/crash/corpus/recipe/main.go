// Command recipe makes the corpus, and GDB's answers anew.
//
//	recipe make [-only BUILD,…]   builds, runs and asks GDB: gcc-riscv64-unknown-elf, clang, lld, qemu-system-misc, gdb-multiarch
//	recipe gdb [-update]          asks GDB about the committed ELFs and dumps, and compares with the committed answers
//
// It runs in the folder of the package corpus.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-gateway/slipway/testdata/crash/corpus"
)

func main() {
	log.SetFlags(0)
	set := flag.NewFlagSet("recipe", flag.ExitOnError)
	only := set.String("only", "", "builds, with commas between them; all without")
	update := set.Bool("update", false, "write GDB's answers where they differ")
	if len(os.Args) < 2 {
		log.Fatal("usage: recipe make|gdb")
	}
	_ = set.Parse(os.Args[2:]) // it exits by itself
	var err error
	switch os.Args[1] {
	case "make":
		err = makeAll(chosen(*only))
	case "gdb":
		err = compareAll(chosen(*only), *update)
	default:
		err = fmt.Errorf("%q: want make or gdb", os.Args[1])
	}
	if err != nil {
		log.Fatalf("recipe: %v", err)
	}
}

func chosen(only string) []corpus.Build {
	if only == "" {
		return corpus.Builds
	}
	names := strings.Split(only, ",")
	return slices.DeleteFunc(slices.Clone(corpus.Builds), func(b corpus.Build) bool { return !slices.Contains(names, b.Name) })
}

func makeAll(builds []corpus.Build) error {
	for _, b := range builds {
		dumps, err := makeBuild(b)
		if err != nil {
			return fmt.Errorf("%s: %w", b.Name, err)
		}
		if err := askAll(dumps); err != nil {
			return fmt.Errorf("%s: %w", b.Name, err)
		}
		if err := write(b, dumps); err != nil {
			return err
		}
		fmt.Printf("%s: %d dumps\n", b.Name, len(dumps))
	}
	return nil
}

func write(b corpus.Build, dumps []corpus.Dump) error {
	packed, err := corpus.Pack(dumps)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join("builds", b.Name+".tar.zst"), packed, 0o644)
}

// atOnce is how many GDBs and QEMUs run side by side: they are short, and start by reading files.
const atOnce = 3

func askAll(dumps []corpus.Dump) error {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i := range dumps {
		group.Go(func() (err error) {
			d := &dumps[i]
			if d.GDB, err = ask(d.ELF, d.Core); err != nil {
				return fmt.Errorf("%s: %w", d.Cause(), err)
			}
			return nil
		})
	}
	return group.Wait()
}

func compareAll(builds []corpus.Build, update bool) error {
	frames, different := 0, 0
	for _, b := range builds {
		dumps, err := corpus.Read(b)
		if err != nil {
			return err
		}
		was := make([][]corpus.Task, len(dumps))
		for i := range dumps {
			was[i] = dumps[i].GDB
		}
		if err := askAll(dumps); err != nil {
			return err
		}
		for i, d := range dumps {
			for _, t := range d.GDB {
				frames += len(t.Frames)
			}
			if text := difference(was[i], d.GDB); text != "" {
				different++
				fmt.Printf("%s: %s: %s\n", b.Name, d.Cause(), text)
			}
		}
		if update {
			if err := write(b, dumps); err != nil {
				return err
			}
		}
	}
	fmt.Printf("GDB gave %d frames; %d dumps differ from the committed answers\n", frames, different)
	if different > 0 && !update {
		return errors.New("the committed answers are not GDB's")
	}
	return nil
}

// difference is the first one.
func difference(was, is []corpus.Task) string {
	if len(was) != len(is) {
		return fmt.Sprintf("%d tasks, and were %d", len(is), len(was))
	}
	for i := range is {
		for n := range max(len(was[i].Frames), len(is[i].Frames)) {
			a, b := at(was[i].Frames, n), at(is[i].Frames, n)
			if a != b {
				return fmt.Sprintf("task %d, frame %d: %s, and was %s", i, n, b, a)
			}
		}
	}
	return ""
}

func at(frames []corpus.Frame, n int) string {
	if n >= len(frames) {
		return "none"
	}
	return fmt.Sprintf("%+v", frames[n])
}

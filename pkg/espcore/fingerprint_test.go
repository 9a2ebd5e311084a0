package espcore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
)

func fingerprintOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])[:16]
}

func reportOf(frames ...Frame) *Report {
	return &Report{Kind: KindAbort, ELFMatch: Exact, Tasks: []Task{{Name: "idle"}, {Crashed: true, Frames: frames}}}
}

func inFile(function, file string) Frame {
	return Frame{Function: function, File: file, How: HowCFI, InApp: !framework{}.owns(file)}
}

func TestTheFingerprintsKeyHasTheFramesThatTell(t *testing.T) {
	const app, idf = "/home/me/lamp/main/main.c", "/opt/esp-idf/components/freertos/tasks.c"
	rom := Frame{Function: "ets_printf", ROM: true}
	scanned, inferred := inFile("found", app), inFile("lost", app)
	scanned.How, inferred.How = HowScan, HowInferred
	called, header := inferred, inFile("push", app)
	called.PC = new(Hex)
	header.Qualified, header.DeclFile = "push", "/home/me/lamp/main/list.hpp"
	for name, c := range map[string]struct {
		frames []Frame
		want   string
	}{
		"in the app":         {[]Frame{inFile("panic_abort", idf), inFile("work", app), rom, inFile("app_main", app)}, "work@main.c,app_main@main.c"},
		"five at most":       {[]Frame{inFile("a", app), inFile("b", app), inFile("c", app), inFile("d", app), inFile("e", app), inFile("f", app)}, "a@main.c,b@main.c,c@main.c,d@main.c,e@main.c"},
		"repeats once":       {[]Frame{inFile("a", app), inFile("a", app), inFile("b", app), inFile("a", app)}, "a@main.c,b@main.c,a@main.c"},
		"Windows":            {[]Frame{inFile("a", `C:\Espressif\frameworks\esp-idf-v5.3\components\heap\x.c`), inFile("b", `C:\work\lamp\main.c`)}, "b@main.c"},
		"no app":             {[]Frame{inFile("panic_abort", idf), inFile("multi_heap_free", idf), rom, inFile("xTaskCreate", idf), inFile("main_task", idf)}, "xTaskCreate@tasks.c"},
		"without files":      {[]Frame{{Function: "??"}, {Function: "work"}, {Function: "vPortTaskWrapper"}}, "work@"},
		"scanned":            {[]Frame{inFile("work", app), rom, scanned}, "work@main.c,found@main.c"},
		"inferred":           {[]Frame{inFile("work", app), inferred, inFile("app_main", app)}, "work@main.c,app_main@main.c"},
		"only inferred":      {[]Frame{inferred}, "lost@main.c"},
		"after a null call":  {[]Frame{{Function: "??"}, called, inFile("app_main", app)}, "lost@main.c,app_main@main.c"},
		"noise of the app":   {[]Frame{inFile("multi_heap_free", app), inFile("work", app), inFile("main_task", app)}, "work@main.c"},
		"declared elsewhere": {[]Frame{header, inFile("work", app)}, "push@list.hpp,work@main.c"},
		"nothing":            {nil, ""},
		"only noise":         {[]Frame{inFile("abort", idf), {Function: "??"}}, "abort@tasks.c"},
		"PlatformIO":         {[]Frame{inFile("xTaskCreate", "/root/.platformio/packages/framework-espidf/components/freertos/tasks.c"), inFile("loop", "src/main.cpp")}, "loop@main.cpp"},
		"the toolchain":      {[]Frame{inFile("memcpy", "/builds/idf/crosstool-NG/.build/src/newlib/libc/memcpy.c"), inFile("loop", "main.cpp")}, "loop@main.cpp"},
		"a name like theirs": {[]Frame{inFile("loop", "/home/me/esp-idf-lamp/main.cpp")}, "loop@main.cpp"},
	} {
		r := reportOf(c.frames...)
		if want := fingerprintOf("v2|lamp|abort|" + c.want); r.FingerprintFor("lamp") != want {
			t.Errorf("%s: the key has %q, want %q", name, strings.Join(r.chain(), ","), c.want)
		}
		top, _, _ := strings.Cut(c.want, "@")
		if f := r.Top(); (f == nil) != (top == "") || f != nil && f.Function != top {
			t.Errorf("%s: top %+v, want %q", name, f, top)
		}
	}
}

func TestTheFingerprintDependsOnModelAndKind(t *testing.T) {
	r := reportOf(inFile("work", "main.c"))
	seen := map[string]bool{r.FingerprintFor("lamp"): true, r.FingerprintFor("pump"): true}
	r.Kind = KindAssert
	seen[r.FingerprintFor("lamp")] = true
	if len(seen) != 3 {
		t.Errorf("%d different ones, want 3", len(seen))
	}
}

func TestWithoutTheRightSymbolsAddressesAreCompared(t *testing.T) {
	for _, chip := range []Chip{0, 5} {
		s := sampleOf(chip, 0x0102)
		d := mustRead(t, s.dump.container(true))
		missing := Decode(d, nil, Options{Model: "lamp"})
		wrong := Decode(d, s.program.index(t), Options{Model: "lamp", ELFSHA256: "ffff"})
		if missing.ELFMatch != Missing || wrong.ELFMatch != Mismatch || !warned(wrong, "is not the one of this dump") {
			t.Fatalf("%q, %q, %q", missing.ELFMatch, wrong.ELFMatch, wrong.Warnings)
		}
		var pcs []string
		for _, pc := range missing.RawPCs {
			pcs = append(pcs, pc.String())
		}
		want := fingerprintOf("v1raw|" + sampleHash + "|" + string(missing.Kind) + "|" + strings.Join(pcs, ","))
		if missing.Fingerprint != want || wrong.Fingerprint != want {
			t.Errorf("%s: %s, %s; want %s", chip, missing.Fingerprint, wrong.Fingerprint, want)
		}
		if len(pcs) < 2 || len(pcs) > 3 || pcs[0] != Hex(s.dump.tasks[0].pc).String() {
			t.Errorf("%s: pcs %v", chip, pcs)
		}
		if exact := s.decode(t, s.dump.container(true)); exact.Fingerprint == want || exact.RawPCs != nil {
			t.Errorf("%s: exact has %v", chip, exact.RawPCs)
		}
	}
}

func TestAnELFOfAnotherArchitectureIsNotUsed(t *testing.T) {
	s := sampleOf(0, 0x0102)
	r := Decode(mustRead(t, s.dump.container(true)), sampleOf(5, 0x0102).program.index(t), Options{ELFSHA256: sampleHash})
	if r.ELFMatch != Mismatch || !warned(r, "the ELF was not used") || r.Tasks[0].Frames[0].Function != "??" {
		t.Errorf("%q, %q, %+v", r.ELFMatch, r.Warnings, r.Tasks[0].Frames)
	}
}

func TestAReportThatWentThroughJSONHasTheSameFingerprint(t *testing.T) {
	for _, chip := range []Chip{0, 5} {
		s := sampleOf(chip, 0x0102)
		for _, sha := range []string{sampleHash, "other"} {
			r := Decode(mustRead(t, s.dump.container(true)), s.program.index(t), Options{ELFSHA256: sha, Model: "lamp"})
			b, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var back Report
			if err := json.Unmarshal(b, &back); err != nil {
				t.Fatal(err)
			}
			if back.FingerprintFor("lamp") != r.Fingerprint {
				t.Errorf("%s: %s became %s", chip, r.Fingerprint, back.FingerprintFor("lamp"))
			}
			if again, _ := json.Marshal(&back); string(again) != string(b) {
				t.Errorf("%s:\n%s\nbecame\n%s", chip, b, again)
			}
		}
	}
}

func TestTheFingerprintIsThatOfItsKey(t *testing.T) {
	if got, want := Fingerprint("lamp", KindAbort, []string{"a@x.c", "b@y.c"}), fingerprintOf("v2|lamp|abort|a@x.c,b@y.c"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestADumpIsDamagedWhereItsHashIsGoneWithItsChecksum(t *testing.T) {
	for name, c := range map[string]struct {
		dump Dump
		want bool
	}{
		"both are gone":          {Dump{Identity: Identity{Container: "ELF 1.2"}, Integrity: IntegrityBad}, true},
		"it has its hash":        {Dump{Identity: Identity{Container: "ELF 1.2", ELFHash: sampleHash}, Integrity: IntegrityBad}, false},
		"its checksum is right":  {Dump{Identity: Identity{Container: "ELF 1.2"}, Integrity: IntegrityOK}, false},
		"it came without one":    {Dump{Identity: Identity{Container: "ELF"}, Integrity: IntegrityNone}, false},
		"bin never has the hash": {Dump{Identity: Identity{Container: "bin 0.3"}, Integrity: IntegrityBad}, false},
	} {
		if got := Decode(&c.dump, nil, Options{}).Damaged; got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAChainHasFullNames(t *testing.T) {
	f := inFile("run", "/home/me/lamp/main/main.cpp")
	f.Qualified = "pump::run::{lambda#2}"
	if got := reportOf(f).chain(); len(got) != 1 || got[0] != "pump::run::{lambda#2}@main.cpp" {
		t.Errorf("%q", got)
	}
}

package sighting

import (
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const imageSize = 1 << 20

// The signs that tables are made of.
func said(v string) fleet.Seen {
	return fleet.Seen{By: fleet.HeardVersion, Said: fleet.Said{Version: v}}
}

func saidELF(v, elf string) fleet.Seen {
	return fleet.Seen{By: fleet.HeardVersion, Said: fleet.Said{Version: v, ELFSHA256: elf}}
}

func dumped(declared, build fleet.Version) fleet.Seen {
	return fleet.Seen{By: fleet.HeardDump, Dump: &fleet.SeenDump{Declared: declared, Build: build, ELF: "0123456789abcdef0123"}}
}

func bootID(id string) fleet.Seen {
	return fleet.Seen{By: fleet.HeardVersion, Said: fleet.Said{BootID: id}}
}

// sent is an answer of the bytes of an image from from to to, of which arrived have arrived.
func sent(v fleet.Version, from, to, arrived int64) fleet.Seen {
	return fleet.Seen{By: fleet.HeardFirmware, Transfer: &fleet.Transfer{
		Version: v, Size: imageSize, From: from, To: to, Arrived: arrived, Whole: arrived == to-from,
	}}
}

func whole(v fleet.Version) fleet.Seen { return sent(v, 0, imageSize, imageSize) }

// check reads a block of the image and closes.
func check(v fleet.Version) fleet.Seen { return sent(v, 0, imageSize, 2048) }

func notModified(v fleet.Version) fleet.Seen {
	return fleet.Seen{By: fleet.HeardFirmware, Transfer: &fleet.Transfer{Version: v, Size: imageSize, NotModified: true}}
}

func token() fleet.Seen  { return fleet.Seen{By: fleet.HeardToken} }
func config() fleet.Seen { return fleet.Seen{By: fleet.HeardConfig} }

// play has a device seen so, ten minutes apart.
func play(t *testing.T, seen ...fleet.Seen) (*shelf, *Book) {
	t.Helper()
	s := shelfOf(1, "")
	b := s.open(t)
	for _, one := range seen {
		s.hears(b, 10*time.Minute, one)
	}
	s.now = s.now.Add(10 * time.Minute)
	s.look(b) // what is over, is over
	return s, b
}

func TestWhatADeviceRunsIsKnownByTheStrongestNewSign(t *testing.T) {
	for name, c := range map[string]struct {
		seen []fleet.Seen
		runs string
		by   fleet.Proof
	}{
		"nothing":                               {nil, "", ""},
		"it says so":                            {[]fleet.Seen{said("1.0")}, "1.0", fleet.ProofSaid},
		"it says another now":                   {[]fleet.Seen{said("1.0"), said("1.1")}, "1.1", fleet.ProofSaid},
		"its ELF's hash names a build":          {[]fleet.Seen{saidELF("", "11111111aaaaaaaabbbb")}, "1.1", fleet.ProofSaid},
		"the hash counts more than the name":    {[]fleet.Seen{saidELF("core v3", "11111111aaaaaaaabbbb")}, "1.1", fleet.ProofSaid},
		"a hash that nobody knows, and a name":  {[]fleet.Seen{saidELF("1.7", "22222222aaaa")}, "1.7", fleet.ProofSaid},
		"a dump":                                {[]fleet.Seen{dumped("1.0", "1.0")}, "1.0", fleet.ProofDump},
		"a dump of no known build":              {[]fleet.Seen{dumped("1.0", "")}, "", ""},
		"a dump after a rollback":               {[]fleet.Seen{dumped("1.0", "1.1")}, "1.0", fleet.ProofDump},
		"a dump is weaker than its word":        {[]fleet.Seen{said("1.0"), dumped("1.1", "1.1")}, "1.0", fleet.ProofSaid},
		"its word is stronger than a dump":      {[]fleet.Seen{dumped("1.1", "1.1"), said("1.0")}, "1.0", fleet.ProofSaid},
		"a dump, and that version fetched":      {[]fleet.Seen{said("1.0"), whole("1.1"), dumped("1.1", "1.1")}, "1.1", fleet.ProofDump},
		"its word after the fetch is newer":     {[]fleet.Seen{whole("1.1"), said("1.0"), dumped("1.1", "1.1")}, "1.0", fleet.ProofSaid},
		"whole, one boot, a check":              {[]fleet.Seen{bootID("a"), whole("1.1"), bootID("b"), check("1.1")}, "1.1", fleet.ProofBehaved},
		"whole, one boot, a 304":                {[]fleet.Seen{bootID("a"), whole("1.1"), bootID("b"), notModified("1.1")}, "1.1", fleet.ProofBehaved},
		"whole, esp-mdm's boot, a check":        {[]fleet.Seen{whole("1.1"), token(), config(), check("1.1")}, "", ""},
		"whole and a 304, but no boot":          {[]fleet.Seen{bootID("a"), whole("1.1"), notModified("1.1")}, "", ""},
		"whole, one boot, a check of another":   {[]fleet.Seen{bootID("a"), whole("1.1"), bootID("b"), check("1.2")}, "", ""},
		"whole, two boots, a check":             {[]fleet.Seen{bootID("a"), whole("1.1"), bootID("b"), bootID("c"), check("1.1")}, "", ""},
		"two boots without rollback":            {[]fleet.Seen{bootID("a"), whole("2.0"), bootID("b"), bootID("c"), check("2.0")}, "2.0", fleet.ProofBehaved},
		"behaved, then whole again":             {[]fleet.Seen{bootID("a"), whole("1.1"), bootID("b"), check("1.1"), whole("1.1")}, "", ""},
		"behaved against its word":              {[]fleet.Seen{said("1.0"), bootID("a"), whole("1.1"), bootID("b"), check("1.1")}, "1.1", fleet.ProofBehaved},
		"a word since the fetch":                {[]fleet.Seen{bootID("a"), whole("1.1"), said("1.0"), bootID("b"), check("1.1")}, "1.0", fleet.ProofSaid},
		"a whole one in ranges":                 {[]fleet.Seen{bootID("a"), sent("1.1", 0, imageSize/2, imageSize/2), sent("1.1", imageSize/2, imageSize, imageSize/2), bootID("b"), check("1.1")}, "1.1", fleet.ProofBehaved},
		"the first block as a range is a check": {[]fleet.Seen{bootID("a"), whole("1.1"), bootID("b"), sent("1.1", 0, 1024, 1024)}, "1.1", fleet.ProofBehaved},
	} {
		t.Run(name, func(t *testing.T) {
			_, b := play(t, c.seen...)
			if got := sightingOf(b, 0); got.Runs != c.runs || got.RunsBy != c.by {
				t.Errorf("runs %q by %q, want %q by %q", got.Runs, got.RunsBy, c.runs, c.by)
			}
		})
	}
}

func TestADumpShowsTheBuildsELF(t *testing.T) {
	_, b := play(t, dumped("1.0", "1.0"))
	if got := sightingOf(b, 0); got.RunsELF != "0123456789abcdef" {
		t.Errorf("ELF %q", got.RunsELF)
	}
}

func TestARollbackIsSeenInADumpAndInTheDevicesWord(t *testing.T) {
	for name, c := range map[string]struct {
		seen []fleet.Seen
		left fleet.Version
		by   fleet.Proof
	}{
		"nothing":                              {nil, "", ""},
		"a dump that another version declares": {[]fleet.Seen{dumped("1.0", "1.1")}, "1.1", fleet.ProofDump},
		"a dump of what it runs":               {[]fleet.Seen{dumped("1.0", "1.0")}, "", ""},
		"whole, a boot, and the old one":       {[]fleet.Seen{said("1.0"), bootID("a"), whole("1.1"), bootID("b"), said("1.0")}, "1.1", fleet.ProofSaid},
		"it ran the new one, and now the old":  {[]fleet.Seen{said("1.0"), whole("1.1"), said("1.1"), said("1.0")}, "1.1", fleet.ProofSaid},
		"whole, and not booted yet":            {[]fleet.Seen{said("1.0"), bootID("a"), whole("1.1"), said("1.0")}, "", ""},
		"it ran the new one, and now a third":  {[]fleet.Seen{said("1.0"), whole("1.1"), said("1.1"), said("1.2")}, "", ""},
		"the new one":                          {[]fleet.Seen{said("1.0"), bootID("a"), whole("1.1"), bootID("b"), said("1.1")}, "", ""},
		"a third by cable, said twice":         {[]fleet.Seen{said("1.0"), bootID("a"), whole("1.1"), bootID("b"), said("1.1"), bootID("c"), said("1.2"), said("1.2")}, "", ""},
		"a third at once, said twice":          {[]fleet.Seen{said("1.0"), bootID("a"), whole("1.1"), bootID("b"), said("1.2"), said("1.2")}, "", ""},
		"back by a new download":               {[]fleet.Seen{said("1.0"), whole("1.1"), said("1.1"), whole("1.0"), said("1.0")}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, b := play(t, c.seen...)
			var left fleet.Version
			var by fleet.Proof
			if back := sightingOf(b, 0).WentBack; back != nil {
				left, by = back.Version, back.By
			}
			if left != c.left || by != c.by {
				t.Errorf("went back from %q by %q, want %q by %q", left, by, c.left, c.by)
			}
		})
	}
}

func TestARollbackIsToldOnce(t *testing.T) {
	s, b := play(t, said("1.0"), bootID("a"), whole("1.1"), bootID("b"), said("1.0"))
	first := sightingOf(b, 0).WentBack.At
	s.hears(b, time.Hour, said("1.0"))
	if again := sightingOf(b, 0).WentBack.At; !again.Equal(first) {
		t.Errorf("told at %s and again at %s", first, again)
	}
	s.hears(b, time.Hour, check("1.1"))
	if got := sightingOf(b, 0); got.Runs != "1.0" || got.RunsBy != fleet.ProofSaid {
		t.Errorf("after its check of what it left: %q by %q", got.Runs, got.RunsBy)
	}
}

func TestPiecesCountInTheOrderInWhichTheyWereAskedFor(t *testing.T) {
	const third = imageSize / 3
	pieces := func(at time.Time) []fleet.Seen {
		all := []fleet.Seen{sent("1.1", 0, third, third), sent("1.1", third, 2*third, third), sent("1.1", 2*third, imageSize, imageSize-2*third)}
		for i := range all {
			all[i].Transfer.Begun = at.Add(time.Duration(i) * time.Second)
		}
		return all
	}
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	broken := sent("1.1", 0, imageSize, third+100)
	broken.Transfer.Begun = start
	for _, order := range [][]int{{0, 1, 2}, {1, 0, 2}, {2, 1, 0}, {1, 2, 0}} {
		seen := []fleet.Seen{broken}
		for _, i := range order {
			seen = append(seen, pieces(start.Add(time.Minute))[i])
		}
		if _, b := play(t, seen...); sightingOf(b, 0).Download.Outcome != fleet.DownloadWhole {
			t.Errorf("told in the order %v: %+v", order, sightingOf(b, 0).Download)
		}
	}
}

func TestADownloadIsWholeBrokenOrACheck(t *testing.T) {
	const half = imageSize / 2
	for name, c := range map[string]struct {
		seen    []fleet.Seen
		outcome fleet.DownloadOutcome
		bytes   int64
		checked bool
	}{
		"whole":                            {[]fleet.Seen{whole("1.1")}, fleet.DownloadWhole, imageSize, false},
		"a block":                          {[]fleet.Seen{check("1.1")}, "", 0, true},
		"all of 16 KiB":                    {[]fleet.Seen{sent("1.1", 0, imageSize, firstBlock)}, "", 0, true},
		"a byte more":                      {[]fleet.Seen{sent("1.1", 0, imageSize, firstBlock+1)}, fleet.DownloadBroken, firstBlock + 1, false},
		"one byte less than all":           {[]fleet.Seen{sent("1.1", 0, imageSize, imageSize-1)}, fleet.DownloadBroken, imageSize - 1, false},
		"nothing arrived":                  {[]fleet.Seen{sent("1.1", 0, imageSize, 0)}, "", 0, false},
		"a 304":                            {[]fleet.Seen{notModified("1.1")}, "", 0, true},
		"two halves":                       {[]fleet.Seen{sent("1.1", 0, half, half), sent("1.1", half, imageSize, half)}, fleet.DownloadWhole, imageSize, false},
		"resumed":                          {[]fleet.Seen{sent("1.1", 0, imageSize, half), sent("1.1", half, imageSize, half)}, fleet.DownloadWhole, imageSize, false},
		"resumed with a gap":               {[]fleet.Seen{sent("1.1", 0, imageSize, half), sent("1.1", half+1, imageSize, half-1)}, "", 0, false},
		"resumed, of another version":      {[]fleet.Seen{sent("1.1", 0, imageSize, half), sent("1.2", half, imageSize, half)}, "", 0, false},
		"begun anew, then the old end":     {[]fleet.Seen{sent("1.1", 0, imageSize, half), sent("1.1", 0, imageSize, 100_000), sent("1.1", half, imageSize, half)}, "", 0, false},
		"asked for its size, then resumed": {[]fleet.Seen{sent("1.1", 0, imageSize, half), sent("1.1", 0, 1, 1), sent("1.1", half, imageSize, half)}, fleet.DownloadWhole, imageSize, true},
		"the end first":                    {[]fleet.Seen{sent("1.1", half, imageSize, half)}, "", 0, false},
		"resumed and broken in its middle": {[]fleet.Seen{sent("1.1", half, imageSize, 10)}, fleet.DownloadBroken, half + 10, false},
		"no version":                       {[]fleet.Seen{whole("")}, "", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, b := play(t, c.seen...)
			got := sightingOf(b, 0)
			var outcome fleet.DownloadOutcome
			var bytes int64
			if got.Download != nil {
				outcome, bytes = got.Download.Outcome, got.Download.Bytes
			}
			if outcome != c.outcome || bytes != c.bytes {
				if c.outcome != "" || outcome == fleet.DownloadWhole {
					t.Errorf("%s of %d bytes, want %s of %d", outcome, bytes, c.outcome, c.bytes)
				}
			}
			if checked := !got.CheckedAt.IsZero(); checked != c.checked && c.outcome != "" {
				t.Errorf("checked: %t", checked)
			}
		})
	}
}

func TestADeviceThatAsksWhichBuildItIsOfferedHasCheckedAndShownNothing(t *testing.T) {
	for by, asks := range map[fleet.HeardBy]bool{
		fleet.HeardVersion: true, fleet.HeardManifest: true,
		fleet.HeardFirmware: false, fleet.HeardConfig: false, fleet.HeardToken: false, fleet.HeardProvisioning: false, fleet.HeardMQTT: false,
	} {
		_, b := play(t, whole("1.1"), fleet.Seen{By: by})
		got := sightingOf(b, 0)
		want := got.HeardAt
		if !asks {
			want = time.Time{}
		}
		if !got.CheckedAt.Equal(want) {
			t.Errorf("%s: checked at %s, want %s", by, got.CheckedAt, want)
		}
		if got.Runs != "" || b.Presence(keyOf(0)).Checks {
			t.Errorf("%s: runs %q, and is a client that shows what it wants of an image: %t", by, got.Runs, b.Presence(keyOf(0)).Checks)
		}
	}
}

func TestASketchsHashTellsWhichBuildItIsWhateverVersionItPasses(t *testing.T) {
	const known, strange = "feedfacefeedfacefeedfacefeedface", "0000000000000000"
	sketch := func(v, hash string) fleet.Seen {
		return fleet.Seen{By: fleet.HeardFirmware, Said: fleet.Said{Version: v, Sketch: hash}}
	}
	for name, c := range map[string]struct {
		seen []fleet.Seen
		runs string
		elf  string
		by   fleet.Proof
	}{
		"a build's":                      {[]fleet.Seen{sketch("", known)}, "1.1", "11111111aaaaaaaa", fleet.ProofSaid},
		"a build's, and another version": {[]fleet.Seen{sketch("mine", known)}, "1.1", "11111111aaaaaaaa", fleet.ProofSaid},
		"nobody's, and a version":        {[]fleet.Seen{sketch("mine", strange)}, "mine", "", fleet.ProofSaid},
		"nobody's":                       {[]fleet.Seen{sketch("", strange)}, "", "", ""},
		"nobody's takes nothing away":    {[]fleet.Seen{said("1.0"), sketch("", strange)}, "1.0", "", fleet.ProofSaid},
	} {
		_, b := play(t, c.seen...)
		if got := sightingOf(b, 0); got.Runs != c.runs || got.RunsELF != c.elf || got.RunsBy != c.by {
			t.Errorf("%s: runs %q, ELF %q, by %q", name, got.Runs, got.RunsELF, got.RunsBy)
		}
	}
}

// What the kernel holds of an answer may be acknowledged after the next one, and of a device that restarts without a word its end
// is seen minutes later.
func TestADownloadWhoseEndIsSeenLateHidesNoNewerOne(t *testing.T) {
	s, b := play(t, said("1.0"), bootID("a"))
	begun := s.now
	late := func(one fleet.Seen) fleet.Seen {
		transfer := *one.Transfer
		transfer.Begun = begun
		one.Transfer = &transfer
		return one
	}
	s.hears(b, time.Second, whole("1.2"))
	checked := sightingOf(b, 0).CheckedAt
	for _, one := range []fleet.Seen{whole("1.1"), sent("1.1", 0, imageSize, imageSize/2), check("1.1")} {
		s.hears(b, time.Minute, late(one))
		if got := sightingOf(b, 0); got.Download.Version != "1.2" || got.Download.Outcome != fleet.DownloadWhole || !got.CheckedAt.Equal(checked) {
			t.Errorf("after a late end of 1.1: %+v, checked at %s", got.Download, got.CheckedAt)
		}
	}
	s.hears(b, time.Minute, sent("1.3", 0, imageSize/2, imageSize/2))
	s.hears(b, time.Second, late(sent("1.1", 0, imageSize/2, imageSize/2)))
	s.hears(b, time.Second, sent("1.3", imageSize/2, imageSize, imageSize/2))
	if got := sightingOf(b, 0).Download; got.Version != "1.3" || got.Outcome != fleet.DownloadWhole {
		t.Errorf("between two halves of 1.3: %+v", got)
	}
	s.hears(b, time.Minute, whole("1.1"))
	if got := sightingOf(b, 0).Download; got.Version != "1.1" {
		t.Errorf("after an older version was fetched again: %+v", got)
	}
}

package event

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 123456789, time.UTC)

func TestTheHashIsTheOneThatAnybodyCanCompute(t *testing.T) {
	e := fleet.Event{
		At: noon, Kind: BuildPublished, Actor: fleet.Actor{Type: fleet.Person, ID: "ab12", Name: "Ana"}, From: "10.1.2.3",
		Object: fleet.BuildObject("pump", "1.0.0"), Details: json.RawMessage(`{ "before": "0.9<é>", "n": 1e3 }`),
	}
	link, s, err := Follow(Link{Seq: 41, Hash: First.Hash}, e)
	if err != nil {
		t.Fatal(err)
	}
	const bare = `{"actor":{"id":"ab12","name":"Ana","type":"person"},"at":"2026-05-04T12:00:00.123456Z","details":{"before":"0.9<é>","n":1000},` +
		`"from":"10.1.2.3","kind":"build.published","object":{"id":"pump/1.0.0","type":"build"},"seq":42}`
	sum := sha256.Sum256([]byte(strings.Repeat("0", 64) + "\n" + bare))
	hash := hex.EncodeToString(sum[:])
	if link.Hash != hash || link.Seq != 42 || s.Hash != hash {
		t.Errorf("hash %s, want %s", link.Hash, hash)
	}
	if want := strings.Replace(bare, `"kind"`, `"hash":"`+hash+`","kind"`, 1); string(s.Raw) != want {
		t.Errorf("stored as\n%s\nwant\n%s", s.Raw, want)
	}
}

func TestAnEventHasRoomForTwoConfigurationsAndNotForMore(t *testing.T) {
	big, err := json.Marshal(map[string]string{"before": strings.Repeat("<", 4000), "after": strings.Repeat("é", 4000)})
	if err != nil {
		t.Fatal(err)
	}
	_, s, err := Follow(First, fleet.Event{At: noon, Kind: ConfigChanged, Details: big})
	if err != nil || len(s.Raw) < 10_000 {
		t.Errorf("%d bytes, %v", len(s.Raw), err)
	}
	huge := json.RawMessage(`{"before":"` + strings.Repeat("x", 40_000) + `"}`)
	link, s, err := Follow(First, fleet.Event{At: noon, Kind: ConfigChanged, Details: huge, Object: fleet.Object{Type: "drop", ID: strings.Repeat("é", 1000)}})
	if err != nil || len(s.Raw) > 1000 || !strings.Contains(string(s.Raw), "too large") {
		t.Errorf("%d bytes, %v", len(s.Raw), err)
	}
	if _, err := Check(First, s.Raw); err != nil || link.Seq != 1 {
		t.Error(err)
	}
}

// chain is an export of n events.
func chain(t *testing.T, n int) []string {
	t.Helper()
	lines := []string{`{"anchor":{"seq":0,"hash":"` + First.Hash + `"}}`}
	link := First
	for range n {
		var s Stored
		var err error
		if link, s, err = Follow(link, fleet.Event{At: noon, Kind: DeviceAdded, Object: fleet.DeviceKey("a1b2c3d4").ObjectOf()}); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(s.Raw))
	}
	return lines
}

func TestVerifyNamesTheFirstEventThatDoesNotFollow(t *testing.T) {
	whole := chain(t, 5)
	for name, test := range map[string]struct {
		change func(lines []string) []string
		broken uint64
	}{
		"whole":                 {func(l []string) []string { return l }, 0},
		"its beginning cut off": {func(l []string) []string { return slices.Delete(l, 1, 3) }, 1},
		"one taken out":         {func(l []string) []string { return slices.Delete(l, 3, 4) }, 3},
		"one twice":             {func(l []string) []string { return slices.Insert(l, 4, l[3]) }, 4},
		"two exchanged":         {func(l []string) []string { l[2], l[3] = l[3], l[2]; return l }, 2},
		"a time changed":        {func(l []string) []string { l[4] = strings.Replace(l[4], "T12", "T13", 1); return l }, 4},
		"a member added":        {func(l []string) []string { l[4] = strings.Replace(l[4], `{"`, `{"a":1,"`, 1); return l }, 4},
		"a blank added":         {func(l []string) []string { l[4] = strings.Replace(l[4], `:`, `: `, 1); return l }, 4},
		"an empty line":         {func(l []string) []string { l[2] = ""; return l }, 2},
		"an endless line":       {func(l []string) []string { l[2] = strings.Repeat("x", 1<<20); return l }, 2},
		"a member twice":        {func(l []string) []string { l[4] = strings.Replace(l[4], `{"`, `{"seq":4,"`, 1); return l }, 4},
	} {
		text := strings.Join(test.change(slices.Clone(whole)), "\n") + "\n"
		_, end, err := Verify(strings.NewReader(text))
		var broken *BrokenError
		switch {
		case test.broken == 0:
			if err != nil || end.Seq != 5 {
				t.Errorf("%s: %v", name, err)
			}
		case !errors.As(err, &broken) || broken.Seq != test.broken:
			t.Errorf("%s: %v, want event %d", name, err, test.broken)
		}
	}
	for _, foreign := range []string{"", "{}", "null", "x", `{"seq":1}`} {
		if _, _, err := Verify(strings.NewReader(foreign)); err == nil {
			t.Errorf("%q is taken for an export", foreign)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(`{"anchor":{"seq":0,"hash":"00"}}` + "\n" + `{"hash":"00","seq":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		events, end, err := Verify(bytes.NewReader(b))
		if err == nil && events > 0 && end.Hash == "" {
			t.Errorf("%d events end nowhere", events)
		}
	})
}

func TestEveryKindIsNounAndVerbAndSaysWhatLeavesIt(t *testing.T) {
	seen := map[fleet.EventKind]bool{}
	for _, row := range Table {
		noun, verb, ok := strings.Cut(string(row.Kind), ".")
		if !ok || noun == "" || verb == "" || len(row.Left) == 0 || seen[row.Kind] {
			t.Errorf("%+v", row)
		}
		seen[row.Kind] = true
		if !Known(noun) || !Known(string(row.Kind)) {
			t.Errorf("%s is not known", row.Kind)
		}
	}
	if Known("") || Known("build.") || Known("nothing") {
		t.Error("what is no kind is known")
	}
}

func TestAFeedWakesWhoeverWatchesAndEndsThem(t *testing.T) {
	var f Feed
	one, stop := f.Watch()
	two, _ := f.Watch()
	f.Wake()
	f.Wake() // of those who have not looked yet nobody waits for it
	<-one
	<-two
	stop()
	f.Wake()
	<-two
	f.End()
	if _, open := <-two; open {
		t.Error("it is woken after the end")
	}
	if late, _ := f.Watch(); late != nil {
		if _, open := <-late; open {
			t.Error("who comes after the end waits")
		}
	}
	stop()
	f.End()
	f.Wake()
}

func TestTheJournalHasALineForEachEvent(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, nil))
	Log(logger, fleet.Event{
		Seq: 7, Kind: BuildPublished, Actor: fleet.Actor{Type: fleet.Person, ID: "ab12"}, From: "10.1.2.3", Object: fleet.BuildObject("pump", "1.0.0"),
		Details: json.RawMessage(`{"before":"0.9","bytes":12,"hidden":{"a":1}}`),
	})
	Log(logger, fleet.Event{Seq: 8, Kind: SignInFailed, Actor: Itself.Actor, Object: fleet.Object{Type: "source", ID: "10.0.0.0"}})
	for _, want := range []string{
		`level=INFO msg="build published" seq=7 by="person ab12" from=10.1.2.3 model=pump version=1.0.0 before=0.9 bytes=12` + "\n",
		`level=WARN msg="sign in failed" seq=8 by=gateway source=10.0.0.0` + "\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no line has %q:\n%s", want, &out)
		}
	}
}

// TestTheJournalSaysOfARolloutWhatAPersonReadsFirst has the lines as the plan of rollouts gives them.
func TestTheJournalSaysOfARolloutWhatAPersonReadsFirst(t *testing.T) {
	for _, one := range []struct {
		kind    fleet.EventKind
		object  fleet.Object
		details string
		want    string
	}{
		{RolloutHalted, fleet.Rollout{Model: "pump", Number: 7}.ObjectOf(),
			`{"evidence":60717,"devices":3,"why":"3 of the first 3 devices did not come back","wave":2,"version":"1.4.2","rollout":7,"model":"pump"}`,
			`level=WARN msg="rollout halted" seq=7 by=gateway model=pump version=1.4.2 wave=2 why="3 of the first 3 devices did not come back" devices=3 evidence=60717 rollout=7`},
		{RolloutHalted, fleet.Rollout{Model: "pump", Number: 7}.ObjectOf(),
			`{"evidence":10480.5,"old":"136/7606","new":"24/394","frame":"mqtt_task mqtt.c:212","signature":"9f2c","why":"crashes 3.4 times as often","version":"1.4.2","zone":"b"}`,
			`level=WARN msg="rollout halted" seq=7 by=gateway model=pump version=1.4.2 why="crashes 3.4 times as often" signature=9f2c frame="mqtt_task mqtt.c:212"` +
				` new=24/394 old=136/7606 evidence=10480.5 rollout=7 zone=b`},
		{RolloutWaveOpened, fleet.Rollout{Model: "pump", Number: 7}.ObjectOf(), `{"version":"1.4.2","wave":3,"devices":40}`,
			`level=INFO msg="wave opened" seq=7 by=gateway model=pump version=1.4.2 wave=3 devices=40 rollout=7`},
		{RolloutStarted, fleet.Rollout{Model: "pump", Number: 7}.ObjectOf(), `{}`, `level=INFO msg="rollout started" seq=7 by=gateway model=pump rollout=7`},
		{DeviceLost, fleet.DeviceKey("aaaaaaaa").ObjectOf(), `{"model":"pump","version":"1.4.2","rollout":7}`,
			`level=WARN msg="device lost" seq=7 by=gateway device=aaaaaaaa model=pump rollout=7 version=1.4.2`},
		{DeviceWentBack, fleet.DeviceKey("aaaaaaaa").ObjectOf(), `{}`, `level=WARN msg="device went back" seq=7 by=gateway device=aaaaaaaa`},
		{DeviceFound, fleet.DeviceKey("aaaaaaaa").ObjectOf(), `{}`, `level=INFO msg="device is back" seq=7 by=gateway device=aaaaaaaa`},
		{LineDark, fleet.Object{Type: "line", ID: "3"}, `{}`, `level=WARN msg="line dark" seq=7 by=gateway line=3`},
		{LineLit, fleet.Object{Type: "line", ID: "3"}, `{}`, `level=INFO msg="line is back" seq=7 by=gateway line=3`},
	} {
		var out bytes.Buffer
		Log(slog.New(slog.NewTextHandler(&out, nil)), fleet.Event{
			Seq: 7, Kind: one.kind, Actor: Itself.Actor, Object: one.object, Details: json.RawMessage(one.details),
		})
		if _, line, _ := strings.Cut(out.String(), " "); line != one.want+"\n" {
			t.Errorf("%swant %s", line, one.want)
		}
	}
}

func TestNobodyNamedIsTheGatewayItself(t *testing.T) {
	if by := ActorOf(context.Background()); by.Actor.Type != fleet.Itself {
		t.Errorf("%+v", by)
	}
	ctx := WithActor(context.Background(), By{Actor: fleet.Actor{Type: fleet.Person}})
	if by := ActorOf(ByItself(ctx)); by.Actor.Type != fleet.Itself {
		t.Errorf("%+v", by)
	}
}

func TestStrangersFailuresAreOneEventARoundAndSource(t *testing.T) {
	var tally Tally
	for i := range 5000 {
		tally.Count("[2001:db8::" + string("0123456789abcdef"[i%16]) + "]:1234") // one /64
		tally.Count("10.0.0.1:99")
		tally.Count("10.1." + string("0123456789"[i%10]) + ".7:1")
	}
	told := map[string]int{}
	tell := func(source fleet.Object, n int) error { told[source.ID] += n; return nil }
	if err := tally.Tell(tell); err != nil {
		t.Fatal(err)
	}
	if len(told) != 9 || told["2001:db8::/64"] != 5000 || told["10.0.0.1"] != 5000 || told["others"] != 4*500 {
		t.Errorf("%v", told)
	}
	clear(told)
	if err := tally.Tell(tell); err != nil || len(told) != 0 {
		t.Errorf("told twice: %v", told)
	}
}

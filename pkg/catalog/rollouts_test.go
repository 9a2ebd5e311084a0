package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/rollout"
)

// withBuilds is a catalog with n devices of the model pump, of which 1.0 is published, and 1.1 and 1.2 are not.
func withBuilds(t testing.TB, n int) *Catalog {
	t.Helper()
	c := withModel(t, "pump", "valve")
	for i, v := range []fleet.Version{"1.0", "1.1", "1.2"} {
		_, _, err := c.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: v, ELFSHA256: fmt.Sprintf("%02x", i)}, i == 0)
		must(t, err)
	}
	must(t, c.AddDevices(t.Context(), devices("pump", n)))
	return c
}

// rolled is a rollout of 1.1 as it is begun.
func rolled(state fleet.RolloutState) fleet.Rollout {
	return fleet.Rollout{Model: "pump", Version: "1.1", Base: "1.0", State: state, Wave: 1, Dark: []string{}, CreatedAt: noon, Plan: planned(3)}
}

func planned(devices int) fleet.Plan {
	return fleet.Plan{Name: "standard", Waves: []fleet.Wave{{Devices: devices, Rest: fleet.Duration(1e9)}, {Share: 1}}, Unproven: 3}
}

func add(t testing.TB, c *Catalog, r fleet.Rollout) fleet.Rollout {
	t.Helper()
	r, err := c.AddRollout(t.Context(), r, rollout.Change{})
	must(t, err)
	return r
}

// becomes saves a rollout in another state.
func becomes(t testing.TB, c *Catalog, r fleet.Rollout, state fleet.RolloutState, members ...fleet.Member) {
	t.Helper()
	r.State = state
	must(t, c.SaveRollout(t.Context(), rollout.Change{Model: r.Model, Number: r.Number, Rollout: &r, Members: members}))
}

func membersOf(t testing.TB, c *Catalog, number int) (all []fleet.Member) {
	t.Helper()
	must(t, c.EachMember("pump", number, func(m fleet.Member) error {
		all = append(all, m)
		return nil
	}))
	return all
}

func member(n int, state fleet.MemberState) fleet.Member {
	return fleet.Member{
		Device: keyOf(n), Line: "line3", Wave: 2, State: state, Attempts: 1, OfferedAt: noon, Has: true, UpBy: fleet.UpSaid,
		Crash: &fleet.Mark{Number: 7, New: true, Risk: [2]int{3, 40}, Fingerprint: "9f2c", Frame: "mqtt_task mqtt.c:212"},
	}
}

func TestARolloutIsKeptUnderTheNextNumberOfItsModel(t *testing.T) {
	c := withBuilds(t, 3)
	if r, err := c.AddRollout(t.Context(), fleet.Rollout{Model: "pump", Version: "9.9"}, rollout.Change{}); !errors.Is(err, fleet.ErrUnknown) {
		t.Errorf("a version that is not there: %+v, %v", r, err)
	}
	for want := range 11 { // 10 sorts behind 9
		r := add(t, c, rolled(fleet.RolloutRunning))
		if r.Number != want+1 {
			t.Fatalf("number %d, want %d", r.Number, want+1)
		}
		becomes(t, c, r, fleet.RolloutRetreated, member(1, fleet.MemberHealthy), member(0, fleet.MemberLost))
	}
	all, err := c.Rollouts("pump")
	must(t, err)
	want := rolled(fleet.RolloutRetreated)
	want.Number = 11
	if len(all) != 11 || !reflect.DeepEqual(all[10], want) {
		t.Errorf("%d rollouts, the last %+v", len(all), all[len(all)-1])
	}
	if members := membersOf(t, c, 11); !reflect.DeepEqual(members, []fleet.Member{member(0, fleet.MemberLost), member(1, fleet.MemberHealthy)}) {
		t.Errorf("%+v", members)
	}
	if others, err := c.Rollouts("pum"); len(others) != 0 || err != nil {
		t.Errorf("%+v, %v", others, err)
	}
	n := 0
	must(t, c.EachRollout(func(r fleet.Rollout) error {
		if n++; r.Number != n {
			t.Errorf("rollout %d comes as the %d.", r.Number, n)
		}
		return nil
	}))
	want2 := errors.New("enough")
	if err := c.EachRollout(func(fleet.Rollout) error { return want2 }); !errors.Is(err, want2) {
		t.Error(err)
	}
}

func TestASecondUnfinishedRolloutIsRefusedAlsoWhenTwoAskAtOnce(t *testing.T) {
	c := withBuilds(t, 1)
	for _, state := range fleet.RolloutStates {
		if !state.Unfinished() {
			continue
		}
		errs := make([]error, 8)
		var asking sync.WaitGroup
		for i := range errs {
			asking.Go(func() { _, errs[i] = c.AddRollout(t.Context(), rolled(state), rollout.Change{}) })
		}
		asking.Wait()
		all, err := c.Rollouts("pump")
		must(t, err)
		last := all[len(all)-1]
		added := 0
		for _, err := range errs {
			if err == nil {
				added++
			} else if !errors.Is(err, fleet.ErrTaken) || !strings.Contains(err.Error(), fmt.Sprintf("rollout %d of model pump", last.Number)) {
				t.Error(err)
			}
		}
		if added != 1 || last.State != state {
			t.Errorf("%s: %d were added, the last is %s", state, added, last.State)
		}
		becomes(t, c, last, fleet.RolloutHalted)
	}
	first, second := add(t, c, rolled(fleet.RolloutHalted)), add(t, c, rolled(fleet.RolloutRunning))
	first.State = fleet.RolloutRunning
	want(t, c.SaveRollout(t.Context(), rollout.Change{Model: "pump", Number: first.Number, Rollout: &first}), fleet.ErrTaken)
	becomes(t, c, second, fleet.RolloutFinished)
	becomes(t, c, first, fleet.RolloutRunning)
}

// keysOf are all keys but those of the events.
func keysOf(t testing.TB, c *Catalog) (keys []string) {
	t.Helper()
	must(t, c.view(func(txn *badger.Txn) error {
		return each(txn, "", "", false, func(key string, _ *badger.Item) error {
			keys = append(keys, key)
			return nil
		})
	}))
	return keys
}

func TestARolloutThatIsAddedWritesNoMember(t *testing.T) {
	c := withBuilds(t, 20)
	before := keysOf(t, c)
	add(t, c, rolled(fleet.RolloutRunning))
	after := slices.DeleteFunc(keysOf(t, c), func(key string) bool { return slices.Contains(before, key) })
	if !slices.Equal(after, []string{"r/pump/00000001"}) {
		t.Errorf("it wrote %q", after)
	}
}

func TestOneMemberIsOneRecordAndNothingElse(t *testing.T) {
	c := withBuilds(t, 20)
	r := add(t, c, rolled(fleet.RolloutRunning))
	head, err := c.LastEvent()
	must(t, err)
	var wrote []string
	must(t, c.update(t.Context(), func(t *tx) error {
		_, over, err := t.saveSome(rollout.Change{Model: "pump", Number: r.Number, Members: []fleet.Member{member(7, fleet.MemberOffered)}})
		if wrote = t.order; !over {
			err = errors.Join(err, errors.New("more is to be saved"))
		}
		return err
	}))
	if !slices.Equal(wrote, []string{"rm/pump/00000001/" + string(keyOf(7))}) {
		t.Errorf("it wrote %q", wrote)
	}
	if now, err := c.LastEvent(); now != head || err != nil {
		t.Errorf("it left events: %+v, %v", now, err)
	}
}

// TestOffersAtOnceAreOneCommit counts the syncs of the catalog's log by the versions that Badger gives its transactions.
func TestOffersAtOnceAreOneCommit(t *testing.T) {
	c := withBuilds(t, 40)
	r := add(t, c, rolled(fleet.RolloutRunning))
	changes := make([]func(*tx) error, 40)
	for i := range changes {
		changes[i] = func(t *tx) error {
			_, _, err := t.saveSome(rollout.Change{Model: "pump", Number: r.Number, Members: []fleet.Member{member(i, fleet.MemberOffered)}})
			return err
		}
	}
	for _, err := range together(t, c, changes...) {
		must(t, err)
	}
	versions := map[uint64]bool{}
	must(t, c.view(func(txn *badger.Txn) error {
		return each(txn, rolloutMembersPrefix("pump", r.Number), "", false, func(_ string, item *badger.Item) error {
			versions[item.Version()] = true
			return nil
		})
	}))
	if members := membersOf(t, c, r.Number); len(members) != 40 || len(versions) > 2 { // the first may go with what kept the committer busy
		t.Errorf("%d members in %d commits", len(members), len(versions))
	}
}

func TestAChangeOfARolloutAndItsEventsAreBothThereOrBothAbsent(t *testing.T) {
	c := withBuilds(t, 3)
	r, err := c.AddRollout(t.Context(), rolled(fleet.RolloutRunning), rollout.Change{
		Told: []rollout.Told{{Kind: event.RolloutStarted, Object: fleet.Object{Type: "rollout"}, Details: map[string]any{"model": "pump"}}},
	})
	must(t, err)
	told := eventsOf(t, c, event.Filter{Object: r.ObjectOf()})
	if len(told) != 1 || told[0].Kind != event.RolloutStarted || told[0].Object.ID != "pump/1" {
		t.Errorf("%+v", told)
	}
	ofModel := eventsOf(t, c, event.Filter{Object: fleet.ModelCode("pump").ObjectOf(), Kinds: []string{"rollout"}})
	if !slices.Equal(kinds(ofModel), []string{"rollout.started"}) {
		t.Errorf("the model's history has %v", kinds(ofModel))
	}
	halted := r
	halted.State, halted.Why = fleet.RolloutHalted, "halted by plant: noise"
	save := func(said any) error {
		return c.SaveRollout(t.Context(), rollout.Change{
			Model: "pump", Number: 1, Rollout: &halted, Members: []fleet.Member{member(1, fleet.MemberLost)}, Told: []rollout.Told{
				{Kind: event.DeviceLost, Object: keyOf(1).ObjectOf(), Details: said},
				{Kind: event.RolloutHalted, Object: r.ObjectOf(), Details: map[string]any{"why": halted.Why}},
			},
		})
	}
	head, err := c.LastEvent()
	must(t, err)
	if save(make(chan int)) == nil { // which no JSON says: the event fails, and with it the change
		t.Error("it was saved")
	}
	if all, err := c.Rollouts("pump"); err != nil || all[0].State != fleet.RolloutRunning || len(membersOf(t, c, 1)) != 0 {
		t.Errorf("without its events it is %+v, %v", all, err)
	}
	must(t, save(map[string]any{"why": "it did not come back"}))
	if kinds := kinds(eventsOf(t, c, event.Filter{After: head.Seq})); !slices.Equal(kinds, []string{"device.lost", "rollout.halted"}) {
		t.Errorf("told is %v", kinds)
	}
	if all, err := c.Rollouts("pump"); err != nil || !reflect.DeepEqual(all[0], halted) || len(membersOf(t, c, 1)) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	want(t, c.SaveRollout(t.Context(), rollout.Change{Model: "pump", Number: 2}), fleet.ErrUnknown)
}

// TestAChangeThatNoTransactionTakesGoesMembersFirstAndTheRecordLast cuts it off at each transaction.
func TestAChangeThatNoTransactionTakesGoesMembersFirstAndTheRecordLast(t *testing.T) {
	const many = 1000
	c := withBuilds(t, many)
	r := add(t, c, rolled(fleet.RolloutRunning))
	r.State = fleet.RolloutHalted
	all := rollout.Change{
		Model: "pump", Number: 1, Rollout: &r, Told: []rollout.Told{{Kind: event.RolloutHalted, Object: r.ObjectOf()}},
	}
	for n := range many {
		all.Members = append(all.Members, member(n, fleet.MemberLost))
		all.Told = append(all.Told, rollout.Told{Kind: event.DeviceLost, Object: keyOf(n).ObjectOf()})
	}
	head, err := c.LastEvent()
	must(t, err)
	pieces, ch := 0, all
	ch.Told = devicesFirst(ch.Told)
	for over := false; !over; pieces++ {
		now, err := c.Rollouts("pump")
		must(t, err)
		told := eventsOf(t, c, event.Filter{After: head.Seq})
		if now[0].State != fleet.RolloutRunning || len(told) > 0 && len(membersOf(t, c, 1)) < many || slices.Contains(kinds(told), "rollout.halted") {
			t.Fatalf("after %d pieces the rollout is %s, %d events tell of %d members", pieces, now[0].State, len(told), len(membersOf(t, c, 1)))
		}
		must(t, c.update(t.Context(), func(t *tx) (err error) {
			ch, over, err = t.saveSome(ch)
			return err
		}))
	}
	if pieces < 10 {
		t.Errorf("it went in %d pieces", pieces)
	}
	must(t, c.SaveRollout(t.Context(), all)) // the same once more, from outside
	now, err := c.Rollouts("pump")
	must(t, err)
	told := eventsOf(t, c, event.Filter{After: head.Seq})
	if now[0].State != fleet.RolloutHalted || len(membersOf(t, c, 1)) != many || len(told) != 2*(many+1) ||
		told[many].Kind != event.RolloutHalted || told[2*many+1].Kind != event.RolloutHalted {
		t.Errorf("%s, %d members, %d events", now[0].State, len(membersOf(t, c, 1)), len(told))
	}
}

func TestADeviceTakesItsMemberRecordsAlong(t *testing.T) {
	for name, leaves := range map[string]func(t *testing.T, c *Catalog) error{
		"removed": func(t *testing.T, c *Catalog) error { return c.RemoveDevice(t.Context(), keyOf(1)) },
		"another model": func(t *testing.T, c *Catalog) error {
			return change(t, c, keyOf(1), func(d *fleet.Device) { d.Model = "valve" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := withBuilds(t, 3)
			becomes(t, c, add(t, c, rolled(fleet.RolloutRunning)), fleet.RolloutReplaced, member(1, fleet.MemberBack), member(2, fleet.MemberUp))
			r := add(t, c, rolled(fleet.RolloutRunning))
			becomes(t, c, r, fleet.RolloutRunning, member(0, fleet.MemberUp), member(1, fleet.MemberUp))
			must(t, leaves(t, c))
			becomes(t, c, r, fleet.RolloutRunning, member(1, fleet.MemberHealthy)) // said too late
			for number, who := range map[int]int{1: 2, 2: 0} {
				if members := membersOf(t, c, number); len(members) != 1 || members[0].Device != keyOf(who) {
					t.Errorf("rollout %d has %+v", number, members)
				}
			}
		})
	}
}

func TestAModelTakesItsRolloutsAndItsPlanAlong(t *testing.T) {
	c := withBuilds(t, 1)
	must(t, c.SaveRolloutPlan(t.Context(), "pump", planned(5)))
	r := add(t, c, rolled(fleet.RolloutRunning))
	becomes(t, c, r, fleet.RolloutHalted, member(0, fleet.MemberUp))
	must(t, c.RemoveDevice(t.Context(), keyOf(0)))
	for _, v := range []fleet.Version{"1.0", "1.1", "1.2"} {
		must(t, c.RemoveBuild(t.Context(), "pump", v))
	}
	must(t, c.RemoveModel(t.Context(), "pump"))
	for _, key := range keysOf(t, c) {
		if kind, _, _ := strings.Cut(key, "/"); kind == "r" || kind == "rm" || kind == "rp" {
			t.Errorf("%s is left", key)
		}
	}
}

func TestMembersOfRolloutsThatEndedLongAgoGo(t *testing.T) {
	const many = 2500 // several pieces
	dir := t.TempDir()
	c, err := Open(settled(t, dir))
	must(t, err)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	_, _, err = c.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: "1.1", ELFSHA256: "aa"}, false)
	must(t, err)
	must(t, c.AddDevices(t.Context(), devices("pump", many)))
	all := make([]fleet.Member, many)
	for n := range all {
		all[n] = member(n, fleet.MemberHealthy)
	}
	ended := []fleet.RolloutState{fleet.RolloutFinished, fleet.RolloutRetreated, fleet.RolloutReplaced, fleet.RolloutHalted}
	for n := range 12 {
		becomes(t, c, add(t, c, rolled(fleet.RolloutRunning)), ended[n%len(ended)], all[:max(1, many*(1-min(n, 1)))]...)
	}
	add(t, c, rolled(fleet.RolloutDraft)) // 13: those up to 4 are old, and 4 is halted
	must(t, c.Close())                    // which waits for what nobody waits for
	c = open(t, dir)
	for number := 1; number <= 12; number++ {
		if n := len(membersOf(t, c, number)); (n == 0) != (number <= 3) {
			t.Errorf("rollout %d has %d members", number, n)
		}
	}
	if all, err := c.Rollouts("pump"); len(all) != 13 || err != nil {
		t.Errorf("%d rollouts are on record, %v", len(all), err)
	}
}

func TestAPlanIsKeptAndToldOf(t *testing.T) {
	c := withBuilds(t, 0)
	if p, found, err := c.RolloutPlan("pump"); found || err != nil {
		t.Errorf("%+v, %v, %v", p, found, err)
	}
	for _, p := range []fleet.Plan{planned(3), planned(3), planned(10)} {
		must(t, c.SaveRolloutPlan(t.Context(), "pump", p))
	}
	if p, found, err := c.RolloutPlan("pump"); !found || err != nil || !reflect.DeepEqual(p, planned(10)) {
		t.Errorf("%+v, %v, %v", p, found, err)
	}
	told := eventsOf(t, c, event.Filter{Kinds: []string{string(event.RolloutPlanChanged)}})
	if len(told) != 2 || told[0].Object != fleet.ModelCode("pump").ObjectOf() {
		t.Fatalf("%+v", told)
	}
	for i, said := range []string{`"before":null`, `"before":{"name":"standard"`} {
		if !strings.Contains(string(told[i].Details), said) || !strings.Contains(string(told[i].Details), `"after":{"name":"standard"`) {
			t.Errorf("%s", told[i].Details)
		}
	}
	want(t, c.SaveRolloutPlan(t.Context(), "nothing", planned(3)), fleet.ErrUnknown)
}

func TestABuildThatARolloutNeedsStays(t *testing.T) {
	has, failed := member(0, fleet.MemberUp), member(0, fleet.MemberSkipped)
	waits := fleet.Member{Device: keyOf(0), State: fleet.MemberWaiting}
	for _, one := range []struct {
		state   fleet.RolloutState
		member  fleet.Member
		version fleet.Version
		spared  bool // from removal, and from retention
		kept    bool // as it is: it is not replaced
	}{
		{fleet.RolloutDraft, waits, "1.1", true, true},
		{fleet.RolloutRunning, waits, "1.1", true, true},
		{fleet.RolloutRunning, waits, "1.0", true, true},
		{fleet.RolloutHeld, waits, "1.1", true, true},
		{fleet.RolloutPaused, waits, "1.0", true, true},
		{fleet.RolloutRetreating, waits, "1.1", true, true},
		{fleet.RolloutRunning, has, "1.2", false, false},
		{fleet.RolloutHalted, has, "1.1", true, false},
		{fleet.RolloutHalted, failed, "1.1", false, false},
		{fleet.RolloutHalted, waits, "1.1", false, false},
		{fleet.RolloutHalted, has, "1.0", false, false}, // published: the depot spares it
		{fleet.RolloutReplaced, has, "1.1", true, false},
		{fleet.RolloutRetreated, waits, "1.1", false, false},
		{fleet.RolloutFinished, has, "1.1", false, false},
	} {
		t.Run(fmt.Sprintf("%s, %s, %s", one.state, one.member.State, one.version), func(t *testing.T) {
			c := withBuilds(t, 1)
			becomes(t, c, add(t, c, rolled(fleet.RolloutRunning)), one.state, one.member)
			b, err := c.Build("pump", one.version)
			must(t, err)
			if needed, err := c.NeedsBuild(b); needed != one.spared || err != nil {
				t.Errorf("needed: %v, %v", needed, err)
			}
			if err := c.MayReplaceBuild("pump", one.version); errors.Is(err, fleet.ErrTaken) != one.kept {
				t.Errorf("to be replaced: %v", err)
			}
			err = c.RemoveBuild(t.Context(), "pump", one.version)
			if one.spared && (!errors.Is(err, fleet.ErrTaken) || !strings.Contains(err.Error(), "rollout 1")) || !one.spared && err != nil {
				t.Errorf("to be removed: %v", err)
			}
		})
	}
}

func TestWhatMembersOfAHaltedRolloutHaveGoesOnceAnotherVersionIsPublished(t *testing.T) {
	c := withBuilds(t, 1)
	becomes(t, c, add(t, c, rolled(fleet.RolloutRunning)), fleet.RolloutHalted, member(0, fleet.MemberUp))
	want(t, c.RemoveBuild(t.Context(), "pump", "1.1"), fleet.ErrTaken)
	_, err := c.PublishVersion(t.Context(), "pump", "1.2")
	must(t, err)
	must(t, c.RemoveBuild(t.Context(), "pump", "1.1"))
}

func TestARunningRolloutIsPausedByARestore(t *testing.T) {
	c := withBuilds(t, 3)
	must(t, c.SaveRolloutPlan(t.Context(), "pump", planned(5)))
	_, _, err := c.RecordBuild(t.Context(), fleet.Build{Model: "valve", Version: "1.1", ELFSHA256: "bb"}, true)
	must(t, err)
	becomes(t, c, add(t, c, rolled(fleet.RolloutRunning)), fleet.RolloutHalted, member(0, fleet.MemberUp))
	becomes(t, c, add(t, c, rolled(fleet.RolloutRunning)), fleet.RolloutHeld, member(1, fleet.MemberUp), member(2, fleet.MemberLost))
	draft := rolled(fleet.RolloutDraft)
	draft.Model = "valve"
	add(t, c, draft)
	before := membersOf(t, c, 2)

	dir := filepath.Join(t.TempDir(), "catalog")
	_, err = Restore(settled(t, dir), bytes.NewReader(backupOf(t, c)))
	must(t, err)
	c = open(t, dir)
	var states []string
	must(t, c.EachRollout(func(r fleet.Rollout) error {
		states = append(states, fmt.Sprintf("%s/%d %s %s", r.Model, r.Number, r.State, r.Why))
		return nil
	}))
	if want := []string{"pump/1 halted ", "pump/2 paused the catalog was restored from a backup", "valve/1 draft "}; !slices.Equal(states, want) {
		t.Errorf("%q", states)
	}
	if members := membersOf(t, c, 2); len(members) != 2 || !reflect.DeepEqual(members, before) {
		t.Errorf("%+v", members)
	}
	if p, found, err := c.RolloutPlan("pump"); !found || err != nil || !reflect.DeepEqual(p, planned(5)) {
		t.Errorf("%+v, %v", p, err)
	}
	told := kinds(eventsOf(t, c, event.Filter{Kinds: []string{"rollout", "backup"}}))
	if !slices.Equal(told, []string{"rollout.plan_changed", "rollout.paused", "backup.restored"}) {
		t.Errorf("told is %v", told)
	}
}

// readMembers are more than one gateway has devices.
var readMembers = 140_000

// TestMembersAreReadOneAtATime holds what they take while they are read against a bound.
func TestMembersAreReadOneAtATime(t *testing.T) {
	const most = 4 << 20
	c := withBuilds(t, 0)
	r := add(t, c, rolled(fleet.RolloutRunning))
	one, err := encode(member(0, fleet.MemberHealthy))
	must(t, err)
	must(t, c.inPieces(t.Context(), readMembers, false, func(t *tx, i int) error {
		return t.set(rolloutMemberKey("pump", r.Number, fleet.DeviceKey(fmt.Sprintf("m%07d", i))), one)
	}))
	inUse := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, peak, n := inUse(), uint64(0), 0
	must(t, c.EachMember("pump", r.Number, func(m fleet.Member) error {
		if n++; n%5000 == 0 {
			peak = max(peak, inUse())
		}
		return nil
	}))
	t.Logf("%d members, %d bytes more in use at most", n, int64(peak)-int64(before))
	if n != readMembers || int64(peak)-int64(before) > most {
		t.Errorf("%d members are read, and take %d bytes", n, int64(peak)-int64(before))
	}
}

func TestARolloutAndTheEndOfTheOneBeforeAreOnRecordTogetherOrNeitherIs(t *testing.T) {
	c := withBuilds(t, 1)
	old := add(t, c, rolled(fleet.RolloutRunning))
	ends := old
	ends.State = fleet.RolloutReplaced
	next := rolled(fleet.RolloutRunning)
	next.Version = "9.9"
	if _, err := c.AddRollout(t.Context(), next, rollout.Change{Replaces: &ends}); !errors.Is(err, fleet.ErrUnknown) {
		t.Fatal(err)
	}
	if all, err := c.Rollouts("pump"); err != nil || len(all) != 1 || all[0].State != fleet.RolloutRunning {
		t.Fatalf("after a start that failed: %+v, %v", all, err)
	}
	r, err := c.AddRollout(t.Context(), rolled(fleet.RolloutRunning), rollout.Change{Replaces: &ends})
	must(t, err)
	all, err := c.Rollouts("pump")
	if err != nil || r.Number != 2 || len(all) != 2 || all[0].State != fleet.RolloutReplaced || all[1].State != fleet.RolloutRunning {
		t.Errorf("number %d, %+v, %v", r.Number, all, err)
	}
}

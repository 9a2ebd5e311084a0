package page

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// groupChanges are what people do to a group; each leaves its event.
type groupChanges interface {
	UpdateGroup(ctx context.Context, address string, change func(*crash.Group) error) (crash.Group, error)
	MergeGroups(ctx context.Context, one, other string) (crash.Group, error)
	GroupCounters(address string) ([]crash.VersionSeries, error)
	GroupDevices(address string, after fleet.DeviceKey, limit int) (page []crash.DeviceCount, total int, err error)
	ListGroups(crash.GroupQuery) (crash.GroupPage, error)
}

// crashView is one group, with the stack of one of its dumps.
type crashView struct {
	Group    crash.Group
	Versions []versionRow
	Devices  []crash.DeviceCount
	More     string // the address of the devices behind these, "" for none
	Dumps    []crash.Listed
	Shown    *crash.Listed // the dump whose stack this is
	Stack    *stack
	Newer    string // the address with the dump before it, "" on the newest
	Older    string
	History  []happened
	Plot     string          // what the script draws, "" for nothing
	Into     []crash.Group   // it may be merged into
	Gone     []fleet.Version // it may be resolved in, or ignored until
	Lines    []lineCount     // where its devices stand, most first
	Decoded  string          // the dump behind which decoding again goes on, "" for the first
	LinesOf  int             // devices that were looked at for that; fewer than there are on a large group
}

// lineCount is how many devices of a line crash like this.
type lineCount struct {
	Line    string
	Devices int
}

// mostPlaced devices of a group are looked up on their lines.
const mostPlaced = 300

// linesOf counts the devices of a group by their lines.
func (p *Page) linesOf(group string) (lines []lineCount, of int, err error) {
	devices, _, err := p.Crashes.GroupDevices(group, "", mostPlaced)
	count := map[string]int{}
	for _, d := range devices {
		if _, line := p.Sightings.Sighting(d.Device); line != "" {
			count[line]++
		}
	}
	for line, n := range count {
		lines = append(lines, lineCount{line, n})
	}
	slices.SortFunc(lines, func(a, b lineCount) int { return cmp.Or(b.Devices-a.Devices, cmp.Compare(a.Line, b.Line)) })
	return lines, len(devices), err
}

// versionRow is how often it happened in a version.
type versionRow struct {
	crash.VersionCount
	Width int // of its bar, in percent of the longest
}

// happened is one line of a history.
type happened struct {
	At   time.Time
	What string
	Who  string
}

const (
	mostMerges = 30 // groups to choose from
	mostHappen = 30
)

func (p *Page) crash(v *visit) (shown, error) {
	q := v.r.URL.Query()
	g, versions, _, err := p.Crashes.Group(v.r.PathValue("fingerprint"))
	if err != nil {
		return shown{}, err
	}
	view := crashView{Group: g, Versions: versionRows(versions), Decoded: q.Get("decoded")}
	if view.Dumps, err = p.Crashes.GroupDumps(g.Fingerprint, shownRows); err != nil {
		return shown{}, err
	}
	if err := p.stackOf(&view, q.Get("dump")); err != nil {
		return shown{}, err
	}
	after := fleet.DeviceKey(q.Get("after"))
	var total int
	if view.Devices, total, err = p.Crashes.GroupDevices(g.Fingerprint, after, shownRows); err != nil {
		return shown{}, err
	}
	if n := len(view.Devices); n == shownRows && total > n {
		view.More = "/crashes/" + g.Fingerprint + "?after=" + url.QueryEscape(string(view.Devices[n-1].Device)) + "#devices"
	}
	if view.Lines, view.LinesOf, err = p.linesOf(g.Fingerprint); err != nil {
		return shown{}, err
	}
	counted, err := p.groupCounters(g)
	if err != nil {
		return shown{}, err
	}
	if view.Plot, err = plotOf(counted, p.Now()); err != nil {
		return shown{}, err
	}
	if err := p.history(&view); err != nil {
		return shown{}, err
	}
	if v.caller.Is("operator") {
		err = p.choices(&view)
	}
	return shown{cmp.Or(g.TopFrame, g.Fingerprint), view}, err
}

func versionRows(counts []crash.VersionCount) []versionRow {
	most := 1
	for _, c := range counts {
		most = max(most, c.Count)
	}
	rows := make([]versionRow, len(counts))
	for i, c := range counts {
		rows[i] = versionRow{c, max(1, 100*c.Count/most)}
	}
	return rows
}

// stackOf finds the dump that is to be seen: the one that was asked for; else the newest that was read with the very ELF;
// else the newest that was read at all.
func (p *Page) stackOf(view *crashView, asked string) (err error) {
	best, exact := -1, false
	for i, l := range view.Dumps {
		if asked == string(l.Dump.Name()) {
			best = i
			break
		}
		if l.Crash.State == crash.Reported && (best < 0 || !exact && l.Crash.Grade == crash.Exact) && asked == "" {
			best, exact = i, l.Crash.Grade == crash.Exact
		}
	}
	if asked != "" && best < 0 {
		return fleet.Unknown("this crash has no dump %q any more", asked)
	}
	if best < 0 {
		return nil
	}
	view.Shown = &view.Dumps[best]
	at := func(i int) string {
		if i < 0 || i >= len(view.Dumps) {
			return ""
		}
		return "/crashes/" + view.Group.Fingerprint + "?dump=" + url.QueryEscape(string(view.Dumps[i].Dump.Name())) + "#stack"
	}
	view.Newer, view.Older = at(best-1), at(best+1)
	view.Stack, err = p.report(view.Shown.Dump)
	return err
}

// history is what people, and regressions, did to the group.
func (p *Page) history(view *crashView) error {
	const newest = 1<<53 - 1
	page, err := p.Events.Events(event.Filter{Object: fleet.Object{Type: "crash", ID: view.Group.Fingerprint}, Before: newest, Limit: mostHappen})
	for _, e := range page.Events {
		view.History = append(view.History, happened{e.At, wordsOf(e.Kind), cmp.Or(e.Actor.Name, e.Actor.ID, string(e.Actor.Type))})
	}
	return err
}

func wordsOf(kind fleet.EventKind) string {
	return strings.NewReplacer(".", " ", "_", " ").Replace(string(kind))
}

// choices are what forms offer: there is nothing to be typed.
func (p *Page) choices(view *crashView) error {
	builds, err := p.Records.Builds(view.Group.Model)
	if err != nil {
		return err
	}
	for _, b := range slices.Backward(builds) {
		view.Gone = append(view.Gone, b.Version)
	}
	page, err := p.Crashes.ListGroups(crash.GroupQuery{GroupFilter: crash.GroupFilter{Model: view.Group.Model}, Order: "last_seen", Limit: mostMerges + 1})
	for _, g := range page.Groups {
		if g.Fingerprint != view.Group.Fingerprint {
			view.Into = append(view.Into, g)
		}
	}
	return err
}

// nextVersion in the form of resolving stands for the first version that comes after all that there are.
const nextVersion = "next"

func (p *Page) resolveCrash(v *visit) (done, error) {
	version, err := p.versionNamed(v, "in")
	if err != nil {
		return done{}, err
	}
	g, err := p.Crashes.UpdateGroup(v.r.Context(), v.r.PathValue("fingerprint"), func(g *crash.Group) error { g.Resolve(version, p.Now().UTC()); return nil })
	if err != nil {
		return done{}, err
	}
	return p.decided(g, "It is gone in "+string(version)+". A crash of that version or a later one is told as a regression.",
		"slipway crash resolve "+g.Fingerprint+" --in "+string(version)), nil
}

// versionNamed is the version that a field of a decision about a crash names: a build's, or one that comes after all of them.
func (p *Page) versionNamed(v *visit, field string) (fleet.Version, error) {
	g, _, _, err := p.Crashes.Group(v.r.PathValue("fingerprint"))
	if err != nil {
		return "", err
	}
	builds, err := p.Records.Builds(g.Model)
	if err != nil {
		return "", err
	}
	version, err := goneIn(v.r.PostFormValue(field), builds)
	if err != nil {
		return "", err
	}
	return version, crash.MayName(field, g.Model, builds, version)
}

// goneIn reads the choice of a version.
func goneIn(given string, builds []fleet.Build) (fleet.Version, error) {
	if given != nextVersion {
		return fleet.ParseVersion(given)
	}
	var newest fleet.Version
	for _, b := range builds {
		if sign, decided := fleet.CompareVersions(b.Version, newest); newest == "" || decided && sign > 0 {
			newest = b.Version
		}
	}
	next := afterVersion(newest)
	if sign, decided := fleet.CompareVersions(next, newest); !decided || sign <= 0 {
		return "", fleet.Refused("nobody knows what comes after %q: choose a build", string(newest))
	}
	return next, nil
}

// afterVersion raises the last number of a version: 1.6.0 is followed by 1.6.1 at the earliest, and each later one counts, too.
func afterVersion(v fleet.Version) fleet.Version {
	s := string(v)
	end := strings.LastIndexAny(s, "0123456789") + 1
	begin := strings.LastIndexFunc(s[:end], func(r rune) bool { return r < '0' || r > '9' }) + 1
	n, err := strconv.Atoi(s[begin:end])
	if err != nil {
		return ""
	}
	return fleet.Version(s[:begin] + strconv.Itoa(n+1) + s[end:])
}

func (p *Page) decided(g crash.Group, text, line string) done {
	return done{To: "/crashes/" + g.Fingerprint, Said: said{Text: text, Undo: "open it again, on this page", Line: line}}
}

// ignoreCrash ignores one until what the form has one of, or for good.
func (p *Page) ignoreCrash(v *visit) (done, error) {
	until, line, err := p.ignoreUntil(v)
	if err != nil {
		return done{}, err
	}
	g, err := p.Crashes.UpdateGroup(v.r.Context(), v.r.PathValue("fingerprint"), func(g *crash.Group) error { g.Ignore(until, p.Now().UTC()); return nil })
	text := "It is ignored: it is counted, and asks for nobody."
	if until := until.String(); until != "" {
		text = "It is ignored " + until + ": so long it is counted, and asks for nobody. Then it is open again by itself."
	}
	return p.decided(g, text, "slipway crash ignore "+g.Fingerprint+line), err
}

// ignoreUntil reads until when a crash is ignored, and the flags of the command that does the same.
func (p *Page) ignoreUntil(v *visit) (until crash.Bound, line string, err error) {
	in := api.Ignore{Version: v.r.PostFormValue("version"), Until: v.r.PostFormValue("until")}
	if given := v.r.PostFormValue("crashes"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil {
			return until, "", fleet.Refused("crashes %q: want how many more", given)
		}
		in.Crashes = &n
		line = " --until-crashes " + given
	}
	if in.Version != "" {
		version, err := p.versionNamed(v, "version")
		if err != nil {
			return until, "", err
		}
		in.Version = string(version)
		line += " --until-version " + in.Version
	}
	if in.Until != "" {
		line += " --until " + in.Until
	}
	until.Version, until.Crashes, until.At, err = in.Read(p.Now())
	return until, line, err
}

func (p *Page) reopenCrash(v *visit) (done, error) {
	g, err := p.Crashes.UpdateGroup(v.r.Context(), v.r.PathValue("fingerprint"), func(g *crash.Group) error { g.Reopen(p.Now().UTC()); return nil })
	d := p.decided(g, "It is open again.", "slipway crash reopen "+g.Fingerprint)
	d.Said.Undo = "resolve or ignore it, on this page"
	return d, err
}

func (p *Page) noteCrash(v *visit) (done, error) {
	g, err := p.Crashes.UpdateGroup(v.r.Context(), v.r.PathValue("fingerprint"), func(g *crash.Group) error {
		if err := g.SetNote(v.r.PostFormValue("note")); err != nil {
			return err
		}
		return g.SetLink(v.r.PostFormValue("link"))
	})
	d := p.decided(g, "The note is kept.", "slipway crash note "+g.Fingerprint)
	d.Said.Undo = "write what was there before: the events have it"
	return d, err
}

func (p *Page) mergeCrash(v *visit) (done, error) {
	g, err := p.Crashes.MergeGroups(v.r.Context(), v.r.PostFormValue("into"), v.r.PathValue("fingerprint"))
	d := p.decided(g, "The two are one now.", "slipway crash merge "+g.Fingerprint+" "+v.r.PathValue("fingerprint"))
	d.Said.Undo = "slipway crash split " + g.Fingerprint
	return d, err
}

// decodeCrash has its dumps decoded anew: a piece of them, and the page that comes then has a button for the next.
func (p *Page) decodeCrash(v *visit) (done, error) {
	after, err := crash.ParseRef(v.r.PostFormValue("after"))
	if err != nil {
		return done{}, err
	}
	fingerprint := v.r.PathValue("fingerprint")
	asked, err := p.Dumps.DecodeGroupAgain(v.r.Context(), fingerprint, after)
	if err != nil {
		return done{}, err
	}
	d := done{To: "/crashes/" + url.PathEscape(fingerprint), Said: said{Line: "slipway crash decode " + quoted(fingerprint)}}
	switch {
	case asked.Kept == 0:
		d.Said.Text = "No dump of it is kept any more: there is nothing to decode."
	case asked.Next.Name != "":
		d.To += "?decoded=" + url.QueryEscape(asked.Next.String())
		d.Said.Text = fmt.Sprintf("%s of its %s, newest first, are decoded again in their turn; there are more behind them: go on below.", humanize.Comma(int64(asked.Dumps)), plural(asked.Kept, "dump", "dumps"))
	case after.Name != "":
		d.Said.Text = fmt.Sprintf("The last %s of its %s are decoded again in their turn.", humanize.Comma(int64(asked.Dumps)), plural(asked.Kept, "dump", "dumps"))
	default:
		d.Said.Text = plural(asked.Dumps, "dump of it is", "dumps of it are") + " decoded again, one after another: below stands what comes of it. No crash is counted twice."
	}
	return d, nil
}

// decideCrashes does one thing to a selection of the list.
func (p *Page) decideCrashes(v *visit) (done, error) {
	chosen, verb := v.r.PostForm["crash"], v.r.PostFormValue("verb")
	change := map[string]func(*crash.Group){
		"ignore": func(g *crash.Group) { g.Ignore(crash.Bound{}, p.Now().UTC()) },
		"reopen": func(g *crash.Group) { g.Reopen(p.Now().UTC()) },
	}[verb]
	switch {
	case change == nil:
		return done{}, fleet.Refused("verb %q: want ignore or reopen", verb)
	case len(chosen) == 0:
		return done{}, fleet.Refused("no crash was chosen: tick some")
	case len(chosen) > shownRows:
		return done{}, fleet.Refused("%d crashes: a page has %d", len(chosen), shownRows)
	}
	for _, address := range chosen {
		if _, err := p.Crashes.UpdateGroup(v.r.Context(), address, func(g *crash.Group) error { change(g); return nil }); err != nil {
			return done{}, err
		}
	}
	return done{To: "/crashes", Said: said{
		Text: plural(len(chosen), "crash is", "crashes are") + map[string]string{"ignore": " ignored.", "reopen": " open again."}[verb],
		Undo: "choose them again, and the other verb", Line: "slipway crash " + verb + " FINGERPRINT",
	}}, nil
}

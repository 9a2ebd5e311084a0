package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// checkGroupIndex holds the index that the committer keeps in memory against the records.
func checkGroupIndex(t *testing.T, c *Catalog) {
	t.Helper()
	kept, err := c.indexGroups()
	must(t, err)
	defer kept.mu.Unlock()
	var anew groupIndex
	must(t, c.view(anew.read))
	for _, lists := range []map[string][]string{kept.chains, anew.chains} {
		for group := range lists {
			slices.Sort(lists[group])
		}
	}
	for _, lists := range []map[string][]fleet.Version{kept.versions, anew.versions} {
		for chain := range lists {
			slices.Sort(lists[chain])
		}
	}
	if !maps.Equal(kept.groups, anew.groups) || !maps.EqualFunc(kept.chains, anew.chains, slices.Equal) ||
		!maps.EqualFunc(kept.versions, anew.versions, slices.Equal) {
		t.Errorf("kept are %v, %v, %v, and there are %v, %v, %v", kept.groups, kept.chains, kept.versions, anew.groups, anew.chains, anew.versions)
	}
}

// manyGroups are of two models, three states and several versions; some numbers are those of several groups.
func manyGroups(t *testing.T) *Catalog {
	t.Helper()
	c := withDumps(t, 60)
	for n := range 60 {
		one := reported(n, fmt.Sprintf("f%02d", n*7%40), fleet.Version(fmt.Sprint("1.", n%5)))
		one.Uploaded = noon.Add(time.Duration(n%11) * time.Minute)
		one.Model = []fleet.ModelCode{"fan", "pump", "pump"}[n*7%40%3]
		one.Reason, one.TopFrame = fmt.Sprint("Abort ", n%4), "main.c:1"
		record(t, c, one, 0)
	}
	for n := range 40 {
		_, err := c.UpdateGroup(t.Context(), fmt.Sprintf("f%02d", n), func(g *crash.Group) error {
			switch n % 4 {
			case 0:
				g.Ignore(crash.Bound{}, noon)
			case 1:
				g.Resolve("9", noon)
			}
			return nil
		})
		must(t, err)
	}
	return c
}

func TestPagesOfGroupsAreWhatSortingAllOfThemGives(t *testing.T) {
	c := manyGroups(t)
	_, err := c.MergeGroups(t.Context(), "f02", "f05")
	must(t, err)
	_, err = c.MergeGroups(t.Context(), "f04", "f07")
	must(t, err)
	_, _, err = c.SplitGroup(t.Context(), "f04", []string{"f07"})
	must(t, err)
	checkGroupIndex(t, c)
	groups, err := list[crash.Group](c, groupPrefix)
	must(t, err)
	seen := map[string]map[fleet.Version]bool{}
	for _, g := range groups {
		_, versions, _, err := c.Group(g.Fingerprint)
		must(t, err)
		seen[g.Fingerprint] = map[fleet.Version]bool{}
		for _, v := range versions {
			seen[g.Fingerprint][v.Version] = true
		}
	}
	for _, order := range crash.GroupOrders {
		for _, f := range []crash.GroupQuery{
			{}, {GroupFilter: crash.GroupFilter{Model: "fan"}}, {GroupFilter: crash.GroupFilter{State: crash.Ignored}}, {GroupFilter: crash.GroupFilter{Version: "1.3"}},
			{Text: "aBORT 2"}, {GroupFilter: crash.GroupFilter{Model: "pump", State: crash.Open, Version: "1.1"}, Text: "main"}, {GroupFilter: crash.GroupFilter{Version: "7"}},
			{Seen: fleet.Span{Since: noon.Add(9 * time.Minute)}}, {Seen: fleet.Span{Until: noon.Add(time.Minute)}, Text: "abort"},
			{Seen: fleet.Span{Since: noon.Add(3 * time.Minute), Until: noon.Add(4 * time.Minute)}, GroupFilter: crash.GroupFilter{Model: "pump"}},
		} {
			picked := slices.DeleteFunc(slices.Clone(groups), func(g crash.Group) bool {
				return f.Model != "" && g.Model != f.Model || f.State != "" && g.State != f.State || f.Version != "" && !seen[g.Fingerprint][f.Version]
			})
			found := len(picked)
			want := slices.DeleteFunc(picked, func(g crash.Group) bool {
				return !f.Seen.Meets(g.FirstSeen, g.LastSeen) || !strings.Contains(strings.ToLower(g.Fingerprint+" "+g.Kind+" "+g.Reason+" "+g.TopFrame+" "+string(g.Model)), strings.ToLower(f.Text))
			})
			slices.SortFunc(want, func(a, b crash.Group) int {
				return cmp.Or(cmp.Compare(b.Number(order), a.Number(order)), cmp.Compare(a.Fingerprint, b.Fingerprint))
			})
			var got []crash.Group
			q := f
			q.Order, q.Limit = order, 7
			for {
				page, err := c.ListGroups(q)
				must(t, err)
				if page.Total != len(want) || page.Found != found {
					t.Fatalf("by %s of %+v: %d of %d, want %d of %d", order, f, page.Total, page.Found, len(want), found)
				}
				if got = append(got, page.Groups...); page.Next == nil {
					break
				}
				q.After = page.Next
			}
			if !slices.EqualFunc(got, want, func(a, b crash.Group) bool { return reflect.DeepEqual(a, b) }) {
				t.Errorf("by %s of %+v:\n got %v\nwant %v", order, f, got, want)
			}
		}
	}
	if versions, err := c.CrashVersions(); err != nil || !slices.Equal(versions, []fleet.Version{"1.0", "1.1", "1.2", "1.3", "1.4"}) {
		t.Errorf("%v, %v", versions, err)
	}
	if _, err := c.ListGroups(crash.GroupQuery{Order: "size"}); err == nil {
		t.Error("there is an order by size")
	}
}

func TestAfterACommitThatFailedGroupsAreReadAnew(t *testing.T) {
	c := manyGroups(t)
	c.listed.mu.Lock()
	delete(c.listed.groups, "f02") // as if nobody had told
	c.listed.mu.Unlock()
	_ = c.endBatch(&batch{txn: c.store.db.NewTransaction(true), listed: []indexWrite{{"g/f02", nil}}}, errClosed)
	checkGroupIndex(t, c)
}

package catalog

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const shared = "the secret of a hundred boards"

// adopting is a catalog with an open adoption of the model pump.
func adopting(t *testing.T) *Catalog {
	t.Helper()
	c := withModel(t, "pump", "fan")
	must(t, c.OpenAdoption(t.Context(), adoptionOf("pump", shared)))
	return c
}

func adoptionOf(model fleet.ModelCode, secret string) auth.Adoption {
	return auth.Adoption{Model: model, Hash: auth.HashSecret(secret), AtMost: 9, OpenedAt: noon, Until: noon.Add(time.Hour)}
}

// adopt makes a device of a stranger who calls itself by a name.
func adopt(t *testing.T, c *Catalog, name string, now time.Time) error {
	t.Helper()
	s, err := auth.NamedStranger(name)
	must(t, err)
	s.Secret = shared
	return c.AdoptDevice(t.Context(), s, now)
}

// adopted is the newest adoption of the model pump.
func adopted(t *testing.T, c *Catalog) auth.Adoption {
	t.Helper()
	all, err := c.Adoptions()
	must(t, err)
	return all[0]
}

func TestAStrangerWhoseNameSomebodyHasMeanwhileIsNotAdopted(t *testing.T) {
	c := adopting(t)
	must(t, c.AddDevice(t.Context(), fleet.Device{Key: keyOf(1), Model: "pump", Aliases: []fleet.Alias{"board-one", "aaaaaaa1"}}, auth.DeviceSecrets{}))
	for _, name := range []string{"board-one", "aaaaaaa1"} { // by its alias, and by its key
		want(t, adopt(t, c, name, noon), fleet.ErrTaken)
	}
	if n, err := c.CountDevices(""); n != 1 || err != nil || len(adopted(t, c).Adopted) != 0 {
		t.Errorf("%d devices, %v, and adopted %v", n, err, adopted(t, c).Adopted)
	}
}

// TestAStrangerIsNotAdoptedByANameOfADeviceThatWasRemoved whoever gave it that, and an older removal holds on.
func TestAStrangerIsNotAdoptedByANameOfADeviceThatWasRemoved(t *testing.T) {
	c := adopting(t)
	must(t, adopt(t, c, "board-one", noon))
	must(t, c.AddDevice(t.Context(), fleet.Device{Key: keyOf(1), Model: "pump", Aliases: []fleet.Alias{"board-two", "board-three"}}, auth.DeviceSecrets{}))
	for _, key := range []fleet.DeviceKey{fleet.DeviceKeyOf("board-one"), keyOf(1)} {
		must(t, c.RemoveDevice(t.Context(), key))
	}
	for _, name := range []string{"board-one", "board-two", "board-three", string(keyOf(1))} {
		err := adopt(t, c, name, noon)
		want(t, err, fleet.ErrRefused)
		if err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, c.AddDevice(t.Context(), fleet.Device{Key: keyOf(2), Model: "pump", Aliases: []fleet.Alias{"board-two"}}, auth.DeviceSecrets{}))
	if d, err := c.DeviceByAlias("board-two"); err != nil || d.Key != keyOf(2) {
		t.Errorf("once a person has added it: %v %v", d, err)
	}
}

func TestAPathSecretIsSharedUntilItIsReplacedOrEnded(t *testing.T) {
	c := adopting(t)
	const key = "aaaaaaa1"
	must(t, c.AdoptDevice(t.Context(), auth.Stranger{Key: key, Secret: shared, Path: key + shared}, noon))
	is := func(what string, want int) {
		t.Helper()
		if n, err := c.StillShared(adopted(t, c)); n != want || err != nil {
			t.Errorf("%s: %d share it, %v, want %d", what, n, err, want)
		}
	}
	is("adopted", 1)
	dir := filepath.Join(t.TempDir(), "catalog")
	_, err := Restore(settled(t, dir), bytes.NewReader(backupOf(t, c)))
	must(t, err)
	if s, err := open(t, dir).DeviceSecrets(key); err != nil || !s.PathShared || s.Path != auth.HashSecret(key+shared) || s.Current != "" {
		t.Errorf("restored: %+v, %v", s, err)
	}
	must(t, c.ReplaceDeviceSecrets(t.Context(), key, auth.DeviceSecrets{Current: auth.HashSecret("its own")}, noon))
	is("with a client secret of its own", 1)
	_, err = c.UpdateDevice(t.Context(), key, func(d *fleet.Device) error { d.Revoked = true; return nil })
	must(t, err)
	is("revoked", 0)
}

// TestNoTwoAdoptionsThatAreNotOverHaveTheSameSecret, one that a clock which was wrong has opened in the future included.
func TestNoTwoAdoptionsThatAreNotOverHaveTheSameSecret(t *testing.T) {
	c := withModel(t, "pump", "fan")
	future := adoptionOf("pump", shared)
	future.OpenedAt, future.Until = noon.Add(time.Hour), noon.Add(2*time.Hour)
	must(t, c.OpenAdoption(t.Context(), future))
	want(t, c.OpenAdoption(t.Context(), adoptionOf("fan", shared)), fleet.ErrTaken)
	must(t, c.OpenAdoption(t.Context(), adoptionOf("fan", "another secret of boards")))
	_, err := c.CloseAdoption(t.Context(), "pump")
	must(t, err)
	_, err = c.CloseAdoption(t.Context(), "fan")
	must(t, err)
	must(t, c.OpenAdoption(t.Context(), adoptionOf("fan", shared)))
}

// TestASecretIsOfTheAdoptionThatHasItNow also where the end of an older one is told later.
func TestASecretIsOfTheAdoptionThatHasItNow(t *testing.T) {
	c := adopting(t)
	now := noon.Add(time.Hour)
	next := adoptionOf("fan", shared)
	next.OpenedAt, next.Until = now, now.Add(time.Hour)
	must(t, c.OpenAdoption(t.Context(), next))
	must(t, c.EndAdoptions(t.Context(), now))
	must(t, adopt(t, c, "board-one", now))
	if d, err := c.DeviceByAlias("board-one"); err != nil || d.Model != "fan" {
		t.Errorf("%+v, %v", d, err)
	}
	must(t, c.EndAdoptions(t.Context(), now.Add(time.Hour)))
	want(t, adopt(t, c, "board-two", now), fleet.ErrUnknown) // and no wrong secret: nothing is open
	if n, err := c.count(adoptingPrefix); n != 0 || err != nil {
		t.Errorf("%d are found by their secrets, %v", n, err)
	}
}

// TestAStrangerCostsNoMoreWhereManyWereAdopted counts what is read: it is nobody who has shown anything yet.
func TestAStrangerCostsNoMoreWhereManyWereAdopted(t *testing.T) {
	c := withModel(t, "pump")
	for n := range 20 {
		code := fleet.ModelCode(fmt.Sprintf("model%02d", n))
		must(t, c.AddModel(t.Context(), fleet.Model{Code: code}))
		a := adoptionOf(code, fmt.Sprintf("the secret of %s", code))
		for n := range auth.MostAdopted {
			a.Adopted = append(a.Adopted, keyOf(n))
		}
		must(t, c.OpenAdoption(t.Context(), a))
	}
	want(t, adopt(t, c, "board-one", noon), auth.ErrNotAdopted)
	if n := testing.AllocsPerRun(5, func() { _ = c.AdoptDevice(t.Context(), auth.Stranger{Key: "aaaaaaa1", Secret: shared}, noon) }); n > 1000 {
		t.Errorf("%.0f allocations", n)
	}
}

package auth

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestWhatAWrongClockWroteLocksNoDeviceOut(t *testing.T) {
	o := open(t, EdDSA, pump)
	right := o.now
	stolen, err := o.issuer.Mint(pump)
	if err != nil {
		t.Fatal(err)
	}
	o.now = right.AddDate(10, 0, 0)
	secret, err := o.issuer.ReplaceSecret(t.Context(), pump.Key)
	if err != nil {
		t.Fatal(err)
	}
	o.now = right.Add(time.Hour)
	locked := o.store.devices[pump.Key].NotBefore
	if _, err := o.issuer.Grant(t.Context(), pump.ClientID(), "wrong"); !errors.Is(err, ErrInvalidClient) || !o.store.devices[pump.Key].NotBefore.Equal(locked) {
		t.Errorf("a wrong secret: %v, and now %s", err, o.store.devices[pump.Key].NotBefore)
	}
	o.issuer.Earliest = func() time.Time { return o.now.Add(time.Second) }
	if _, err := o.issuer.Grant(t.Context(), pump.ClientID(), secret); !errors.Is(err, ErrClock) || !o.store.devices[pump.Key].NotBefore.Equal(locked) {
		t.Errorf("a clock that is not believed: %v, and now %s", err, o.store.devices[pump.Key].NotBefore)
	}
	o.issuer.Earliest = func() time.Time { return right }
	token, err := o.issuer.Grant(t.Context(), pump.ClientID(), secret)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.devices.Authenticate(t.Context(), token.AccessToken); err != nil {
		t.Errorf("a token of its secret: %v", err)
	}
	if got := o.store.devices[pump.Key].NotBefore; !got.Equal(fleet.TokensEnd(o.now)) {
		t.Errorf("stored is %s at %s", got, o.now)
	}
	if _, _, err := o.devices.Authenticate(t.Context(), stolen.AccessToken); !errors.Is(err, ErrToken) {
		t.Errorf("a token from before its secret was replaced: %v", err)
	}
}

func TestAStepBackOfTheClockWritesNothingAboutADevice(t *testing.T) {
	o := open(t, EdDSA, pump)
	secret, err := o.issuer.ReplaceSecret(t.Context(), pump.Key)
	if err != nil {
		t.Fatal(err)
	}
	before := o.store.devices[pump.Key].NotBefore
	o.now, o.store.full = o.now.Add(-30*time.Second), true // a write would fail
	token, err := o.issuer.Grant(t.Context(), pump.ClientID(), secret)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.devices.Authenticate(t.Context(), token.AccessToken); err != nil || !o.store.devices[pump.Key].NotBefore.Equal(before) {
		t.Errorf("%v, and now %s", err, o.store.devices[pump.Key].NotBefore)
	}
}

func TestKeysThatAWrongClockMadeSignAndAreFollowedByOthers(t *testing.T) {
	o := open(t, EdDSA, pump)
	right, first := o.now, o.keys.signing().kid
	o.now = right.AddDate(10, 0, 0)
	if err := o.keys.Tend(); err != nil { // the first is old now
		t.Fatal(err)
	}
	if err := o.keys.Rotate(); err != nil {
		t.Fatal(err)
	}
	o.now = right.Add(time.Minute)
	noted := o.keys.Files()
	reopened, err := OpenKeys(o.keys.dir, EdDSA, 24*time.Hour, func() time.Time { return o.now })
	if err != nil || len(reopened.keys) != 3 || reopened.keys[1].created.Before(right.AddDate(1, 0, 0)) {
		t.Fatalf("opening changes the keys, before anybody knows the time: %v, %v", reopened.Files(), err)
	}
	o.keys = reopened
	if err := o.keys.Restamp(); err != nil {
		t.Fatal(err)
	}
	if n := len(o.keys.keys); n != 3 || o.keys.signing().kid != first || o.keys.keys[2].created.After(right.Add(2*time.Minute)) || !o.keys.keys[2].created.After(o.keys.keys[1].created) {
		t.Errorf("%d keys, %s signs, %v", n, o.keys.signing().kid, o.keys.Files())
	}
	if lost, err := LostKey(o.keys.dir, noted, 24*time.Hour, o.now); lost != "" || err != nil {
		t.Errorf("a key with another time counts as lost: %s, %v", lost, err)
	}
	o.now = o.now.Add(2 * time.Hour)
	if o.keys.signing().kid != o.keys.keys[2].kid {
		t.Error("the last key does not sign after it was announced")
	}
	if err := o.keys.Rotate(); err != nil {
		t.Fatal(err)
	}
	o.now = o.now.Add(2 * time.Hour)
	if o.keys.signing().kid != o.keys.keys[3].kid {
		t.Error("a new key does not sign after it was announced")
	}
	names := o.keys.Files()
	o.now = o.now.Add(-2*time.Hour - 5*time.Minute) // a step back of minutes is nothing
	if err := o.keys.Restamp(); err != nil {
		t.Fatal(err)
	}
	for i, name := range o.keys.Files() {
		if name != names[i] {
			t.Errorf("a step back of minutes: %s is now %s", names[i], name)
		}
		if _, err := os.Stat(o.keys.dir + "/" + name); err != nil {
			t.Error(err)
		}
	}
}

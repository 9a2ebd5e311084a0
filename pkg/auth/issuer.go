package auth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// deviceStore is what the issuer needs of the catalog.
type deviceStore interface {
	Device(fleet.DeviceKey) (fleet.Device, error)
	UpdateDevice(context.Context, fleet.DeviceKey, func(*fleet.Device) error) (fleet.Device, error)
	DeviceSecrets(fleet.DeviceKey) (DeviceSecrets, error)
	UpdateDeviceSecrets(context.Context, fleet.DeviceKey, func(*DeviceSecrets) error) error
	// ReplaceDeviceSecrets stores new ones, and that tokens issued before notBefore are refused.
	ReplaceDeviceSecrets(ctx context.Context, key fleet.DeviceKey, s DeviceSecrets, notBefore time.Time) error
}

// Issuer mints the gateway's own tokens.
type Issuer struct {
	Keys     *Keys
	Devices  deviceStore
	Adopter  adopter // nil: strangers stay strangers
	Lifetime time.Duration
	// Earliest is a time that has passed for certain: the last known time, or when the binary was built. A clock that
	// says less is wrong, and a token minted by it would be too.
	Earliest func() time.Time
	Now      func() time.Time

	mu       sync.Mutex               // guards unstored
	unstored map[fleet.DeviceKey]Hash // secrets that were used for the first time while the disk took nothing
}

// Token is a minted access token.
type Token struct {
	AccessToken string
	ExpiresAt   time.Time
	Lifetime    time.Duration
}

// Grant trades a device's client secret for a token.
func (i *Issuer) Grant(ctx context.Context, clientID, secret string) (Token, error) {
	device, err := i.Check(ctx, clientID, secret)
	if err == nil {
		device, err = i.admit(ctx, device)
	}
	if err != nil {
		return Token{}, err
	}
	return i.Mint(device)
}

// admit ends a NotBefore that lies in the future: a clock that was wrong has written it, and until then every token of the
// device would be refused. Those that were issued before now stay refused.
func (i *Issuer) admit(ctx context.Context, device fleet.Device) (fleet.Device, error) {
	now := i.Now()
	if !device.NotBefore.After(now.Add(leeway)) || now.Before(i.Earliest()) {
		return device, nil
	}
	return i.Devices.UpdateDevice(ctx, device.Key, func(d *fleet.Device) error {
		if d.NotBefore.After(now.Add(leeway)) {
			d.NotBefore = fleet.TokensEnd(now)
		}
		return nil
	})
}

// Check finds the device that a client id and its secret are of, or says ErrInvalidClient. The first use of a secret that
// rotation has handed out makes it the device's only one; where the disk has no room to note that, both go on working.
// A stranger becomes a device while an adoption of its model is open, and it shows that one's secret.
func (i *Issuer) Check(ctx context.Context, clientID, secret string) (fleet.Device, error) {
	model, key, err := fleet.ParseClientID(clientID)
	if err != nil {
		return fleet.Device{}, fmt.Errorf("%w: %w", ErrInvalidClient, err)
	}
	device, err := i.Devices.Device(key)
	if errors.Is(err, fleet.ErrUnknown) {
		device, err = i.adopt(ctx, Stranger{Key: key, Model: model, Secret: secret})
	}
	switch {
	case err != nil:
		return fleet.Device{}, err
	case device.Model != model:
		return fleet.Device{}, fmt.Errorf("%w: the device is of model %s", ErrInvalidClient, device.Model)
	}
	return i.checkSecret(ctx, device, secret)
}

func (i *Issuer) checkSecret(ctx context.Context, device fleet.Device, secret string) (fleet.Device, error) {
	if device.Revoked {
		return fleet.Device{}, fmt.Errorf("%w: the device is revoked", ErrInvalidClient)
	}
	secrets, err := i.Devices.DeviceSecrets(device.Key)
	if err != nil {
		return fleet.Device{}, err
	}
	switch {
	case secrets.Current.Matches(secret):
	case secrets.Next.Matches(secret):
		err := i.promote(ctx, device.Key, secret)
		if err != nil && !fleet.Told(err) {
			return fleet.Device{}, err
		}
		i.noteUse(device.Key, secrets.Next, err)
	default:
		return fleet.Device{}, fmt.Errorf("%w: wrong secret", ErrInvalidClient)
	}
	return device, nil
}

// promote makes the secret that was just used for the first time the current one.
func (i *Issuer) promote(ctx context.Context, key fleet.DeviceKey, secret string) error {
	return i.Devices.UpdateDeviceSecrets(ctx, key, func(s *DeviceSecrets) error {
		if s.Next.Matches(secret) {
			s.Current, s.Next, s.ChangedAt = s.Next, "", i.Now().UTC()
		} else if !s.Current.Matches(secret) { // rotated again in the meantime
			return ErrInvalidClient
		}
		return nil
	})
}

// noteUse remembers the first use of a secret that could not be stored, and forgets it once it was.
func (i *Issuer) noteUse(key fleet.DeviceKey, h Hash, failed error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if failed == nil {
		delete(i.unstored, key)
		return
	}
	if i.unstored == nil {
		i.unstored = map[fleet.DeviceKey]Hash{}
	}
	i.unstored[key] = h
}

// wasUsed reports that h was used for the first time, and that this is not on record.
func (i *Issuer) wasUsed(key fleet.DeviceKey, h Hash) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return h != "" && i.unstored[key] == h
}

// Mint makes a token for a device, whoever asks: the caller has checked that.
func (i *Issuer) Mint(d fleet.Device) (Token, error) {
	now := i.Now()
	if earliest := i.Earliest(); now.Before(earliest) {
		return Token{}, fmt.Errorf("%w: it says %s, and %s has passed", ErrClock, now.UTC().Format(time.RFC3339), earliest.UTC().Format(time.RFC3339))
	}
	if now.Before(d.NotBefore) { // revoked and welcomed again within this second: the token is of the time after
		now = d.NotBefore
	}
	id := make([]byte, 8)
	_, _ = rand.Read(id) // it never fails
	expires := now.Add(i.Lifetime)
	k := i.Keys.signing()
	token := jwt.NewWithClaims(k.method, jwt.MapClaims{
		"iss": issuerName, "aud": audienceName, "azp": d.ClientID(), "sub": string(d.Key),
		"iat": now.Unix(), "exp": expires.Unix(), "jti": base64.RawURLEncoding.EncodeToString(id),
	})
	token.Header["kid"] = k.kid
	signed, err := token.SignedString(k.signer)
	return Token{AccessToken: signed, ExpiresAt: time.Unix(expires.Unix(), 0).UTC(), Lifetime: i.Lifetime}, err
}

// RotateSecret hands out a new secret. The old one works until the new one is first used, so that a device which loses
// power in between, or is off for a month, is not locked out; until then each call replaces the unused new one.
func (i *Issuer) RotateSecret(ctx context.Context, key fleet.DeviceKey) (secret string, err error) {
	secret = NewSecret()
	err = i.Devices.UpdateDeviceSecrets(ctx, key, func(s *DeviceSecrets) error {
		if i.wasUsed(key, s.Next) { // it is all that the device has
			s.Current = s.Next
		}
		s.Next, s.ChangedAt = HashSecret(secret), i.Now().UTC()
		return nil
	})
	if err == nil {
		i.noteUse(key, "", nil)
	}
	return secret, err
}

// ReplaceSecret gives a device a new secret and forgets the old ones, for an operator who lost it or fears that it is
// known. Tokens that the old ones have bought end with them.
func (i *Issuer) ReplaceSecret(ctx context.Context, key fleet.DeviceKey) (secret string, err error) {
	secret = NewSecret()
	now := i.Now()
	return secret, i.Devices.ReplaceDeviceSecrets(ctx, key, DeviceSecrets{Current: HashSecret(secret), ChangedAt: now.UTC()}, fleet.TokensEnd(now))
}

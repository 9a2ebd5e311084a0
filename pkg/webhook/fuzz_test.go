package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// verified is what a receiver does, as the README has it, written anew from the words of Standard Webhooks.
func verified(secret, id, stamp, signatures string, body []byte, now time.Time) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || now.Sub(time.Unix(at, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "." + string(body)))
	for one := range strings.SplitSeq(signatures, " ") {
		given, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(one, "v1,"))
		if err == nil && strings.HasPrefix(one, "v1,") && hmac.Equal(given, mac.Sum(nil)) {
			return true
		}
	}
	return false
}

// TestTheSignatureIsThatOfStandardWebhooks: the vector of the libraries of Standard Webhooks.
func TestTheSignatureIsThatOfStandardWebhooks(t *testing.T) {
	key, err := parseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1614265330, 0)
	got := signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func FuzzSignature(f *testing.F) {
	f.Add("evt_1_0", []byte("{}"), int64(1614265330))
	secret := newSecret()
	key, err := parseSecret(secret)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id string, body []byte, unix int64) {
		at := time.Unix(unix%(1<<40), 0)
		stamp := strconv.FormatInt(at.Unix(), 10)
		s := signature(key, id, at, body)
		if !verified(secret, id, stamp, s, body, at) {
			t.Errorf("%q does not verify", s)
		}
		if verified(secret, id, stamp, s, append(body, 'x'), at) || verified(secret, id, stamp, s, body, at.Add(time.Hour)) {
			t.Errorf("%q verifies what it does not sign", s)
		}
	})
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"https://hooks.example/x?y=z", "http://[::1%25lo]:80/", "http://user@h", "HTTP://h:0", "http://h\x00", "https://h/%zz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := parseURL(s)
		if (err == nil) != (u != nil) {
			t.Fatalf("%v and %v", u, err)
		}
		if err != nil {
			if len(s) > 20 && strings.Contains(err.Error(), s) {
				t.Errorf("%v repeats it", err)
			}
			return
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
			t.Errorf("%q is %+v", s, u)
		}
	})
}

func FuzzParseSecret(f *testing.F) {
	f.Add(newSecret())
	f.Add("whsec_")
	f.Fuzz(func(t *testing.T, s string) {
		key, err := parseSecret(s)
		if (err == nil) == (key == nil) || err == nil && (len(key) < leastSecret || len(key) > mostSecret) {
			t.Errorf("%q: %d bytes, %v", s, len(key), err)
		}
		if err == nil && secretPrefix+base64.StdEncoding.EncodeToString(key) != s {
			t.Errorf("%q has another spelling", s)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "120", "-1", "99999999999999999999", "Mon, 04 May 2026 12:30:00 GMT", "Mon, 04 May 0000 00:00:00 GMT"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d := retryAfter(s, noon); d < 0 || d > longest {
			t.Errorf("%q: %s", s, d)
		}
	})
}

func FuzzClean(f *testing.F) {
	f.Add("no room\x1b[31m\r\nSet-Cookie: x\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s, mostSaid)
		if len(got) > mostSaid+len("…") || !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsGraphic(r) }) {
			t.Errorf("%q became %q", s, got)
		}
	})
}

func FuzzCheck(f *testing.F) {
	f.Add("name", "https://h/", "crash,line.dark", "")
	c := New(Options{})
	f.Fuzz(func(t *testing.T, name, url, kinds, ca string) {
		w := fleet.Webhook{Name: name, URL: url, Kinds: strings.Split(kinds, ","), CA: ca}
		if kinds == "" {
			w.Kinds = nil
		}
		if c.check(&w) != nil {
			return
		}
		if again := w; c.check(&again) != nil || len(w.Name) > mostName || len(w.CA) > mostCA {
			t.Errorf("%+v is right once only", w)
		}
	})
}

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// load is a fleet at work: its clients upload dumps and builds, add and change what operators do, rotate secrets, and note
// what the gateway acknowledged. After whatever befell the gateway, check asks for all of it.
type load struct {
	t       testing.TB
	g       *running
	admin   string
	devices []credentials // one for each client that uploads
	tokens  []string
	rotated credentials // of the device that asks for new secrets

	mu       sync.Mutex
	promises map[string]promise // by what they are of: a later one replaces an earlier one
	noted    *sync.Cond
	count    int
	round    int
	sealed   bool // what comes now is not counted

	stop chan struct{}
	work sync.WaitGroup
}

// promise is what was acknowledged: kept is nil while it holds.
type promise struct {
	round int
	kept  func(s snapshot) error
}

// snapshot is what the gateway lists, asked for once.
type snapshot struct {
	builds, models, tokens, devices map[string]bool
}

// forLoad are the settings of a gateway that such a fleet may ask as often as it likes.
func forLoad(settings ...string) []string {
	return append([]string{
		"dumps.burst=100000", "dumps.per_minute=100000", "dumps.keep_per_device=100000", "dumps.keep_per_crash=off",
		"firmware.keep_versions=100000", "provisioning.required=[]",
	}, settings...)
}

const loadModel = "demo"

// newLoad makes a fleet for a gateway that runs.
func newLoad(t testing.TB, g *running) *load {
	t.Helper()
	l := &load{t: t, g: g, promises: map[string]promise{}}
	l.noted = sync.NewCond(&l.mu)
	g.cli("model", "add", loadModel)
	l.admin = g.operatorToken("admin")
	for range 3 {
		d := g.addDevice(loadModel)
		l.devices, l.tokens = append(l.devices, d), append(l.tokens, g.deviceToken(d.Key))
	}
	l.rotated = g.addDevice(loadModel)
	return l
}

// begin starts the clients; round is in what they upload, so that no round's dump is another's.
func (l *load) begin(round int) {
	l.stop = make(chan struct{})
	l.mu.Lock()
	l.round, l.sealed = round, false
	l.mu.Unlock()
	for i := range l.devices {
		l.each(func(n int) { l.upload(round, i, n) })
	}
	l.each(func(n int) { l.push(round, n) })
	l.each(func(n int) { l.operate(round, n) })
	l.each(func(int) { l.rotate(round) })
}

// end stops the clients and returns when the last answer has come.
func (l *load) end() {
	close(l.stop)
	l.work.Wait()
}

func (l *load) each(do func(n int)) {
	l.work.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-l.stop:
				return
			default:
			}
			do(n)
		}
	})
}

// until returns once n more promises were made.
func (l *load) until(n int) {
	l.t.Helper()
	if made := l.within(n, testPatience); made < n {
		l.t.Fatalf("only %d of %d things were acknowledged within %s\n%s", made, n, testPatience, l.g.log)
	}
}

// within waits for n more promises, so long, and says how many were made.
func (l *load) within(n int, patience time.Duration) (made int) {
	end := time.Now().Add(patience)
	late := time.AfterFunc(patience, func() {
		l.mu.Lock() // whoever has looked at the time waits by now
		defer l.mu.Unlock()
		l.noted.Broadcast()
	})
	defer late.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for before := l.count; ; l.noted.Wait() {
		if made = l.count - before; made >= n || !time.Now().Before(end) {
			return made
		}
	}
}

// note adds a promise, and reports whether it counts.
func (l *load) note(of string, kept func(s snapshot) error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sealed {
		return false
	}
	l.count++
	l.promises[of] = promise{l.round, kept}
	l.noted.Broadcast()
	return true
}

// asked is one request; ok is that it was answered with the status.
func (l *load) asked(want int, method, path, token string, body []byte, headers ...string) (a answer, ok bool) {
	a, err := l.g.tryAsk(method, path, token, bytes.NewReader(body), headers...)
	if err != nil {
		return a, false // the gateway is gone
	}
	return a, a.StatusCode == want
}

func (l *load) upload(round, i, n int) {
	body := fmt.Sprintf("round %d, device %d, dump %d", round, i, n)
	a, ok := l.asked(http.StatusCreated, "POST", uploadPath("esp32c3", "1.0.0"), l.tokens[i], []byte(body))
	if !ok {
		return
	}
	var said struct{ Filename string }
	if err := json.Unmarshal(a.body, &said); err != nil || said.Filename == "" {
		l.t.Errorf("%s: %v", a.body, err)
		return
	}
	path := filepath.Join(l.g.state, "coredumps", l.devices[i].Key, said.Filename)
	l.note("dump "+path, func(snapshot) error {
		got, err := os.ReadFile(path)
		if err == nil && string(got) != body {
			err = fmt.Errorf("%q became %q", body, got)
		}
		_, sidecar := os.Stat(strings.TrimSuffix(path, ".dmp") + ".json")
		return errors.Join(err, sidecar)
	})
}

func (l *load) push(round, n int) {
	version := fmt.Sprintf("1.%d.%d", round, n)
	if _, ok := l.asked(http.StatusOK, "POST", "/api/pipeline/models/"+loadModel+"/firmware", l.admin, bundleOf(l.t, loadModel, version)); !ok {
		return
	}
	l.note("build "+version, func(s snapshot) error {
		if !s.builds[version] {
			return errors.New("it is not listed")
		}
		for _, suffix := range []string{".zip", ".bin"} {
			if !l.g.exists("assets", loadModel, "firmware-"+version+suffix) {
				return errors.New("its " + suffix + " is gone")
			}
		}
		return nil
	})
}

// operate does what an operator does, a thing a call.
func (l *load) operate(round, n int) {
	switch name := fmt.Sprintf("m%d_%d", round, n); n % 4 {
	case 0:
		if _, ok := l.asked(http.StatusCreated, "POST", "/api/device-models", l.admin, []byte(`{"code":"`+name+`"}`)); ok {
			l.note("model "+name, func(s snapshot) error { return listed(s.models, name) })
		}
	case 1:
		a, ok := l.asked(http.StatusCreated, "POST", "/api/devices", l.admin, []byte(`{"model_code":"`+loadModel+`"}`))
		var made credentials
		if ok && json.Unmarshal(a.body, &made) == nil {
			l.note("device "+made.Key, func(s snapshot) error {
				if err := listed(s.devices, made.Key); err != nil {
					return err
				}
				return l.admits(made)
			})
		}
	case 2:
		l.configure(round, n)
	case 3:
		if _, ok := l.asked(http.StatusCreated, "POST", "/api/tokens", l.admin, []byte(`{"role":"viewer","name":"`+name+`"}`)); ok {
			l.note("token "+name, func(s snapshot) error { return listed(s.tokens, name) })
		}
	}
}

// configure sets a configuration that counts: one that was not acknowledged may have come after the one that was.
func (l *load) configure(round, n int) {
	count := round*1_000_000 + n
	path := "/api/devices/" + l.devices[0].Key + "/config"
	if _, ok := l.asked(http.StatusOK, "PUT", path, l.admin, fmt.Appendf(nil, `{"deviceName":"x","count":%d}`, count)); !ok {
		return
	}
	l.note("config", func(snapshot) error {
		a, err := l.g.tryAsk("GET", path, l.admin, nil)
		if err != nil {
			return err
		}
		var has struct{ Count int }
		if err := json.Unmarshal(a.body, &has); err != nil || has.Count < count {
			return fmt.Errorf("%d became %s", count, a.body)
		}
		return nil
	})
}

// rotate gets a token with the last secret that was acknowledged, and with it a new secret.
func (l *load) rotate(int) {
	d := l.rotated
	token, ok := l.tokenOf(d)
	if !ok {
		return
	}
	a, ok := l.asked(http.StatusOK, "GET", "/api/iot/provisioning", token, nil)
	if !ok {
		return
	}
	var next credentials
	if err := json.Unmarshal(a.body, &next); err != nil || next.Secret == "" {
		l.t.Errorf("provisioning: %v", err)
		return
	}
	next.Key = d.Key
	if l.note("secret", func(snapshot) error { return l.admits(next) }) {
		l.rotated = next
	}
}

func (l *load) tokenOf(d credentials) (string, bool) {
	form := "grant_type=client_credentials&client_id=" + d.ID + "&client_secret=" + d.Secret
	a, ok := l.asked(http.StatusOK, "POST", "/api/oauth/token", "", []byte(form), "Content-Type", "application/x-www-form-urlencoded")
	var minted struct {
		AccessToken string `json:"access_token"`
	}
	return minted.AccessToken, ok && json.Unmarshal(a.body, &minted) == nil
}

// admits is nil where a device gets a token.
func (l *load) admits(d credentials) error {
	if _, ok := l.tokenOf(d); !ok {
		return errors.New("its secret is refused")
	}
	return nil
}

func listed(names map[string]bool, name string) error {
	if !names[name] {
		return errors.New("it is not listed")
	}
	return nil
}

// lost asks for what was acknowledged since a round and says what is gone.
func (l *load) lost(since int) (gone []string) {
	l.t.Helper()
	s, err := l.list()
	if err != nil {
		return []string{err.Error()} // the token with which the fleet was made is gone
	}
	l.mu.Lock()
	kept := make(map[string]func(snapshot) error, len(l.promises))
	for of, p := range l.promises {
		if p.round >= since {
			kept[of] = p.kept
		}
	}
	l.mu.Unlock()
	for of, still := range kept {
		if err := still(s); err != nil {
			gone = append(gone, of+": "+err.Error())
		}
	}
	slices.Sort(gone)
	return gone
}

// list asks as admin.
func (l *load) list() (s snapshot, err error) {
	for _, of := range []struct {
		path, array, name string
		into              *map[string]bool
	}{
		{"/api/device-models/" + loadModel + "/builds", "builds", "firmware_version", &s.builds},
		{"/api/device-models", "models", "code", &s.models},
		{"/api/tokens", "tokens", "name", &s.tokens},
		{"/api/devices", "devices", "device_key", &s.devices},
	} {
		if *of.into, err = l.names(of.path, of.array, of.name); err != nil {
			return s, err
		}
	}
	return s, nil
}

// names asks for a list of objects, page by page, and returns what one of their members says.
func (l *load) names(path, array, name string) (map[string]bool, error) {
	have := map[string]bool{}
	for after := ""; ; {
		a, ok := l.asked(http.StatusOK, "GET", path+after, l.admin, nil)
		if !ok {
			return nil, fmt.Errorf("%s: %s", path, a.body)
		}
		var all map[string]json.RawMessage
		var each []map[string]any
		var next string // null leaves it empty
		if err := json.Unmarshal(a.body, &all); err != nil {
			return nil, err
		}
		err := json.Unmarshal(all[array], &each)
		if more, isPaged := all["next"]; isPaged {
			err = errors.Join(err, json.Unmarshal(more, &next))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %s", path, err, a.body)
		}
		for _, one := range each {
			have[fmt.Sprint(one[name])] = true
		}
		if next == "" {
			return have, nil
		}
		after = "?after=" + url.QueryEscape(next)
	}
}

// check fails the test for what is lost, for what no start may leave, and for a trace of Go in the log.
func (l *load) check(since int) {
	l.t.Helper()
	for _, gone := range l.lost(since) {
		l.t.Errorf("acknowledged and lost: %s", gone)
	}
	l.tidy()
	if trace := goTrace(l.g.log.String()); trace != "" {
		l.t.Errorf("a Go trace in the log:\n%s", trace)
	}
}

// tidy looks for half pairs and for temporary names. A bundle that was left in the drop folder is taken first.
func (l *load) tidy() {
	l.t.Helper()
	pairs := map[string]int{}
	for _, suffix := range []string{".dmp", ".json"} {
		all, err := filepath.Glob(filepath.Join(l.g.state, "coredumps", "????????", "*"+suffix))
		if err != nil {
			l.t.Fatal(err)
		}
		for _, path := range all {
			pairs[strings.TrimSuffix(path, suffix)]++
		}
	}
	for base, n := range pairs {
		if n != 2 {
			l.t.Errorf("%s is half a pair", base)
		}
	}
	l.g.within(testPatience, "the drop folder empty", func() bool { return len(filesIn(l.t, filepath.Join(l.g.state, "drop"), ".zip")) == 0 })
	for _, dir := range []string{"assets", "assets/" + loadModel, "keys"} {
		for _, name := range filesIn(l.t, filepath.Join(l.g.state, dir), "") {
			if strings.HasPrefix(name, ".") {
				l.t.Errorf("a temporary name is left: %s/%s", dir, name)
			}
		}
	}
}

// summary counts what was acknowledged, by its kind.
func (l *load) summary() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	kinds := map[string]int{}
	for of := range l.promises {
		kind, _, _ := strings.Cut(of, " ")
		kinds[kind]++
	}
	var out strings.Builder
	for _, kind := range []string{"dump", "build", "model", "device", "token"} {
		fmt.Fprintf(&out, "%d %ss, ", kinds[kind], kind)
	}
	fmt.Fprintf(&out, "%d answers in all", l.count)
	return out.String()
}

// trace is how Go's runtime begins what it says before it ends a process, and how a recovered panic is logged.
var trace = regexp.MustCompile(`(?m)^(panic: |fatal error: |unexpected fault address|SIGBUS|SIGSEGV|runtime: ).*|goroutine \d+ \[`)

// goTrace finds the first trace in a log and returns it with what follows, "" where there is none.
func goTrace(log string) string {
	at := trace.FindStringIndex(log)
	if at == nil {
		return ""
	}
	return log[at[0]:min(len(log), at[0]+4000)]
}

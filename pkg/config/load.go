package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// DefaultFile is read when it is there and no other is named.
const DefaultFile = "/etc/slipway/slipway.yaml"

// Options are the sources of the settings.
type Options struct {
	File    string   // "" is DefaultFile, which may be absent
	Environ []string // as os.Environ
	Sets    []string // KEY=VALUE
}

// Error is a setting that is wrong, or a source that cannot be read. It says what to do.
type Error struct {
	Key    string
	Source string
	Reason string
}

func (e *Error) Error() string {
	if e.Key == "" {
		return e.Source + ": " + e.Reason
	}
	return fmt.Sprintf("%s: %s: %s", e.Source, e.Key, e.Reason)
}

const environmentPrefix = "SLIPWAY_"

// Load reads the settings and checks them.
func Load(o Options) (Config, error) {
	var c Config
	k := koanf.NewWithConf(koanf.Conf{Delim: ".", StrictMerge: false})
	source := map[string]string{}

	if err := loadFile(k, o.File, source); err != nil {
		return c, err
	}
	overrides := map[string]any{}
	for key, value := range environment(o.Environ, &c) {
		overrides[key] = value
		source[key] = "environment"
	}
	for _, set := range o.Sets {
		key, value, ok := strings.Cut(set, "=")
		if !ok {
			return c, &Error{Source: "--set " + set, Reason: "want KEY=VALUE"}
		}
		if find(key) == nil {
			return c, unknownKey(key, "--set")
		}
		overrides[key] = value
		source[key] = "--set"
	}
	if err := k.Load(confmap.Provider(overrides, "."), nil); err != nil {
		return c, err
	}
	for _, s := range Settings {
		raw, from := k.Get(s.Key), source[s.Key]
		if from == "" {
			raw, from = s.Default, "default"
		}
		if err := s.parse(&c, raw); err != nil {
			return c, &Error{Key: s.Key, Source: from, Reason: err.Error()}
		}
		c.values = append(c.values, Value{Key: s.Key, Value: shown(s, raw), Source: from})
	}
	return c, c.complete()
}

func loadFile(k *koanf.Koanf, path string, source map[string]string) error {
	named := path != ""
	if !named {
		path = DefaultFile
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && !named {
		return nil
	}
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		var pathError *fs.PathError
		if errors.As(err, &pathError) {
			return &Error{Source: path, Reason: pathError.Err.Error() + ": make it readable for the user that runs slipway, or name another file with --config"}
		}
		return &Error{Source: path, Reason: "no YAML: " + strings.ReplaceAll(err.Error(), "\n", " ")}
	}
	for _, key := range k.Keys() {
		s := owner(key)
		if s == nil {
			return unknownKey(key, path)
		}
		source[s.Key] = path
	}
	return nil
}

// owner is the setting that a key of the file belongs to: itself, or the table that it is in.
func owner(key string) *Setting {
	for key != "" {
		if s := find(key); s != nil {
			return s
		}
		i := strings.LastIndexByte(key, '.')
		if i < 0 {
			return nil
		}
		key = key[:i]
		if s := find(key); s != nil && strings.HasPrefix(s.Default, "{") {
			return s
		}
	}
	return nil
}

func find(key string) *Setting {
	for i := range Settings {
		if Settings[i].Key == key {
			return &Settings[i]
		}
	}
	return nil
}

func unknownKey(key, source string) error {
	nearest, least := "", -1
	for _, s := range Settings {
		if n := levenshtein.ComputeDistance(key, s.Key); least < 0 || n < least {
			nearest, least = s.Key, n
		}
	}
	return &Error{Key: key, Source: source, Reason: fmt.Sprintf("there is no such setting; the nearest is %s", nearest)}
}

// environment finds SLIPWAY_LISTEN__HTTP=… as listen.http. An unknown variable is a warning: the prefix is not ours
// alone.
func environment(environ []string, c *Config) map[string]string {
	values := map[string]string{}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		rest, ours := strings.CutPrefix(name, environmentPrefix)
		if !ours {
			continue
		}
		key := strings.ReplaceAll(strings.ToLower(rest), "__", ".")
		if find(key) == nil {
			c.Warnings = append(c.Warnings, fmt.Sprintf("environment variable %s names no setting", name))
			continue
		}
		values[key] = value
	}
	return values
}

func shown(s Setting, raw any) string {
	value, err := asText(raw)
	if err != nil {
		b, err := json.Marshal(raw)
		if err != nil {
			return ""
		}
		value = string(b)
	}
	if s.Secret && value != "" && value != s.Default {
		return "(hidden)"
	}
	return value
}

// complete fills in what follows from other settings and checks what only several of them say.
func (c *Config) complete() error {
	for _, d := range []struct {
		dir     *string
		name    string
		mayStop bool
	}{{&c.AssetsDir, "assets", false}, {&c.CoredumpsDir, "coredumps", true}, {&c.DropDir, "drop", true}, {&c.CatalogDir, "catalog", false}} {
		switch {
		case *d.dir == "":
			*d.dir = filepath.Join(c.StateDir, d.name)
		case *d.dir != "off" && *d.dir != "false":
			path, err := filepath.Abs(*d.dir)
			if err != nil {
				return err
			}
			*d.dir = path
		case d.mayStop:
			*d.dir = ""
		default:
			return &Error{Key: d.name + "_dir", Source: "settings", Reason: "it cannot be off"}
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return &Error{Key: "tls.cert", Source: "settings", Reason: "tls.cert and tls.key belong together: set both or none"}
	}
	if c.AuthDevice == "none" && !c.InsecureLAN {
		for _, all := range []Addresses{c.ListenHTTPS, c.ListenHTTP, c.ListenDeviceHTTPS, c.ListenDeviceHTTP} {
			for _, a := range all {
				if !loopback(a) {
					return &Error{Key: "auth.device", Source: "settings",
						Reason: fmt.Sprintf("test mode lets anybody in, and %s is reachable from the LAN: listen on 127.0.0.1, or set auth.insecure_lan: true as well", a)}
				}
			}
		}
	}
	return nil
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

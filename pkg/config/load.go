package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// DefaultFile is read when it is there and no other is named.
const DefaultFile = "/etc/slipway/slipway.yaml"

var defaultFile = DefaultFile // a test of a machine that has one names its own

// Options are the sources of the settings.
type Options struct {
	File    string   // "" is DefaultFile, which may be absent
	Environ []string // as os.Environ
	Sets    []string // KEY=VALUE
}

// Error is a setting that is wrong, or a source that cannot be read. It says what would be right.
type Error struct {
	Key    string // "" when the source as a whole is wrong
	Source string // the file, the environment variable or the flag
	Reason string
}

func (e *Error) Error() string {
	if e.Key == "" {
		return e.Source + ": " + e.Reason
	}
	return fmt.Sprintf("%s: %s: %s", e.Source, e.Key, e.Reason)
}

const (
	environmentPrefix = "SLIPWAY_"
	defaults          = "default" // the source of what nobody has set
)

// ofCommands are variables of the commands that ask a gateway elsewhere; they are no settings.
var ofCommands = []string{environmentPrefix + "URL", environmentPrefix + "TOKEN", environmentPrefix + "CA"}

// Load reads the settings and checks them.
func Load(o Options) (Config, error) {
	l := loader{merged: koanf.New("."), source: map[string]string{}}
	for _, load := range []func() error{
		func() error { return l.file(o.File) },
		func() error { return l.environment(o.Environ) },
		func() error { return l.sets(o.Sets) },
	} {
		if err := load(); err != nil {
			return Config{}, err
		}
	}
	c := Config{File: cmp.Or(o.File, DefaultFile), Warnings: l.warnings}
	for _, s := range Settings {
		var raw any = s.Default
		if l.from(s.Key) != defaults {
			raw = l.merged.Get(s.Key)
		}
		if err := s.parse(&c, raw); err != nil {
			return Config{}, &Error{Key: s.Key, Source: l.from(s.Key), Reason: err.Error()}
		}
		c.values = append(c.values, Value{Key: s.Key, Value: shown(s, raw), Source: l.from(s.Key)})
	}
	if err := c.complete(); err != nil {
		err.Source = l.from(err.Key)
		return Config{}, err
	}
	return c, nil
}

// loader lays the sources over each other and remembers which one had the last word.
type loader struct {
	merged   *koanf.Koanf
	source   map[string]string // by key
	warnings []string
}

func (l *loader) from(key string) string {
	if s := l.source[key]; s != "" {
		return s
	}
	return defaults
}

func (l *loader) file(path string) error {
	named := path != ""
	path = cmp.Or(path, defaultFile)
	tree := koanf.New(".")
	err := tree.Load(file.Provider(path), yaml.Parser())
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil
	}
	if err != nil {
		return &Error{Source: path, Reason: unreadable(err)}
	}
	values := map[string]any{}
	if err := pick(tree.Raw(), "", values, path); err != nil {
		return err
	}
	for key := range values {
		l.source[settingOf(key).Key] = path
	}
	return l.lay(values)
}

// unreadable says in one line what to do about a file.
func unreadable(err error) string {
	var pathError *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file: name another with --config, or leave --config out to run with the defaults"
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("user %d may not read it: change its owner or its mode", os.Getuid())
	case errors.As(err, &pathError):
		return pathError.Err.Error() + ": name a file with --config"
	}
	return "it is no valid YAML: " + strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " ")
}

// pick walks a tree of the file and takes the values of settings out of it. A key without a value is not set.
func pick(tree map[string]any, prefix string, values map[string]any, path string) error {
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		key, value := prefix+name, tree[name]
		below, isSection := value.(map[string]any)
		switch {
		case find(key) != nil:
			if value != nil {
				values[key] = value
			}
		case section(key) && value == nil: // all that was below it is commented out
		case section(key) && isSection:
			if err := pick(below, key+".", values, path); err != nil {
				return err
			}
		case section(key):
			return &Error{Key: key, Source: path, Reason: "want settings below it, such as " + nearest(key+".")}
		default:
			return unknownKey(key, path)
		}
	}
	return nil
}

// environment takes SLIPWAY_LISTEN__HTTP=… as listen.http. An unknown variable is a warning: the prefix is not ours
// alone. An empty one is not set.
func (l *loader) environment(environ []string) error {
	provider := env.Provider("", env.Opt{
		Prefix:      environmentPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			if slices.Contains(ofCommands, name) {
				return "", nil
			}
			key := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, environmentPrefix)), "__", ".")
			s := settingOf(key)
			if s == nil {
				l.warnings = append(l.warnings, fmt.Sprintf("environment variable %s names no setting; the nearest is %s%s",
					name, environmentPrefix, strings.ToUpper(strings.ReplaceAll(nearest(key), ".", "__"))))
				return "", nil
			}
			if value == "" { // how unit files and containers unset a variable
				return "", nil
			}
			l.source[s.Key] = name
			return key, value
		},
	})
	values, err := provider.Read()
	if err != nil {
		return err
	}
	return l.lay(values)
}

func (l *loader) sets(sets []string) error {
	for _, set := range sets {
		key, value, ok := strings.Cut(set, "=")
		if !ok {
			return &Error{Source: "--set " + set, Reason: "want KEY=VALUE"}
		}
		s := settingOf(key)
		if s == nil {
			return unknownKey(key, "--set")
		}
		l.source[s.Key] = "--set"
		if err := l.lay(map[string]any{key: value}); err != nil { // one by one: the last of two wins
			return err
		}
	}
	return nil
}

// lay puts values over what there is. A value of a table goes into the table; text takes its place.
func (l *loader) lay(values map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if s := settingOf(key); s.Key != key { // a value within a table
			if written, isText := l.merged.Get(s.Key).(string); isText {
				table := map[string]any{}
				if err := structured(&table, written, "a map of names to texts"); err != nil {
					return &Error{Key: s.Key, Source: l.from(s.Key), Reason: err.Error()}
				}
				if err := l.merged.Load(confmap.Provider(map[string]any{s.Key: table}, "."), nil); err != nil {
					return err
				}
			}
		}
		if err := l.merged.Load(confmap.Provider(map[string]any{key: values[key]}, "."), nil); err != nil {
			return err
		}
	}
	return nil
}

package config

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/prometheus/common/model"
)

// Addresses are host:port pairs to listen on; empty is off.
type Addresses []string

// Share is a part of a file system, or a size.
type Share struct {
	Percent float64 // used where Bytes is 0
	Bytes   int64
}

// Of is the share of a file system of total bytes.
func (s Share) Of(total int64) int64 {
	if s.Bytes > 0 {
		return s.Bytes
	}
	return int64(float64(total) * s.Percent / 100)
}

// asText is a value as people wrote it: the file has numbers and truth values, all else has text.
func asText(raw any) (string, error) {
	switch v := raw.(type) {
	case nil:
		return "", nil
	case string:
		return strings.TrimSpace(v), nil
	case bool, int, int64, float64, uint64:
		return fmt.Sprint(v), nil
	}
	return "", fmt.Errorf("want a single value")
}

func text(to *string, raw any) error {
	s, err := asText(raw)
	*to = s
	return err
}

func folder(to *string, raw any) error {
	if err := text(to, raw); err != nil {
		return err
	}
	if *to == "" {
		return fmt.Errorf("want a folder")
	}
	path, err := filepath.Abs(*to)
	*to = path
	return err
}

// mostSocketPath is the kernel's limit, without the closing NUL.
const mostSocketPath = 107

func socketPath(to *string, raw any) error {
	if err := folder(to, raw); err != nil {
		return err
	}
	if len(*to) > mostSocketPath {
		return fmt.Errorf("the path has %d bytes and a unix socket's at most %d: choose a shorter one", len(*to), mostSocketPath)
	}
	return nil
}

// isOff knows both ways in which the file may say it: some YAML tools write off as false.
func isOff(s string) bool { return s == "off" || s == "false" }

func addresses(to *Addresses, raw any) error {
	s, err := asText(raw)
	if err != nil {
		return err
	}
	*to = nil
	if s == "" || isOff(s) {
		return nil
	}
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		_, port, err := net.SplitHostPort(part)
		if err != nil {
			return fmt.Errorf("%q: want host:port, :port or off", part)
		}
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			return fmt.Errorf("%q: want a port from 0 to 65535", part)
		}
		*to = append(*to, part)
	}
	return nil
}

func oneOf(to *string, raw any, choices ...string) error {
	s, err := asText(raw)
	if err != nil {
		return err
	}
	if isOff(s) && slices.Contains(choices, "off") {
		s = "off"
	}
	if !slices.Contains(choices, s) {
		return fmt.Errorf("%q: want %s", s, strings.Join(choices, " or "))
	}
	*to = s
	return nil
}

func fraction(to *float64, raw any, least, most float64) error {
	s, err := asText(raw)
	if err != nil {
		return err
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= least && f <= most) {
		return fmt.Errorf("%q: want a number from %g to %g", s, least, most)
	}
	*to = f
	return nil
}

func truth(to *bool, raw any) error {
	s, err := asText(raw)
	if err != nil {
		return err
	}
	switch s {
	case "true":
		*to = true
	case "false":
		*to = false
	default:
		return fmt.Errorf("%q: want true or false", s)
	}
	return nil
}

func duration(to *time.Duration, raw any) error {
	s, err := asText(raw)
	if err != nil {
		return err
	}
	d, err := model.ParseDuration(s)
	if err != nil || d <= 0 {
		return fmt.Errorf("%q: want a time such as 60s, 24h or 7d", s)
	}
	*to = time.Duration(d)
	return nil
}

func size(to *int64, raw any) error {
	s, err := asText(raw)
	if err != nil {
		return err
	}
	n, err := humanize.ParseBytes(s)
	if err != nil || n == 0 || n > 1<<50 {
		return fmt.Errorf("%q: want a size such as 1MiB or 512MiB", s)
	}
	*to = int64(n)
	return nil
}

func share(to *Share, raw any) error {
	s, err := asText(raw)
	if err != nil {
		return err
	}
	if number, ok := strings.CutSuffix(s, "%"); ok {
		percent, err := strconv.ParseFloat(number, 64)
		if err != nil || percent <= 0 || percent >= 100 {
			return fmt.Errorf("%q: want a share between 0%% and 100%%, or a size", s)
		}
		*to = Share{Percent: percent}
		return nil
	}
	*to = Share{}
	if err := size(&to.Bytes, s); err != nil {
		return fmt.Errorf("%q: want a share such as 10%%, or a size such as 2GiB", s)
	}
	return nil
}

func count(to *int, raw any, least int) error {
	s, err := asText(raw)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > 1_000_000 {
		return fmt.Errorf("%q: want a whole number from %d", s, least)
	}
	*to = n
	return nil
}

func countOrOff(to *int, raw any) error {
	if s, err := asText(raw); err == nil && isOff(s) {
		*to = 0
		return nil
	}
	if err := count(to, raw, 1); err != nil {
		return fmt.Errorf("%w, or off", err)
	}
	return nil
}

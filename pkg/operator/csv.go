package operator

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Columns of a list of devices, in the order that they have where no line names them.
const (
	columnModel = iota
	columnKey
	columnSecret
	columnName
	columnLine
	columnAlias
	columnType // what other systems call a model
	columns
	columnPassed = -1 // of no use here
)

// columnNames are what their heads may be called, in lower case and without what separates words; the latter ones as ThingsBoard
// and hawkBit write them.
var columnNames = map[string]int{
	"modelcode": columnModel, "model": columnModel, "devicekey": columnKey, "key": columnKey, "device": columnKey,
	"clientsecret": columnSecret, "secret": columnSecret, "name": columnName, "devicename": columnName, "line": columnLine,
	"alias": columnAlias, "aliases": columnAlias,
	"controllerid": columnAlias, "securitytoken": columnSecret, "accesstoken": columnSecret, "token": columnSecret, "credentialsid": columnSecret,
	"type": columnType, "devicetype": columnType, "deviceprofile": columnType, "targettypename": columnType,
	"label": columnPassed, "description": columnPassed, "isgateway": columnPassed, "gateway": columnPassed, "id": columnPassed, "createdtime": columnPassed,
	"createdat": columnPassed, "customer": columnPassed, "public": columnPassed, "state": columnPassed, "credentialstype": columnPassed,
	"ipaddress": columnPassed, "address": columnPassed, "updatestatus": columnPassed,
}

// headName is a head as columnNames has it.
func headName(field string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", "_", "", "-", "", ".", "").Replace(strings.TrimSpace(field)))
}

// row is one device of the list.
type row struct {
	at     string // "line 3", "device 3"
	fields [columns]string
	wrong  error // nil: it can be read
}

// readRows reads a list as a spreadsheet saves it: commas, semicolons or tabs, quotes, a mark of its encoding at its start,
// heads in any order or none.
func readRows(raw []byte) ([]row, error) {
	text, err := plainText(raw)
	if err != nil {
		return nil, err
	}
	text, comma, skipped := separator(text)
	lines := csv.NewReader(strings.NewReader(text))
	lines.Comma, lines.FieldsPerRecord, lines.TrimLeadingSpace = comma, -1, comma != '\t' // an empty field is no space to trim
	var rows []row
	order := []int{columnModel, columnKey, columnSecret, columnName, columnLine, columnAlias}
	for first := true; ; first = false {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, fleet.Refused("the CSV cannot be read: %v", err)
		}
		n, _ := lines.FieldPos(0)
		n += skipped
		if first {
			heads, err := heads(fields)
			if err != nil {
				return nil, fleet.Refused("line %d: %v", n, err)
			}
			if heads != nil {
				order = heads
				continue
			}
		}
		if strings.TrimSpace(strings.Join(fields, "")) == "" { // what a spreadsheet has below the last device
			continue
		}
		r := row{at: fmt.Sprintf("line %d", n)}
		for i, field := range fields {
			field = strings.TrimSpace(field)
			switch {
			case i >= len(order) && field != "":
				r.wrong = fleet.Refused("%d columns, want %d: %s", len(fields), len(order), wantedColumns)
			case i < len(order) && order[i] != columnPassed:
				r.fields[order[i]] = field
			}
		}
		if rows = append(rows, r); len(rows) > mostDevices {
			return nil, fleet.Refused("more than %d devices at once", mostDevices)
		}
	}
}

const wantedColumns = "model_code,device_key[,client_secret][,name][,line][,alias]"

// heads are the columns that a first line names; nil where it names none and is a device.
func heads(fields []string) ([]int, error) {
	names := make([]string, len(fields))
	known := 0
	for i, field := range fields {
		names[i] = headName(field)
		if _, ok := columnNames[names[i]]; ok {
			known++
		}
	}
	if known < 2 { // a device may be of a model that is called name or key
		return nil, nil
	}
	order := make([]int, len(names))
	for i, name := range names {
		column, ok := columnNames[name]
		if !ok {
			return nil, fleet.Refused("there is no column %q: want %s", strings.TrimSpace(fields[i]), wantedColumns)
		}
		if column != columnPassed && slices.Contains(order[:i], column) {
			return nil, fleet.Refused("the column %q is there twice", name)
		}
		order[i] = column
	}
	return order, nil
}

// separator finds what separates the columns, and takes away the line in which some spreadsheets name it.
func separator(text string) (rest string, comma rune, skipped int) {
	first, after, _ := strings.Cut(text, "\n")
	if named, ok := strings.CutPrefix(strings.TrimRight(first, "\r"), "sep="); ok && len(named) == 1 && strings.ContainsAny(named, ",;\t|") {
		return after, rune(named[0]), 1
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); strings.TrimSpace(line) != "" {
			return text, best(line), 0
		}
	}
	return text, ',', 0
}

// best is the separator by which a line has the most heads, or a device's key in its place.
func best(line string) rune {
	found, most := ',', 0
	for _, comma := range []rune{',', ';', '\t'} {
		r := csv.NewReader(strings.NewReader(line))
		r.Comma, r.LazyQuotes, r.TrimLeadingSpace = comma, true, comma != '\t'
		fields, err := r.Read()
		if err != nil || len(fields) < 2 {
			continue
		}
		points := 1
		if _, err := fleet.ParseDeviceKey(strings.TrimSpace(fields[columnKey])); err == nil {
			points++
		}
		for _, field := range fields {
			if _, ok := columnNames[headName(field)]; ok {
				points += 2
			}
		}
		if points > most {
			found, most = comma, points
		}
	}
	return found
}

// plainText takes the mark of the encoding away; spreadsheets save "Unicode text" as UTF-16.
func plainText(raw []byte) (string, error) {
	for _, mark := range []struct {
		mark      string
		high, low int
	}{{"\xff\xfe", 1, 0}, {"\xfe\xff", 0, 1}} {
		if !bytes.HasPrefix(raw, []byte(mark.mark)) {
			continue
		}
		units := make([]uint16, 0, len(raw)/2)
		for i := 2; i+1 < len(raw); i += 2 {
			units = append(units, uint16(raw[i+mark.high])<<8|uint16(raw[i+mark.low]))
		}
		return string(utf16.Decode(units)), nil
	}
	raw = bytes.TrimPrefix(raw, []byte(byteOrderMark))
	if !utf8.Valid(raw) {
		return "", fleet.Refused("the CSV is not UTF-8: save it as \"CSV UTF-8\"")
	}
	return string(raw), nil
}

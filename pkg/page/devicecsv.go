package page

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/access"
)

// csvHeads are the columns of the list as a spreadsheet takes it.
var csvHeads = []string{
	"device_key", "name", "model_code", "state", "line", "labels", "aliases", "runs", "offered", "pin", "heard_at", "address", "crashes_7_days", "revoked",
}

const csvRows = 500 // that are read at a time, and of which no more is kept

// devicesCSV answers all devices that the list's address picks, read and written bit by bit.
func (p *Page) devicesCSV(w http.ResponseWriter, r *http.Request) error {
	f, _, err := p.filterOf(r.URL.Query())
	if err != nil {
		return access.Visible(err)
	}
	f.After, f.Limit = "", csvRows
	access.Private(w)
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="devices.csv"`)
	out := csv.NewWriter(w)
	if err := out.Write(csvHeads); err != nil {
		return err
	}
	for {
		keys := p.Sightings.Devices(f)
		rows, err := p.deviceRows(keys)
		if err != nil {
			return err
		}
		for _, d := range rows {
			offered, heard := "", ""
			if d.Offered != nil {
				offered = string(*d.Offered)
			}
			if !d.Sighting.HeardAt.IsZero() {
				heard = d.Sighting.HeardAt.UTC().Format(time.RFC3339)
			}
			aliases := make([]string, len(d.Aliases))
			for i, a := range d.Aliases {
				aliases[i] = string(a)
			}
			fields := []string{
				string(d.Key), d.Name, string(d.Model), string(d.Sighting.State), d.Place, strings.Join(d.Labels, " "), strings.Join(aliases, " "), d.Sighting.Runs, offered,
				string(d.Pin), heard, d.Sighting.Address, strconv.Itoa(d.Crashes), strconv.FormatBool(d.Revoked),
			}
			for i := range fields {
				fields[i] = inert(fields[i])
			}
			if err := out.Write(fields); err != nil {
				return err
			}
		}
		if out.Flush(); out.Error() != nil || len(keys) < csvRows {
			return out.Error()
		}
		f.After = keys[len(keys)-1]
	}
}

// inert is a field that no spreadsheet takes for a formula: names and versions are anybody's.
func inert(field string) string {
	if field != "" && strings.ContainsRune("=+-@\t\r\n|%", rune(field[0])) {
		return "'" + field
	}
	return field
}

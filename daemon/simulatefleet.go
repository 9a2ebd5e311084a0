package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/simulate"
)

// fleet is the devices that are played: those of the CSV, or new ones.
func (s *simulation) fleet(cmd *cobra.Command) ([]simulate.Device, error) {
	if s.csv == "" {
		return s.makeFleet(cmd)
	}
	devices, err := readFleet(s.csv, s.model)
	if err != nil {
		return nil, err
	}
	if cmd.Flag("devices").Changed {
		devices = devices[:min(len(devices), s.devices)]
	}
	return devices, nil
}

// readFleet reads the devices of a model from a CSV whose first line names the columns.
func readFleet(name, model string) ([]simulate.Device, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(rows) == 0 {
		return nil, usagef("%s is empty", name)
	}
	code, key, secret := slices.Index(rows[0], "model_code"), slices.Index(rows[0], "device_key"), slices.Index(rows[0], "client_secret")
	if min(code, key, secret) < 0 {
		return nil, usagef("%s: the first line has to name the columns model_code, device_key and client_secret", name)
	}
	var devices []simulate.Device
	for _, row := range rows[1:] {
		if row[code] == model && row[secret] != "" {
			d := fleet.Device{Key: fleet.DeviceKey(row[key]), Model: fleet.ModelCode(model)}
			devices = append(devices, simulate.Device{Key: row[key], ID: d.ClientID(), Secret: row[secret]})
		}
	}
	if len(devices) == 0 {
		return nil, usagef("%s has no device of the model %s with its secret", name, model)
	}
	return devices, nil
}

// makeFleet adds devices through the socket. Their keys follow from the seed: whoever plays twice is told, and makes no
// second fleet by mistake.
func (s *simulation) makeFleet(cmd *cobra.Command) ([]simulate.Device, error) {
	var list bytes.Buffer
	w := csv.NewWriter(&list)
	_ = w.Write([]string{"model_code", "device_key", "name"}) // into memory
	keys := rand.New(rand.NewPCG(s.plan.Seed, uint64(s.devices)))
	for i := range s.devices {
		_ = w.Write([]string{s.model, drawKey(keys), fmt.Sprintf("Simulated %d", i+1)}) // as above
	}
	w.Flush()
	answer, err := connect(cmd).json(cmd.Context(), http.MethodPost, path("devices", "import"), &upload{"text/csv", &list, int64(list.Len())})
	if err != nil {
		return nil, err
	}
	var v api.Imported
	if err := json.Unmarshal(answer, &v); err != nil {
		return nil, fmt.Errorf("the gateway's answer is not the expected JSON: %w", err)
	}
	if len(v.Made) != s.devices {
		return nil, fmt.Errorf("%d of the %d devices are there already, and their secrets are not known here: use another --seed, or --csv",
			v.Unchanged+v.Changed, s.devices)
	}
	devices := make([]simulate.Device, len(v.Made))
	for i, c := range v.Made {
		devices[i] = simulate.Device{Key: string(c.Key), ID: c.ID, Secret: c.Secret}
	}
	return devices, nil
}

func drawKey(r *rand.Rand) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	key := []byte("sim00000")
	for i := range key[3:] {
		key[3+i] = letters[r.IntN(len(letters))]
	}
	return string(key)
}

// mostDumpFile is what is read of a dump in bytes: more than a device has flash for.
const mostDumpFile = 16 << 20

// readDumps reads the dumps of a folder that has a folder for each version.
func readDumps(dir string) (simulate.Dumps, error) {
	if dir == "" {
		return nil, nil
	}
	names, err := filepath.Glob(filepath.Join(dir, "*", "*.dmp"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, usagef("--dumps %s: there is no VERSION/NAME.dmp in it", dir)
	}
	dumps := simulate.Dumps{}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if info.Size() > mostDumpFile {
			return nil, fmt.Errorf("%s: larger than %d bytes", name, mostDumpFile)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		version := filepath.Base(filepath.Dir(name))
		dumps[version] = append(dumps[version], b)
	}
	return dumps, nil
}

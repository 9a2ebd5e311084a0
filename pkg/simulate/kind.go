package simulate

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Kind is a kind of client.
type Kind string

// The kinds.
const (
	// ESPMDM is the firmware in the field: at each boot, and at no other time, it asks for a token and its configuration,
	// uploads its dump, and reads the first KiB of its image, or all of it when that is another version. Here it boots
	// once an interval, as when the plant's broker goes away.
	ESPMDM Kind = "esp-mdm"
	// Poller asks firmware-version each interval, tells what it runs in the headers that Slipway proposes, and downloads
	// what differs.
	Poller Kind = "poller"
	// OTA is esp_https_ota with partial downloads: HEAD, then ranges on one connection, with HTTP Basic.
	OTA Kind = "ota"
	// Arduino is HTTPUpdate: HTTP/1.0, its own headers, HTTP Basic, and every 200 is flashed.
	Arduino Kind = "arduino"
)

// Kinds are all kinds.
var Kinds = []Kind{ESPMDM, Poller, OTA, Arduino}

// Mix says how many of each kind there are, in parts of their sum.
type Mix map[Kind]int

// ParseMix reads "esp-mdm=60,poller=20".
func ParseMix(s string) (Mix, error) {
	mix, sum := Mix{}, 0
	for part := range strings.SplitSeq(s, ",") {
		name, number, _ := strings.Cut(part, "=")
		n, err := strconv.Atoi(number)
		if kind := Kind(name); !slices.Contains(Kinds, kind) || err != nil || n < 0 || n > 1e6 {
			return nil, fmt.Errorf("mix %q: want esp-mdm, poller, ota and arduino with numbers, such as esp-mdm=60,poller=40", s)
		}
		mix[Kind(name)] = n
		sum += n
	}
	if sum == 0 {
		return nil, fmt.Errorf("mix %q has no devices", s)
	}
	return mix, nil
}

// Deal gives n devices their kinds: each kind its share, the remainders to those that miss most, in an order by the seed.
func (m Mix) Deal(n int, seed uint64) []Kind {
	sum := 0
	for _, parts := range m {
		sum += parts
	}
	kinds := make([]Kind, 0, n)
	for _, k := range Kinds {
		kinds = append(kinds, slices.Repeat([]Kind{k}, n*m[k]/sum)...)
	}
	most := slices.Clone(Kinds)
	slices.SortStableFunc(most, func(a, b Kind) int { return cmp.Compare(n*m[b]%sum, n*m[a]%sum) })
	kinds = append(kinds, most[:n-len(kinds)]...)
	r := rand.New(rand.NewPCG(seed, 0))
	r.Shuffle(n, func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	return kinds
}

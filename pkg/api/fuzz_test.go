package api

import (
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzFirst: whatever a body names as the first wave is refused, or is read again as it is written.
func FuzzFirst(f *testing.F) {
	for _, s := range []string{`"hall3"`, `["a1b2c3d4"]`, `[]`, `null`, `{"line":"x"}`, `[1]`, `"a\u0000"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var first, back First
		if json.Unmarshal(body, &first) != nil {
			return
		}
		kept, err := json.Marshal(first)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(kept, &back); err != nil || first.Line != back.Line || len(first.Keys) != len(back.Keys) ||
			len(first.Keys) > 0 && !reflect.DeepEqual(first.Keys, back.Keys) {
			t.Errorf("%s is %+v, written %s, and then %+v, %v", body, first, kept, back, err)
		}
	})
}

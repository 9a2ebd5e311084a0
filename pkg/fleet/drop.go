package fleet

import (
	"strings"
	"time"
)

// Drop is a dropped file that was rejected, and lies among the rejected ones.
type Drop struct {
	Name       string    `json:"name"` // as it can be printed
	Size       int64     `json:"size"` // bytes
	RejectedAt time.Time `json:"rejected_at"`
	Reason     string    `json:"reason"`                // "" where it is not there any more
	Mend       string    `json:"mend"`                  // what helps
	Lacks      ModelCode `json:"lacks_model,omitempty"` // once there is this model it can be taken again
}

// ObjectOf names it in events.
func (d Drop) ObjectOf() Object { return Object{Type: "drop", ID: d.Name} }

// NoModel refuses a bundle whose model there is not, nearest being the one whose code is most like it, "" where there is none
// at all. [Mending] reads the sentence again.
func NoModel(code, nearest ModelCode) error {
	if nearest == "" {
		return Refused("the bundle is for model %q, and there are no models yet: add it with slipway model add %s", string(code), string(code))
	}
	return Refused("the bundle is for model %q, which does not exist; the nearest one is %q", string(code), string(nearest))
}

var noModel = pattern(`^the bundle is for model "([a-z0-9_]+)", (?:which does not exist|and there are no models yet)`)

// mending is what helps against a refusal, by words of its sentence; the first that fits counts.
var mending = []struct{ says, helps string }{
	{"does not say its model", chooseModel},
	{"does not name its model", chooseModel},
	{"does not show its model", chooseModel},
	{"stored with another image", sameVersion},
	{"plain image with other bytes", sameVersion},
	{"the image is for ", "It was built for another chip: build it for this model's, or under the code of the model that has that chip."},
	{"the image is of project", "It is another program than this model's devices run: build the right project, or under the code of another model."},
	{"was not made from", "Its files come from different builds: build once more, and pack all five from that build."},
	{"is incomplete", "It did not arrive whole: copy it again."},
	{"the ZIP is a trap", "It is damaged, or made to do harm: copy it again from where it was built."},
	{"is damaged", "It did not arrive whole: copy it again."},
	{"the file is empty", "It did not arrive whole: copy it again."},
	{"bytes, at most", "It is larger than the gateway takes: leave out what does not belong there, or raise firmware.max_bytes."},
	{"the upload is larger than", "It is larger than the gateway takes: leave out what does not belong there, or raise firmware.max_bytes."},
}

const chooseModel = "Upload it on the page, and choose its model there."

const sameVersion = "A version keeps its bytes: raise the version, build once more, and drop that."

// Mending says what helps against the refusal of a dropped file, and which model has to be made before it can be taken again,
// "" where none is lacking.
func Mending(reason string) (helps string, lacks ModelCode) {
	if found := noModel().FindStringSubmatch(reason); found != nil {
		return "Make the model and take it again; if its code is a typing error, build it once more under the right one.", ModelCode(found[1])
	}
	for _, one := range mending {
		if strings.Contains(reason, one.says) {
			return one.helps, ""
		}
	}
	return "Mend what the reason names, and drop it again.", ""
}

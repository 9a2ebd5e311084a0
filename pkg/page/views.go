package page

import (
	"net/http"

	"github.com/slipway-gateway/slipway/pkg/access"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// view is something to read at an address.
type view struct {
	Name     string // of its template
	Pattern  string
	Query    []string                    // the parameters that its address knows
	Nav      string                      // its word in the navigation, "" for none
	Load     func(*visit) (shown, error) // for whoever may read
	Personal bool                        // it shows something else to each person, whatever their role
}

// act is something to do, by a form.
type act struct {
	Pattern string
	Need    auth.Role
	Do      func(*visit) (done, error)
}

// views are all of them, in the order of the navigation.
func views(p *Page) []view {
	return []view{
		{Name: "now", Pattern: "/{$}", Nav: "Now", Load: p.now},

		{Name: "devices", Pattern: "/devices", Nav: "Devices", Query: deviceQuery, Load: p.devices},

		{Name: "device", Pattern: "/devices/{key}", Load: p.device},

		{Name: "models", Pattern: "/models", Nav: "Models", Load: p.models},

		{Name: "model", Pattern: "/models/{code}", Load: p.model},

		{Name: "rolloutnew", Pattern: "/models/{code}/rollouts/new", Query: []string{"version"}, Load: p.newRollout},

		{Name: "build", Pattern: "/models/{code}/builds/{version}", Load: p.build},

		{Name: "rollout", Pattern: "/models/{code}/rollouts/{number}", Load: p.rollout},

		{Name: "crashes", Pattern: "/crashes", Nav: "Crashes", Query: crashQuery, Load: p.crashes},

		{Name: "crash", Pattern: "/crashes/{fingerprint}", Query: []string{"dump", "after", "decoded"}, Load: p.crash},

		{Name: "dump", Pattern: "/dumps/{key}/{name}", Load: p.dump},

		{Name: "drop", Pattern: "/drop", Nav: "Inbox", Load: p.drop},

		{Name: "events", Pattern: "/events", Nav: "Events", Query: eventQuery, Load: p.events},

		{Name: "gateway", Pattern: "/gateway", Nav: "Gateway", Load: p.gateway, Personal: true},

		{Name: "licences", Pattern: "/licences", Load: p.licences},
	}
}

// acts are all of them.
func acts(p *Page) []act {
	return []act{
		{"/crashes/decide", auth.Operator, p.decideCrashes},

		{"/crashes/{fingerprint}/ignore", auth.Operator, p.ignoreCrash},

		{"/crashes/{fingerprint}/merge", auth.Operator, p.mergeCrash},

		{"/crashes/{fingerprint}/note", auth.Operator, p.noteCrash},

		{"/crashes/{fingerprint}/reopen", auth.Operator, p.reopenCrash},

		{"/crashes/{fingerprint}/resolve", auth.Operator, p.resolveCrash},

		{"/devices/add", auth.Operator, p.addDevice},

		{"/devices/import", auth.Operator, p.importDevices},

		{"/devices/selected", auth.Operator, p.changeSelection},

		{"/devices/{key}/aliases", auth.Operator, p.aliasDevice},

		{"/devices/{key}/path-secret", auth.Operator, p.pathSecret},

		{"/devices/{key}/provisioning", auth.Operator, p.provisionDevice},

		{"/devices/{key}/config", auth.Operator, p.configureDevice},

		{"/devices/{key}/name", auth.Operator, p.nameDevice},

		{"/devices/{key}/pin", auth.Operator, p.pinDevice},

		{"/devices/{key}/remove", auth.Operator, p.removeDevice},

		{"/devices/{key}/revoke", auth.Operator, p.revokeDevice},

		{"/devices/{key}/secret", auth.Operator, p.replaceSecret},

		{"/drop/{name}/dismiss", auth.Operator, p.dismissDrop},

		{"/drop/{name}/model", auth.Operator, p.makeModelOfDrop},

		{"/drop/{name}/retry", auth.Operator, p.retryDrop},

		{"/gateway/backup", auth.Admin, p.backUpNow},

		{"/crashes/{fingerprint}/decode", auth.Operator, p.decodeCrash},

		{"/dumps/{key}/{name}/decode", auth.Operator, p.decodeDump},

		{"/dumps/{key}/{name}/remove", auth.Operator, p.removeDump},

		{"/models/add", auth.Operator, p.addModel},

		{"/models/{code}/builds/{version}/note", auth.Operator, p.noteBuild},

		{"/models/{code}/builds/{version}/publish", auth.Operator, p.publishBuild},

		{"/models/{code}/builds/{version}/remove", auth.Operator, p.removeBuild},

		{"/models/{code}/change", auth.Operator, p.changeModel},

		{"/models/{code}/config", auth.Operator, p.configureModel},

		{"/models/{code}/provisioning", auth.Operator, p.provisionModel},

		{"/models/{code}/remove", auth.Operator, p.removeModel},

		{"/gateway/sessions/{id}/end", auth.Admin, p.endSession},

		{"/gateway/tokens", auth.Admin, p.createToken},

		{"/gateway/tokens/{id}/revoke", auth.Admin, p.revokeToken},

		{"/models/{code}/rollouts", auth.Operator, p.startRollout},

		{"/models/{code}/rollouts/{number}/advance", auth.Operator, p.actOnRollout(fleet.RolloutAdvance)},

		{"/models/{code}/rollouts/{number}/excuse", auth.Operator, p.actOnRollout(fleet.RolloutExcuse)},

		{"/models/{code}/rollouts/{number}/finish", auth.Operator, p.actOnRollout(fleet.RolloutFinish)},

		{"/models/{code}/rollouts/{number}/halt", auth.Operator, p.actOnRollout(fleet.RolloutHalt)},

		{"/models/{code}/rollouts/{number}/pause", auth.Operator, p.actOnRollout(fleet.RolloutPause)},

		{"/models/{code}/rollouts/{number}/resume", auth.Operator, p.actOnRollout(fleet.RolloutResume)},

		{"/models/{code}/rollouts/{number}/retreat", auth.Operator, p.actOnRollout(fleet.RolloutRetreat)},

		{"/gateway/webhooks", auth.Admin, p.addWebhook},

		{"/gateway/webhooks/{id}/active", auth.Admin, p.activateWebhook},

		{"/gateway/webhooks/{id}/change", auth.Admin, p.changeWebhook},

		{"/gateway/webhooks/{id}/remove", auth.Admin, p.removeWebhook},

		{"/gateway/webhooks/{id}/secret", auth.Admin, p.replaceWebhookSecret},

		{"/gateway/webhooks/{id}/test", auth.Admin, p.testWebhook},

		{"/trouble/{id}/seen", auth.Operator, p.noteTrouble},

		{"/trouble/{id}/unseen", auth.Operator, p.unnoteTrouble},
	}
}

// uploads are acts whose form has a file, which may be larger than memory: they read the body as it comes.
func uploads(p *Page) []act {
	return []act{
		{"/drop/upload", auth.Operator, p.uploadDrop},

		{"/models/{code}/upload", auth.Operator, p.uploadFirmware},
	}
}

// visit is one request for a view or an act.
type visit struct {
	w      http.ResponseWriter
	r      *http.Request
	caller access.Caller
}

// shown is what a loader has found.
type shown struct {
	Title string
	View  any // the view's struct
}

// done is what has become of an act: where the person is led to and what is said there; or, where View is set, the
// view that is shown at once, such as a secret that is shown once.
type done struct {
	To     string // an address of this page
	Said   said
	View   string // the template of Shows
	Shows  shown
	Status int // of the answer with View, 0 for 200
}

// said is what the page says of an act that is done.
type said struct {
	Text string `json:"text"`
	Undo string `json:"undo,omitempty"` // how it is undone, in words; "" where it cannot be
	Line string `json:"line,omitempty"` // of the command line, that does the same
}

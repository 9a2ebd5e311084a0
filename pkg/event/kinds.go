package event

import (
	"slices"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// The kinds that there are.
const (
	BuildAccepted  fleet.EventKind = "build.accepted"
	BuildRejected  fleet.EventKind = "build.rejected"
	BuildPublished fleet.EventKind = "build.published"
	BuildReplaced  fleet.EventKind = "build.replaced"
	BuildRemoved   fleet.EventKind = "build.removed"
	BuildNoted     fleet.EventKind = "build.noted"

	ModelAdded   fleet.EventKind = "model.added"
	ModelChanged fleet.EventKind = "model.changed"
	ModelRemoved fleet.EventKind = "model.removed"

	DeviceAdded             fleet.EventKind = "device.added"
	DeviceAdopted           fleet.EventKind = "device.adopted"
	DeviceImported          fleet.EventKind = "device.imported"
	DeviceChanged           fleet.EventKind = "device.changed"
	DevicePinned            fleet.EventKind = "device.pinned"
	DeviceUnpinned          fleet.EventKind = "device.unpinned"
	DeviceRevoked           fleet.EventKind = "device.revoked"
	DeviceWelcomed          fleet.EventKind = "device.welcomed"
	DeviceRemoved           fleet.EventKind = "device.removed"
	DeviceNudged            fleet.EventKind = "device.nudged"
	DevicePathSecretMade    fleet.EventKind = "device.path_secret_made"
	DevicePathSecretRevoked fleet.EventKind = "device.path_secret_revoked"
	DeviceSecretReplaced    fleet.EventKind = "device.secret_replaced"
	DeviceSecretRotated     fleet.EventKind = "device.secret_rotated"
	DeviceWentBack          fleet.EventKind = "device.went_back"

	AdoptionOpened fleet.EventKind = "adoption.opened"
	AdoptionClosed fleet.EventKind = "adoption.closed"

	ConfigChanged       fleet.EventKind = "config.changed"
	ProvisioningChanged fleet.EventKind = "provisioning.changed"

	CrashNew       fleet.EventKind = "crash.new"
	CrashRegressed fleet.EventKind = "crash.regressed"
	CrashResolved  fleet.EventKind = "crash.resolved"
	CrashIgnored   fleet.EventKind = "crash.ignored"
	CrashReopened  fleet.EventKind = "crash.reopened"
	CrashMerged    fleet.EventKind = "crash.merged"
	CrashSplit     fleet.EventKind = "crash.split"
	CrashNoted     fleet.EventKind = "crash.noted"

	DumpRemoved fleet.EventKind = "dump.removed"
	DumpRotated fleet.EventKind = "dump.rotated"

	DumpDecodedAgain fleet.EventKind = "dump.decoded_again"

	DeviceLost  fleet.EventKind = "device.lost"
	DeviceFound fleet.EventKind = "device.found"

	RolloutDrafted     fleet.EventKind = "rollout.drafted"
	RolloutStarted     fleet.EventKind = "rollout.started"
	RolloutWaveOpened  fleet.EventKind = "rollout.wave_opened"
	RolloutHeld        fleet.EventKind = "rollout.held"
	RolloutReleased    fleet.EventKind = "rollout.released"
	RolloutPaused      fleet.EventKind = "rollout.paused"
	RolloutResumed     fleet.EventKind = "rollout.resumed"
	RolloutAdvanced    fleet.EventKind = "rollout.advanced"
	RolloutExcused     fleet.EventKind = "rollout.excused"
	RolloutHalted      fleet.EventKind = "rollout.halted"
	RolloutRetreating  fleet.EventKind = "rollout.retreating"
	RolloutRetreated   fleet.EventKind = "rollout.retreated"
	RolloutFinished    fleet.EventKind = "rollout.finished"
	RolloutPlanChanged fleet.EventKind = "rollout.plan_changed"

	LineDark fleet.EventKind = "line.dark"
	LineLit  fleet.EventKind = "line.lit"

	TokenCreated   fleet.EventKind = "token.created"
	TokenRevoked   fleet.EventKind = "token.revoked"
	SessionStarted fleet.EventKind = "session.started"
	SessionEnded   fleet.EventKind = "session.ended"
	KeysRotated    fleet.EventKind = "keys.rotated"

	SignInFailed       fleet.EventKind = "sign_in.failed"
	TokenRequestFailed fleet.EventKind = "token_request.failed"

	DropRejected  fleet.EventKind = "drop.rejected"
	DropRetried   fleet.EventKind = "drop.retried"
	DropDismissed fleet.EventKind = "drop.dismissed"

	WebhookAdded    fleet.EventKind = "webhook.added"
	WebhookChanged  fleet.EventKind = "webhook.changed"
	WebhookRemoved  fleet.EventKind = "webhook.removed"
	WebhookDisabled fleet.EventKind = "webhook.disabled"

	TroubleBegan         fleet.EventKind = "trouble.began"
	TroubleEnded         fleet.EventKind = "trouble.ended"
	TroubleNoted         fleet.EventKind = "trouble.noted"
	GatewayStarted       fleet.EventKind = "gateway.started"
	GatewayStopped       fleet.EventKind = "gateway.stopped"
	GatewayClockAccepted fleet.EventKind = "gateway.clock_accepted"
	BackupCreated        fleet.EventKind = "backup.created"
	BackupRestored       fleet.EventKind = "backup.restored"
	CatalogRebuilt       fleet.EventKind = "catalog.rebuilt"
)

// alarming kinds are warnings in the journal.
var alarming = map[fleet.EventKind]bool{
	BuildRejected: true, CrashRegressed: true, SignInFailed: true, TokenRequestFailed: true, DropRejected: true, LineDark: true, TroubleBegan: true,
	RolloutHalted: true, WebhookDisabled: true, DeviceLost: true, DeviceWentBack: true,
}

// Row is a kind and all that leaves it: routes ("POST /api/devices"), commands ("slipway device add"), and in other words
// what the gateway does by itself.
type Row struct {
	Kind fleet.EventKind
	Left []string
}

// Table has each kind once. A test holds it against the routes and the commands: what changes something is in it, or in
// [Silent] with the reason.
var Table = []Row{
	{BuildAccepted, []string{upload, "slipway firmware add", uploadForm, uploadDrop, "a bundle in the drop folder", "a bundle found on the disk"}},
	{BuildRejected, []string{upload, "slipway firmware add", uploadForm, uploadDrop}},
	{BuildPublished, []string{
		publish, "slipway firmware publish", publishForm, upload, "slipway firmware add", uploadForm, uploadDrop, "a bundle in the drop folder", "a rollout that is finished", rollout + "finish", "slipway rollout finish", onPage + "finish",
	}},
	{BuildReplaced, []string{upload, "slipway firmware add", uploadForm, uploadDrop, "a bundle that lay damaged on the disk and came again"}},
	{BuildRemoved, []string{"DELETE /api/device-models/{code}/builds/{version}", "slipway firmware rm", "POST /models/{code}/builds/{version}/remove", "retention"}},
	{BuildNoted, []string{"PUT /api/device-models/{code}/builds/{version}/note", "slipway firmware note", "POST /models/{code}/builds/{version}/note"}},
	{ModelAdded, []string{"POST /api/device-models", "slipway model add", "POST /models/add", "a dropped bundle, where drop.create_models is set", "rebuilding", "POST /drop/{name}/model"}},
	{ModelChanged, []string{"PATCH /api/device-models/{code}", "slipway model set", "POST /models/{code}/change", upload, "slipway firmware add", uploadForm, uploadDrop, "the first build, which pins chip and project"}},
	{ModelRemoved, []string{"DELETE /api/device-models/{code}", "slipway model rm", "POST /models/{code}/remove"}},
	{DeviceAdded, []string{"POST /api/devices", "slipway device add", "a token of an external issuer", "POST /devices/add"}},
	{DeviceAdopted, []string{"a device that nobody knew, and that showed the shared secret of an adoption"}},
	{AdoptionOpened, []string{"POST /api/adoptions", "slipway device adopt"}},
	{AdoptionClosed, []string{"DELETE /api/adoptions/{code}", "slipway device adopt close", "the end of its time", "the last device that it takes"}},
	{DeviceImported, []string{"POST /api/devices/import", "slipway device import", "slipway simulate", "POST /devices/import"}},
	{DeviceChanged, []string{patchDevice, "slipway device set", "POST /api/devices/import", "slipway device import", "POST /devices/{key}/name", "POST /devices/import", "POST /devices/selected", "POST /devices/{key}/aliases"}},
	{DevicePinned, []string{patchDevice, "slipway device set", "POST /devices/{key}/pin", "POST /devices/selected"}},
	{DeviceUnpinned, []string{patchDevice, "slipway device set", "POST /devices/{key}/pin", "POST /devices/selected"}},
	{DeviceRevoked, []string{patchDevice, "slipway device set", "POST /devices/{key}/revoke", "POST /devices/selected"}},
	{DeviceWelcomed, []string{patchDevice, "slipway device set", "POST /devices/{key}/revoke", "POST /devices/selected"}},
	{DeviceRemoved, []string{"DELETE /api/devices/{key}", "slipway device rm", "POST /devices/{key}/remove", "POST /devices/selected"}},
	{DeviceNudged, []string{"POST /api/devices/{key}/nudge", "slipway device nudge"}},
	{DeviceSecretReplaced, []string{"POST /api/devices/{key}/secret", "slipway device secret", "POST /devices/{key}/secret"}},
	{DevicePathSecretMade, []string{"POST /api/devices/{key}/path-secret", "slipway device path-secret", "POST /devices/{key}/path-secret"}},
	{DevicePathSecretRevoked, []string{"DELETE /api/devices/{key}/path-secret", "slipway device path-secret", patchDevice, "slipway device set", "POST /devices/{key}/path-secret"}},
	{DeviceSecretRotated, []string{"GET /api/iot/provisioning", "the first use of a rotated secret: each one an hour and device, with counts"}},
	{DeviceWentBack, []string{"a rollback that was seen: one an hour and device, with counts", "a device of a rollout that fetches the whole of its build again"}},
	{ConfigChanged, []string{"PUT /api/devices/{key}/config", "DELETE /api/devices/{key}/config", patchDevice, "PATCH /api/device-models/{code}", "POST /api/device-models", "slipway device set", "slipway model set", "slipway model add", "POST /devices/{key}/config", "POST /devices/selected", "POST /models/{code}/config"}},
	{ProvisioningChanged, []string{patchDevice, "PATCH /api/device-models/{code}", "POST /api/device-models", "slipway device set", "slipway model set", "slipway model add", "POST /models/{code}/provisioning", "POST /devices/{key}/provisioning"}},
	{CrashNew, []string{"a dump whose cause nobody knew"}},
	{CrashRegressed, []string{"a dump whose cause was resolved"}},
	{CrashResolved, []string{"POST /api/crashes/{fingerprint}/resolve", "slipway crash resolve", "POST /crashes/{fingerprint}/resolve"}},
	{CrashIgnored, []string{"POST /api/crashes/{fingerprint}/ignore", "slipway crash ignore", "POST /crashes/{fingerprint}/ignore", "POST /crashes/decide"}},
	{CrashReopened, []string{"POST /api/crashes/{fingerprint}/reopen", "slipway crash reopen", "POST /crashes/{fingerprint}/reopen", "POST /crashes/decide", "the version, the number of crashes or the time that it was ignored until"}},
	{CrashMerged, []string{"POST /api/crashes/{fingerprint}/merge", "slipway crash merge", "POST /crashes/{fingerprint}/merge"}},
	{CrashSplit, []string{"POST /api/crashes/{fingerprint}/split", "slipway crash split"}},
	{CrashNoted, []string{"POST /api/crashes/{fingerprint}/note", "slipway crash note", "POST /crashes/{fingerprint}/note"}},
	{DumpRemoved, []string{"DELETE /api/coredumps/{key}/{name}", "slipway dump rm", "POST /dumps/{key}/{name}/remove"}},
	{DumpRotated, []string{"rotation, one an hour and device with counts"}},
	{DumpDecodedAgain, []string{"POST /api/coredumps/{key}/{name}/decode", "slipway dump decode", "POST /dumps/{key}/{name}/decode", "POST /api/crashes/{fingerprint}/decode", "slipway crash decode", "POST /crashes/{fingerprint}/decode", "a dump that had a report, or had failed, and was decoded anew by a newer version or as its report was lost: one an hour and device, with counts"}},
	{DeviceLost, []string{"a device of a rollout that was not heard after its update"}},
	{DeviceFound, []string{"a device that was lost and is heard again"}},
	{RolloutDrafted, []string{rollouts, "slipway rollout start", pageRollouts}},
	{RolloutStarted, []string{rollouts, "slipway rollout start", rollout + "resume", "slipway rollout resume", "the time that a draft starts at", pageRollouts, onPage + "resume"}},
	{RolloutWaveOpened, []string{"a wave whose rest is over and whose gate is open", rollout + "retreat", "slipway rollout retreat", onPage + "retreat"}},
	{RolloutHeld, []string{"a gateway that hears nobody, a window that is closed, lines that are dark, a full disk, a clock that is not believed, a retreat whose devices do not come back"}},
	{RolloutReleased, []string{"the end of what held it"}},
	{RolloutPaused, []string{rollout + "pause", "slipway rollout pause", "a gate that has neither opened nor halted for 14 days", onPage + "pause"}},
	{RolloutResumed, []string{rollout + "resume", "slipway rollout resume", onPage + "resume"}},
	{RolloutAdvanced, []string{rollout + "advance", "slipway rollout advance", onPage + "advance"}},
	{RolloutExcused, []string{rollout + "excuse", "slipway rollout excuse", onPage + "excuse"}},
	{RolloutHalted, []string{
		rollout + "halt", "slipway rollout halt", "a build that is shown to be worse", rollout + "retreat", "slipway rollout retreat", rollouts, "slipway rollout start", publish, "slipway firmware publish", publishForm, onPage + "halt", onPage + "retreat", pageRollouts,
	}},
	{RolloutRetreating, []string{rollout + "retreat", "slipway rollout retreat", "a halt, where a retreat was said before", onPage + "retreat"}},
	{RolloutRetreated, []string{rollout + "finish", "slipway rollout finish", "a retreat that has reached everybody", onPage + "finish"}},
	{RolloutFinished, []string{rollout + "finish", "slipway rollout finish", "a rollout that has reached everybody", onPage + "finish"}},
	{RolloutPlanChanged, []string{"PUT /api/device-models/{code}/rollout-plan", "slipway rollout plan"}},
	{LineDark, []string{"devices of a line that fell silent together"}},
	{LineLit, []string{"half of them were heard again"}},
	{TokenCreated, []string{"POST /api/tokens", "slipway token create", "POST /gateway/tokens"}},
	{TokenRevoked, []string{"DELETE /api/tokens/{id}", "slipway token revoke", "POST /gateway/tokens/{id}/revoke"}},
	{SessionStarted, []string{"POST /login", "GET /login/oidc/back"}},
	{SessionEnded, []string{"POST /logout", "POST /logout/everywhere", "POST /gateway/sessions/{id}/end"}},
	{KeysRotated, []string{"POST /api/keys/rotate", "slipway token rotate-key", "a signing key that is half a year old"}},
	{SignInFailed, []string{"POST /login", "GET /login/oidc/back", "a token that is not known, on any route for people: one a minute and source, with counts"}},
	{TokenRequestFailed, []string{"POST /api/oauth/token", "a wrong client secret, on any route for devices: one a minute and source, with counts"}},
	{DropRejected, []string{"a dropped file that is no bundle, or that is refused"}},
	{DropRetried, []string{"POST /api/drops/{name}/retry", "slipway drop retry", "POST /drop/{name}/retry", "POST /drop/{name}/model"}},
	{DropDismissed, []string{"DELETE /api/drops/{name}", "slipway drop dismiss", "POST /drop/{name}/dismiss"}},
	{WebhookAdded, []string{"POST /api/webhooks", "slipway webhook add", "POST /gateway/webhooks"}},
	{WebhookChanged, []string{"PATCH /api/webhooks/{id}", "slipway webhook set", "POST /api/webhooks/{id}/secret", "slipway webhook secret", "POST /gateway/webhooks/{id}/active", "POST /gateway/webhooks/{id}/change", "POST /gateway/webhooks/{id}/secret"}},
	{WebhookRemoved, []string{"DELETE /api/webhooks/{id}", "slipway webhook rm", "POST /gateway/webhooks/{id}/remove"}},
	{WebhookDisabled, []string{"a receiver that has failed for a day", "slipway backup restore"}},
	{TroubleBegan, []string{"something that /api/health tells of"}},
	{TroubleEnded, []string{"something that /api/health told of"}},
	{TroubleNoted, []string{"POST /api/trouble/{id}/seen", "DELETE /api/trouble/{id}/seen", "slipway trouble seen", "slipway trouble unseen", "POST /trouble/{id}/seen", "POST /trouble/{id}/unseen"}},
	{GatewayStarted, []string{"a start"}},
	{GatewayStopped, []string{"a clean stop"}},
	{GatewayClockAccepted, []string{"POST /api/clock/accept", "slipway clock accept"}},
	{BackupCreated, []string{"GET /api/backup", "slipway backup create", "POST /api/backups", "slipway backup now", "POST /gateway/backup", "the daily backup"}},
	{BackupRestored, []string{"slipway backup restore"}},
	{CatalogRebuilt, []string{"POST /api/catalog/rebuild", "slipway catalog rebuild"}},
}

const (
	upload       = "POST /api/pipeline/models/{code}/firmware"
	publishForm  = "POST /models/{code}/builds/{version}/publish"
	uploadForm   = "POST /models/{code}/upload"
	uploadDrop   = "POST /drop/upload"
	patchDevice  = "PATCH /api/devices/{key}"
	publish      = "POST /api/device-models/{code}/builds/{version}/publish"
	rollouts     = "POST /api/device-models/{code}/rollouts"
	rollout      = rollouts + "/{number}/"
	pageRollouts = "POST /models/{code}/rollouts"
	onPage       = pageRollouts + "/{number}/"
	ddi          = "/DEFAULT/controller/v1/{controller}" // the tenant is a setting
)

// Silent are routes and commands that look as if they changed something, and why they leave no event.
var Silent = map[string]string{
	"POST /api/webhooks/{id}/test":                      "a test tells the receiver only, and changes nothing",
	"slipway webhook test":                              "as POST /api/webhooks/{id}/test",
	"POST /gateway/webhooks/{id}/test":                  "as POST /api/webhooks/{id}/test",
	"POST /api/devices/{key}/token":                     "a token is minted and nothing is stored",
	"slipway device token":                              "a token is minted and nothing is stored",
	"POST /api/iot/coredump":                            "a device's dumps are no acts: crash.new and crash.regressed tell what matters of them",
	"POST /api/iot/coredump/raw":                        "as POST /api/iot/coredump",
	"PUT " + ddi + "/configData":                        "what a device says of itself is shown with it and is no act",
	"POST " + ddi + "/deploymentBase/{action}/feedback": "what a device says of its update is shown with it and is no act",
	"POST " + ddi + "/cancelAction/{action}/feedback":   "as its feedback on a deployment",
	"POST /policy-reports":                              "what a browser has stopped is for the journal: anybody may send one",
	"slipway catalog new":                               "a catalog that is new has no events yet, and its first says that none were recorded before",
	"slipway serve":                                     "gateway.started and gateway.stopped tell of it",
}

// Known reports that there is such a kind, or a noun that kinds have.
func Known(kind string) bool {
	return slices.ContainsFunc(Table, func(r Row) bool {
		noun, _, _ := strings.Cut(string(r.Kind), ".")
		return kind == string(r.Kind) || kind == noun
	})
}

// Names are all kinds, in the order of the table.
func Names() []string {
	names := make([]string, len(Table))
	for i, r := range Table {
		names[i] = string(r.Kind)
	}
	return names
}

package fleet

import (
	"slices"
	"strings"
)

// ResetReason is why a device has restarted, as it says itself: ESP-IDF's esp_reset_reason_t without ESP_RST_, in lower case.
type ResetReason string

// ResetReasons are those that are known; others are not kept. New ones come last: records name them by their place.
var ResetReasons = []ResetReason{
	"unknown", "poweron", "ext", "sw", "panic", "int_wdt", "task_wdt", "wdt", "deepsleep", "brownout", "sdio", "usb", "jtag", "efuse", "pwr_glitch", "cpu_lockup",
}

// OTAState is the state of the image that runs, as the device says itself: ESP-IDF's esp_ota_img_states_t without
// ESP_OTA_IMG_, in lower case.
type OTAState string

// OTAStates are those that are known; others are not kept. New ones come last: records name them by their place.
var OTAStates = []OTAState{"new", "pending_verify", "valid", "invalid", "aborted", "undefined"}

// ParseResetReason takes it as ESP-IDF spells it, or without its prefix; "" is one that nobody knows.
func ParseResetReason(s string) ResetReason { return known(ResetReasons, "esp_rst_", s) }

// ParseOTAState takes it as ESP-IDF spells it, or without its prefix; "" is one that nobody knows.
func ParseOTAState(s string) OTAState { return known(OTAStates, "esp_ota_img_", s) }

// known is the one of all that a text names. It is never a part of the text.
func known[T ~string](all []T, prefix, s string) T {
	name := T(strings.TrimPrefix(strings.ReplaceAll(strings.ToLower(s), "-", "_"), prefix))
	if i := slices.Index(all, name); i >= 0 {
		return all[i]
	}
	return ""
}

// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

// The device side of a Slipway gateway as a sketch for arduino-esp32 2.0.14 and later, by WiFi, HTTPClient and HTTPUpdate.
//
// Put what the device does into setup, loop and configured; leave the rest. What it promises is in the README beside it.

#include <Arduino.h>
#include <HTTPClient.h>
#include <HTTPUpdate.h>
#include <Preferences.h>
#include <WiFi.h>
#include <WiFiClientSecure.h>

#include <esp_core_dump.h>
#include <esp_idf_version.h>
#include <esp_ota_ops.h>
#include <esp_partition.h>
#include <esp_system.h>
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 0, 0)
#include <esp_app_desc.h>
#endif

#ifndef SLIPWAY_VERSION
#define SLIPWAY_VERSION "1.0.0" // of this build: raise it, and hand it in under this name
#endif

static const char gatewayCA[] = ""; // ca.crt of the gateway, as text; needed where base_url is https://

static const uint32_t intervalMs = 300000; // between two contacts
static const uint32_t trialMs = 900000;    // how long new firmware may take to reach the gateway
static const uint32_t dayMs = 86400000;
static const uint8_t mostTrials = 3; // so often one version is installed

enum Step { CONFIGURATION, DUMP, VERSION, FIRMWARE, STEPS };
enum Result { IDLE, DONE, NOT_YET, REFUSED, FAILED };

struct Plan {
  uint32_t due;
  uint8_t failures;
  Result result;
};

struct Trial { // the version that was installed last, in NVS
  char version[33];
  uint8_t trials;
  uint8_t open; // it was not seen yet how it went
};

static Plan plans[STEPS];
static Trial trial;
static Preferences preferences;
static String baseURL, clientID, clientSecret, bootID, resetReason, otaState, elfHash, offered;
static uint32_t retryAfter; // seconds, of the last answer
static bool pending;        // this image has not reached the gateway yet

// The core marks each image valid at its start, unless the sketch says that it does so itself.
extern "C" bool verifyRollbackLater() { return true; }

// configured gets the device's configuration, JSON.
static void configured(const String &json) { log_i("configuration: %s", json.c_str()); }

// mayRestart says whether the device may restart into new firmware now.
static bool mayRestart() { return true; }

static WiFiClient &connection() {
  static WiFiClient plain;
  static WiFiClientSecure secure;
  if (!baseURL.startsWith("https:")) {
    return plain;
  }
  secure.setCACert(gatewayCA);
  return secure;
}

static String escaped(const String &text) {
  String to;
  for (size_t i = 0; i < text.length(); i++) {
    char c = text[i];
    if (isalnum((unsigned char)c) || strchr("-._~", c)) {
      to += c;
    } else {
      char hex[4];
      snprintf(hex, sizeof hex, "%%%02X", (unsigned char)c);
      to += hex;
    }
  }
  return to;
}

// readBoot finds out what the device says of itself with every request. The numbers are ESP-IDF's in all versions; the headers
// of some lack the names of the last ones.
static void readBoot() {
  static const char *const names[] = {"unknown",   "poweron",  "ext",  "sw",  "panic", "int_wdt", "task_wdt",   "wdt",
                                      "deepsleep", "brownout", "sdio", "usb", "jtag",  "efuse",   "pwr_glitch", "cpu_lockup"};
  unsigned reason = (unsigned)esp_reset_reason();
  resetReason = reason < sizeof names / sizeof names[0] ? names[reason] : "";
  char elf[17];
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 0, 0)
  esp_app_get_elf_sha256(elf, sizeof elf);
#else
  esp_ota_get_app_elf_sha256(elf, sizeof elf);
#endif
  elfHash = elf;
  bootID = String(esp_random());
}

// readState finds out whether this image is on trial, and what it says of that; one outside the OTA partitions has no state.
static void readState() {
  static const char *const names[] = {"new", "pending_verify", "valid", "invalid", "aborted"};
  esp_ota_img_states_t state;
  if (esp_ota_get_state_partition(esp_ota_get_running_partition(), &state) != ESP_OK) {
    pending = false;
    otaState = "";
    return;
  }
  pending = state == ESP_OTA_IMG_PENDING_VERIFY;
  otaState = (unsigned)state < sizeof names / sizeof names[0] ? names[state] : "undefined";
}

// ask makes a request: its status, 0 or less where none came.
static int ask(HTTPClient &http, const String &path, Stream *body, size_t length) {
  static const char *wanted[] = {"Retry-After"};
  retryAfter = 0;
  if (!http.begin(connection(), baseURL + path)) {
    return 0;
  }
  http.setReuse(false);
  http.setTimeout(8000);
  http.setAuthorization(clientID.c_str(), clientSecret.c_str()); // Basic, unasked
  http.collectHeaders(wanted, 1);
  http.addHeader("X-Running-Version", SLIPWAY_VERSION);
  http.addHeader("X-Running-ELF-SHA256", elfHash);
  http.addHeader("X-Boot-ID", bootID);
  if (resetReason.length() > 0) {
    http.addHeader("X-Reset-Reason", resetReason);
  }
  if (otaState.length() > 0) {
    http.addHeader("X-OTA-State", otaState);
  }
  if (body) {
    http.addHeader("Content-Type", "application/octet-stream");
  }
  int status = body ? http.sendRequest("POST", body, length) : http.GET();
  long wait = http.header("Retry-After").toInt();
  retryAfter = wait > 0 ? (uint32_t)wait : 0;
  return status;
}

static Result judge(int status) {
  if (status <= 0) {
    return FAILED;
  }
  return status == 429 || status >= 500 ? NOT_YET : REFUSED;
}

// fetch gets a small JSON answer, whole or not at all.
static Result fetch(const String &path, String &json) {
  HTTPClient http;
  int status = ask(http, path, nullptr, 0);
  if (status != 200) {
    http.end();
    return judge(status);
  }
  int length = http.getSize();
  if (length < 0 || length > 4096) {
    http.end();
    return REFUSED;
  }
  json = http.getString();
  http.end();
  return json.length() == (size_t)length ? DONE : FAILED;
}

static Result fetchConfiguration() {
  String json;
  Result result = fetch("/api/iot/config", json);
  if (result != DONE) {
    return result;
  }
  if (!json.startsWith("{") || !json.endsWith("}")) {
    return REFUSED;
  }
  configured(json);
  return DONE;
}

// DumpStream is the core dump in its partition.
class DumpStream : public Stream {
public:
  DumpStream(const esp_partition_t *from, size_t offset, size_t size) : partition(from), at(offset), left(size) {}
  int available() override { return left > 4096 ? 4096 : (int)left; }
  int peek() override {
    uint8_t one;
    return left > 0 && esp_partition_read(partition, at, &one, 1) == ESP_OK ? one : -1;
  }
  int read() override {
    int one = peek();
    if (one >= 0) {
      at++;
      left--;
    }
    return one;
  }
  size_t readBytes(char *to, size_t length) override {
    length = length < left ? length : left;
    if (esp_partition_read(partition, at, to, length) != ESP_OK) {
      return 0;
    }
    at += length;
    left -= length;
    return length;
  }
  size_t write(uint8_t) override { return 0; }

private:
  const esp_partition_t *partition;
  size_t at, left;
};

static Result uploadDump() {
  size_t address, size;
  if (esp_core_dump_image_get(&address, &size) != ESP_OK) {
    return DONE; // there is none, or none that can be read
  }
  const esp_partition_t *p = esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_COREDUMP, NULL);
  if (!p || address < p->address || size > p->size || address - p->address > p->size - size) {
    return REFUSED;
  }
  DumpStream dump(p, address - p->address, size);
  HTTPClient http;
  String path = String("/api/iot/coredump?chip=" CONFIG_IDF_TARGET "&firmware_version=") + escaped(SLIPWAY_VERSION);
  int status = ask(http, path, &dump, size);
  http.end();
  if (status == 201) { // nothing else says that it is on stable storage
    return esp_core_dump_image_erase() == ESP_OK ? DONE : FAILED;
  }
  return judge(status);
}

static void keepTrial() { preferences.putBytes("trial", &trial, sizeof trial); }

// confirm keeps this image: it has reached the gateway, and can be replaced by the next one.
static void confirm() {
  if (pending && esp_ota_mark_app_valid_cancel_rollback() == ESP_OK) {
    readState();
  }
  if (!pending && strcmp(trial.version, SLIPWAY_VERSION) == 0 && preferences.remove("trial")) {
    memset(&trial, 0, sizeof trial);
  }
}

static Result askVersion() {
  String json;
  Result result = fetch("/api/iot/firmware-version", json);
  if (result != DONE) {
    return result;
  }
  int at = json.indexOf("\"firmware_version\"");
  int colon = at < 0 ? -1 : json.indexOf(':', at);
  if (colon < 0) {
    return REFUSED;
  }
  int from = json.indexOf('"', colon); // none where it is null
  int to = from < 0 ? -1 : json.indexOf('"', from + 1);
  offered = to < 0 || to - from > 33 ? String() : json.substring(from + 1, to);
  confirm();
  return DONE;
}

// begun is called while an image comes: before its last bytes are written it is on record that it is tried.
static void begun(int done, int size) {
  if (size <= 0 || done < size || trial.open) {
    return;
  }
  if (offered != trial.version) {
    memset(&trial, 0, sizeof trial);
    strlcpy(trial.version, offered.c_str(), sizeof trial.version);
  }
  trial.trials++;
  trial.open = 1;
  keepTrial();
}

// updateFirmware begins anew each time: the library does not go on where it was cut.
static Result updateFirmware() {
  if (offered == trial.version && trial.trials >= mostTrials) {
    return REFUSED;
  }
  if (!mayRestart()) {
    return NOT_YET;
  }
  httpUpdate.rebootOnUpdate(false);
  httpUpdate.setAuthorization(clientID, clientSecret);
  httpUpdate.onProgress(begun);
  retryAfter = 0; // the library does not hand it on
  String url = baseURL + "/api/iot/firmware/" + escaped(offered);
  switch (httpUpdate.update(connection(), url, SLIPWAY_VERSION)) {
  case HTTP_UPDATE_OK:
    ESP.restart();
    return DONE;
  case HTTP_UPDATE_NO_UPDATES:
    return REFUSED; // this is that version already, whatever it calls itself
  default:
    if (trial.open) { // all of it came, and it does not verify
      trial.open = 0;
      keepTrial();
      return REFUSED;
    }
    return FAILED;
  }
}

static uint32_t between(uint32_t from, uint32_t to) { return from + esp_random() % (to - from + 1); }

static bool isDue(Step step) { return (int32_t)(millis() - plans[step].due) >= 0; }

static void run(Step step, Result (*what)()) {
  if (!isDue(step)) {
    return;
  }
  Plan &plan = plans[step];
  retryAfter = 0;
  plan.result = what();
  uint32_t wait, most = pending ? trialMs / 15 : intervalMs;
  if (plan.result == DONE) {
    plan.failures = 0;
    plan.due = millis() + between(intervalMs / 10 * 9, intervalMs / 10 * 11);
    return;
  }
  plan.failures += plan.failures < 8;
  wait = 4000u << (plan.failures - 1);
  if (plan.result == REFUSED && !pending) {
    most = dayMs;
    wait = intervalMs << (plan.failures - 1);
  }
  wait = wait < most ? wait : most;
  if (plan.result == NOT_YET && retryAfter > 0) {
    wait = retryAfter < dayMs / 1000 ? retryAfter * 1000 : dayMs;
  }
  plan.due = millis() + wait + between(0, wait / 4 + 1000);
}

// slipwayContact does what is due. Call it from loop, which may do other things between two calls.
static void slipwayContact() {
  if (pending && millis() > trialMs) {
    ESP.restart(); // what was not marked valid is not started again
  }
  run(CONFIGURATION, fetchConfiguration);
  run(DUMP, uploadDump);
  run(VERSION, askVersion);
  if (!pending && offered.length() > 0 && offered != SLIPWAY_VERSION) {
    run(FIRMWARE, updateFirmware);
  }
}

static bool crashed() {
  switch (esp_reset_reason()) {
  case ESP_RST_PANIC:
  case ESP_RST_INT_WDT:
  case ESP_RST_TASK_WDT:
  case ESP_RST_WDT:
    return true;
  default:
    return false;
  }
}

// slipwayBegin reads the enrolment, and finds out how the last installation went. It is false where there is no enrolment.
static bool slipwayBegin() {
  preferences.begin("slipway", false);
  baseURL = preferences.getString("base_url", "");
  clientID = preferences.getString("client_id", "");
  clientSecret = preferences.getString("client_secret", "");
  if (baseURL.endsWith("/")) {
    baseURL.remove(baseURL.length() - 1);
  }
  readBoot();
  readState();
  if (preferences.getBytes("trial", &trial, sizeof trial) != sizeof trial) {
    memset(&trial, 0, sizeof trial);
  }
  trial.version[sizeof trial.version - 1] = 0;
  if (trial.open && strcmp(trial.version, SLIPWAY_VERSION) != 0) {
    // It went back. A crash is the image's own; a lost gateway or a power cut may be nobody's.
    trial.open = 0;
    trial.trials = crashed() ? mostTrials : trial.trials;
    keepTrial();
  }
  uint32_t first = millis() + between(0, 10000); // devices that start together do not ask together
  for (int i = 0; i < FIRMWARE; i++) {
    plans[i].due = first;
  }
  return baseURL.length() > 0 && clientID.length() > 0 && clientSecret.length() > 0;
}

static bool enrolled;

void setup() {
  enrolled = slipwayBegin();
  WiFi.begin(preferences.getString("wifi_ssid", "").c_str(), preferences.getString("wifi_password", "").c_str());
}

void loop() {
  if (enrolled) {
    slipwayContact();
  }
  delay(1000);
}

// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

#include "slipway.h"

#include <string.h>

#include "esp_app_desc.h"
#include "esp_app_format.h"
#include "esp_core_dump.h"
#include "esp_http_client.h"
#include "esp_idf_version.h"
#include "esp_log.h"
#include "esp_ota_ops.h"
#include "esp_partition.h"
#include "esp_random.h"
#include "esp_system.h"
#include "esp_timer.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "nvs.h"
#include "sdkconfig.h"

#ifndef CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE
#error "slipway needs CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE: without it an image that does not start is a dead device"
#endif

static const char TAG[] = "slipway";

#define SECTOR 4096u        // of flash: what is erased and written at once
#define PROGRESS_EVERY 16u  // sectors between two notes of how far a download is, 64 KiB: NVS lasts longer than the flash
#define TRIALS 3u           // so often one version is installed
#define SECONDS 1000000ll   // in microseconds
#define LONGEST_WAIT 86400u // seconds
#define BOOT_SPREAD 10u     // seconds over which devices that start together begin to ask

// Header lines of esp_http_client have 512 bytes, which a bearer token fits that has 485.
#define HEADER_LINE 512
#define TOKEN_MOST 485
#define BASE_MOST 128
#define PATH_MOST 368

// ---- what is kept in flash

typedef struct { // how far a download is
    char version[33];
    char etag[48];
    uint32_t partition; // its address
    uint32_t size;
    uint32_t done; // bytes in flash: whole sectors, or all
} progress_t;

typedef struct { // the version that was installed last
    char version[33];
    uint8_t trials;
    uint8_t open; // it was not seen yet how it went
} trial_t;

// ---- what is kept in memory, and nowhere else: nothing here is allocated

static slipway_config_t config;
static esp_http_client_handle_t client;
static nvs_handle_t nvs;

static char base_url[BASE_MOST + 1];
static char token_url[BASE_MOST + PATH_MOST + 1];
static char client_id[70];
static char client_secret[129];
static char bearer[7 + TOKEN_MOST + 1];
static int64_t token_until; // µs since boot, 0 for none
static char offered[33];    // "" for none
static progress_t progress;
static trial_t trial;
static char running[33];    // the version of this image
static bool pending; // the running image has not reached the gateway yet

static uint8_t buffer[SECTOR + 1]; // answers with a NUL behind them, blocks of a dump, sectors of an image
static char url[BASE_MOST + PATH_MOST + 1];

static struct {
    int64_t due; // µs since boot
    uint8_t failures;
    slipway_result_t result;
} steps[SLIPWAY_STEPS];

static struct { // of the answer that is being read
    uint32_t retry_after;
    char etag[sizeof progress.etag];
    bool range;
    uint32_t start, total;
} answer;

// ---- text with a bound

typedef struct {
    char *to;
    size_t room, length; // room has a place for the NUL
    bool whole;
} text_t;

static text_t text(char *to, size_t room)
{
    to[0] = 0;
    return (text_t){.to = to, .room = room, .whole = true};
}

static void put(text_t *t, const char *s)
{
    size_t n = strlen(s);
    if (n >= t->room - t->length) {
        t->whole = false;
        return;
    }
    memcpy(t->to + t->length, s, n + 1);
    t->length += n;
}

// put_escaped is for a path, a query and a form alike: what is not unreserved (RFC 3986) is written as %XX.
static void put_escaped(text_t *t, const char *s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
        char one[4] = {(char)c, 0, 0, 0};
        if (!plain) {
            one[0] = '%';
            one[1] = digits[c >> 4];
            one[2] = digits[c & 15];
        }
        put(t, one);
    }
}

static void put_number(text_t *t, uint32_t n)
{
    char digits[11];
    size_t at = sizeof digits - 1;
    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + n % 10);
    } while (n /= 10);
    put(t, digits + at);
}

// number reads decimal digits and moves behind them; false where there are none, or more than 32 bits of them.
static bool number(const char **s, uint32_t *n)
{
    const char *at = *s;
    uint64_t v = 0;
    while (*at >= '0' && *at <= '9' && v <= UINT32_MAX) {
        v = v * 10 + (uint64_t)(*at++ - '0');
    }
    if (at == *s || v > UINT32_MAX) {
        return false;
    }
    *s = at;
    *n = (uint32_t)v;
    return true;
}

static bool same_word(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        char x = *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a;
        char y = *b >= 'A' && *b <= 'Z' ? (char)(*b + 32) : *b;
        if (x != y) {
            return false;
        }
    }
    return *a == *b;
}

// ---- JSON: members of the outermost object, nothing deeper

static const char *blank(const char *s)
{
    while (*s == ' ' || *s == '\t' || *s == '\r' || *s == '\n') {
        s++;
    }
    return s;
}

// string_end is behind the closing quote of the string that begins at s, NULL where it does not end.
static const char *string_end(const char *s)
{
    for (s++; *s; s++) {
        if (*s == '\\' && s[1]) {
            s++;
        } else if (*s == '"') {
            return s + 1;
        }
    }
    return NULL;
}

// value_end is behind the value that begins at s, NULL where it does not end. Depth is counted: nothing calls itself.
static const char *value_end(const char *s)
{
    unsigned depth = 0;
    do {
        size_t plain = strcspn(s, ",:{}[]\" \t\r\n");
        if (*s == '"') {
            s = string_end(s);
        } else if (*s == '{' || *s == '[') {
            depth++;
            s++;
        } else if ((*s == '}' || *s == ']') && depth > 0) {
            depth--;
            s++;
        } else if (plain > 0) {
            s += plain;
        } else if (*s && depth > 0) {
            s++;
        } else {
            return NULL;
        }
    } while (s && depth > 0);
    return s;
}

static bool is_object(const char *json)
{
    const char *s = blank(json);
    s = *s == '{' ? value_end(s) : NULL;
    return s && !*blank(s);
}

// member is where the value of a member begins, NULL where there is none or the text is no object.
static const char *member(const char *json, const char *name)
{
    size_t n = strlen(name);
    const char *s = blank(json);
    if (*s++ != '{') {
        return NULL;
    }
    for (;;) {
        s = blank(s);
        if (*s != '"') {
            return NULL;
        }
        const char *key = s + 1;
        s = string_end(s);
        if (!s) {
            return NULL;
        }
        bool found = (size_t)(s - 1 - key) == n && memcmp(key, name, n) == 0;
        s = blank(s);
        if (*s++ != ':') {
            return NULL;
        }
        s = blank(s);
        const char *end = value_end(s);
        if (!end || found) {
            return end ? s : NULL;
        }
        s = blank(end);
        if (*s++ != ',') {
            return NULL;
        }
    }
}

// word copies a string value that needs no unescaping, which tokens and versions do not.
static bool word(const char *value, char *to, size_t room)
{
    if (!value || *value != '"') {
        return false;
    }
    const char *end = strchr(++value, '"');
    if (!end || (size_t)(end - value) >= room || memchr(value, '\\', (size_t)(end - value))) {
        return false;
    }
    memcpy(to, value, (size_t)(end - value));
    to[end - value] = 0;
    return true;
}

// ---- HTTP: one client, a connection a request, answers by stream

static esp_err_t on_event(esp_http_client_event_t *e)
{
    if (e->event_id != HTTP_EVENT_ON_HEADER) {
        return ESP_OK;
    }
    const char *value = e->header_value;
    if (same_word(e->header_key, "Retry-After")) {
        (void)number(&value, &answer.retry_after); // a date is as good as none: devices have no clock
    } else if (same_word(e->header_key, "ETag")) {
        text_t t = text(answer.etag, sizeof answer.etag);
        put(&t, value);
    } else if (same_word(e->header_key, "Content-Range") && strncmp(value, "bytes ", 6) == 0) {
        uint32_t last;
        value += 6;
        answer.range = number(&value, &answer.start) && *value++ == '-' && number(&value, &last) && *value++ == '/' &&
                       number(&value, &answer.total);
    }
    return ESP_OK;
}

// ask sends a request, with a body of length bytes still to be written, whose address is in url.
static bool ask(esp_http_client_method_t method, uint32_t length)
{
    memset(&answer, 0, sizeof answer);
    return esp_http_client_set_url(client, url) == ESP_OK && esp_http_client_set_method(client, method) == ESP_OK &&
           esp_http_client_open(client, (int)length) == ESP_OK;
}

static bool write_all(const uint8_t *from, size_t length)
{
    while (length > 0) {
        int n = esp_http_client_write(client, (const char *)from, (int)length);
        if (n <= 0) {
            return false;
        }
        from += n;
        length -= (size_t)n;
    }
    return true;
}

// status waits for the head of the answer: its status, 0 where none came. length is -1 where none was said.
static int status(int64_t *length)
{
    int64_t n = esp_http_client_fetch_headers(client);
    int code = esp_http_client_get_status_code(client);
    if (n < 0 || code < 100) {
        return 0;
    }
    *length = esp_http_client_is_chunked_response(client) || n == 0 ? -1 : n;
    return code;
}

// fill reads up to room bytes of the body, less only at its end or where it is cut.
static size_t fill(uint8_t *to, size_t room)
{
    size_t have = 0;
    while (have < room) {
        int n = esp_http_client_read(client, (char *)to + have, (int)(room - have));
        if (n <= 0) {
            break;
        }
        have += (size_t)n;
    }
    return have;
}

// body reads an answer into the buffer and puts a NUL behind it; false where it is cut or longer than the buffer.
static bool body(size_t *length)
{
    *length = fill(buffer, SECTOR);
    buffer[*length] = 0;
    return esp_http_client_is_complete_data_received(client) && strlen((char *)buffer) == *length;
}

// ---- what the device says of itself, with every request

// say_boot says why the device has restarted, by ESP-IDF's name of it. The numbers are the same in all versions; the headers
// of some lack the names of the last ones.
static void say_boot(esp_reset_reason_t reason)
{
    static const char *const names[] = {
        "unknown",   "poweron",  "ext",  "sw",  "panic", "int_wdt", "task_wdt",   "wdt",
        "deepsleep", "brownout", "sdio", "usb", "jtag",  "efuse",   "pwr_glitch", "cpu_lockup",
    };
    if ((unsigned)reason < sizeof names / sizeof names[0]) {
        esp_http_client_set_header(client, "X-Reset-Reason", names[reason]);
    }
}

// say_state says the state of the image that runs; one outside the OTA partitions has none.
static void say_state(void)
{
    static const char *const names[] = {"new", "pending_verify", "valid", "invalid", "aborted"};
    esp_ota_img_states_t state;
    if (esp_ota_get_state_partition(esp_ota_get_running_partition(), &state) != ESP_OK) {
        return;
    }
    bool named = (unsigned)state < sizeof names / sizeof names[0];
    esp_http_client_set_header(client, "X-OTA-State", named ? names[state] : "undefined");
}

static void say_what_runs(void)
{
    char elf[17], boot[11];
    text_t t = text(boot, sizeof boot);
    put_number(&t, esp_random());
    (void)esp_app_get_elf_sha256(elf, sizeof elf);
    esp_http_client_set_header(client, "X-Running-Version", running);
    esp_http_client_set_header(client, "X-Running-ELF-SHA256", elf);
    esp_http_client_set_header(client, "X-Boot-ID", boot);
    say_boot(esp_reset_reason());
    say_state();
}

static bool at(const char *path)
{
    text_t t = text(url, sizeof url);
    put(&t, base_url);
    put(&t, path);
    return t.whole;
}

// ---- the steps

// judge is what an answer means that is none of a step's own.
static slipway_result_t judge(int code)
{
    if (code == 0) {
        return SLIPWAY_FAILED;
    }
    return code == 429 || code >= 500 ? SLIPWAY_NOT_YET : SLIPWAY_REFUSED;
}

static void drop_token(void)
{
    bearer[0] = 0;
    token_until = 0;
    esp_http_client_delete_header(client, "Authorization");
}

static slipway_result_t fetch_token(void)
{
    text_t t = text((char *)buffer, sizeof buffer);
    put(&t, "grant_type=client_credentials&client_id=");
    put_escaped(&t, client_id);
    put(&t, "&client_secret=");
    put_escaped(&t, client_secret);
    drop_token();
    text_t u = text(url, sizeof url);
    put(&u, token_url);
    int64_t length;
    esp_http_client_set_header(client, "Content-Type", "application/x-www-form-urlencoded");
    bool sent = ask(HTTP_METHOD_POST, (uint32_t)t.length) && write_all(buffer, t.length);
    esp_http_client_delete_header(client, "Content-Type");
    memset(buffer, 0, t.length);
    int code = status(&length);
    if (code != 200) {
        return judge(code);
    }
    size_t n;
    if (!sent || !body(&n)) {
        return SLIPWAY_FAILED;
    }
    uint32_t lifetime;
    const char *seconds = member((char *)buffer, "expires_in");
    bool good = seconds && number(&seconds, &lifetime) &&
                word(member((char *)buffer, "access_token"), bearer + 7, sizeof bearer - 7);
    memset(buffer, 0, n);
    if (!good) {
        ESP_LOGE(TAG, "no token of at most %d bytes", TOKEN_MOST);
        bearer[0] = 0;
        return SLIPWAY_REFUSED;
    }
    memcpy(bearer, "Bearer ", 7);
    // It is renewed when four fifths are over, and a tenth of that earlier on some devices than on others.
    if (lifetime > 10 * LONGEST_WAIT) {
        lifetime = 10 * LONGEST_WAIT;
    }
    uint32_t keep = lifetime / 5 * 4;
    token_until = esp_timer_get_time() + (int64_t)(keep - esp_random() % (keep / 10 + 1)) * SECONDS;
    return esp_http_client_set_header(client, "Authorization", bearer) == ESP_OK ? SLIPWAY_DONE : SLIPWAY_FAILED;
}

// each step gives the status that it ended with, too, so that a 401 can be met with a new token
typedef slipway_result_t (*step_t)(int *code);

static slipway_result_t fetch_configuration(int *code)
{
    int64_t length;
    size_t n;
    if (!at("/api/iot/config") || !ask(HTTP_METHOD_GET, 0) || (*code = status(&length)) != 200) {
        return judge(*code);
    }
    if (!body(&n)) {
        return n == SECTOR ? SLIPWAY_REFUSED : SLIPWAY_FAILED; // longer than any configuration is
    }
    if (!is_object((char *)buffer)) {
        return SLIPWAY_REFUSED;
    }
    config.configured((char *)buffer, n, config.arg);
    return SLIPWAY_DONE;
}

static slipway_result_t upload_dump(int *code)
{
    size_t address, size;
    if (esp_core_dump_image_get(&address, &size) != ESP_OK) {
        return SLIPWAY_DONE; // there is none, or none that can be read
    }
    const esp_partition_t *p = esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_COREDUMP, NULL);
    if (!p || address < p->address || size > p->size || address - p->address > p->size - size) {
        return SLIPWAY_REFUSED;
    }
    text_t t = text(url, sizeof url);
    put(&t, base_url);
    put(&t, "/api/iot/coredump?chip=" CONFIG_IDF_TARGET "&firmware_version=");
    put_escaped(&t, running);
    esp_http_client_set_header(client, "Content-Type", "application/octet-stream");
    bool sent = t.whole && ask(HTTP_METHOD_POST, (uint32_t)size);
    esp_http_client_delete_header(client, "Content-Type");
    if (!sent) {
        return SLIPWAY_FAILED;
    }
    for (size_t done = 0; done < size;) {
        size_t n = size - done < SECTOR ? size - done : SECTOR;
        if (esp_partition_read(p, address - p->address + done, buffer, n) != ESP_OK) {
            return SLIPWAY_FAILED;
        }
        if (!write_all(buffer, n)) {
            break; // a gateway that refuses answers before it has read everything
        }
        done += n;
    }
    int64_t length;
    *code = status(&length);
    if (*code == 201) { // nothing else says that it is on stable storage
        return esp_core_dump_image_erase() == ESP_OK ? SLIPWAY_DONE : SLIPWAY_FAILED;
    }
    return judge(*code);
}

static void confirm(void)
{
    if (pending && esp_ota_mark_app_valid_cancel_rollback() == ESP_OK) {
        pending = false;
        say_state(); // it has changed
        ESP_LOGI(TAG, "%s is kept", running);
    }
    if (!pending && trial.version[0] && strcmp(trial.version, running) == 0 && nvs_erase_key(nvs, "trial") == ESP_OK &&
        nvs_commit(nvs) == ESP_OK) {
        memset(&trial, 0, sizeof trial);
    }
}

static slipway_result_t ask_version(int *code)
{
    int64_t length;
    size_t n;
    if (!at("/api/iot/firmware-version") || !ask(HTTP_METHOD_GET, 0) || (*code = status(&length)) != 200) {
        return judge(*code);
    }
    if (!body(&n)) {
        return SLIPWAY_FAILED;
    }
    const char *value = member((char *)buffer, "firmware_version");
    if (!value) {
        return SLIPWAY_REFUSED;
    }
    if (!word(value, offered, sizeof offered)) { // null: there is none
        offered[0] = 0;
    }
    confirm(); // this image can be replaced by the next one: that is what makes it good
    return SLIPWAY_DONE;
}

static bool keep_progress(void)
{
    return nvs_set_blob(nvs, "progress", &progress, sizeof progress) == ESP_OK && nvs_commit(nvs) == ESP_OK;
}

static void start_over(const esp_partition_t *to)
{
    memset(&progress, 0, sizeof progress);
    progress.partition = to->address;
    text_t t = text(progress.version, sizeof progress.version);
    put(&t, offered);
    (void)keep_progress();
}

static bool keep_trial(void)
{
    return nvs_set_blob(nvs, "trial", &trial, sizeof trial) == ESP_OK && nvs_commit(nvs) == ESP_OK;
}

static bool tried_enough(void) { return strcmp(trial.version, offered) == 0 && trial.trials >= TRIALS; }

// install has the bootloader try the image at the next start. What is not on record as tried is not tried.
static slipway_result_t install(const esp_partition_t *to)
{
    if (config.may_restart && !config.may_restart(config.arg)) {
        return SLIPWAY_NOT_YET;
    }
    if (strcmp(trial.version, offered) != 0) {
        memset(&trial, 0, sizeof trial);
        memcpy(trial.version, offered, sizeof trial.version);
    }
    trial.trials++;
    trial.open = 1;
    if (!keep_trial()) {
        return SLIPWAY_FAILED;
    }
    if (esp_ota_set_boot_partition(to) != ESP_OK) { // it reads the whole image, with its hash and its signature
        ESP_LOGE(TAG, "%s does not verify", offered);
        trial.open = 0;
        (void)keep_trial();
        start_over(to);
        return SLIPWAY_REFUSED;
    }
    ESP_LOGI(TAG, "restarting into %s", offered);
    esp_restart();
}

// right_image compares the first sector's app descriptor with the version that was asked for: an image that says otherwise
// would be fetched again and again.
static bool right_image(size_t length)
{
    esp_app_desc_t app;
    const size_t offset = sizeof(esp_image_header_t) + sizeof(esp_image_segment_header_t);
    if (length < offset + sizeof app || buffer[0] != ESP_IMAGE_HEADER_MAGIC) {
        return false;
    }
    memcpy(&app, buffer + offset, sizeof app);
    return app.magic_word == ESP_APP_DESC_MAGIC_WORD && strncmp(app.version, offered, sizeof app.version) == 0;
}

// store takes the rest of the image from the connection, a sector at a time.
static slipway_result_t store(const esp_partition_t *to)
{
    for (uint32_t sectors = 1; progress.done < progress.size; sectors++) {
        uint32_t left = progress.size - progress.done;
        size_t want = left < SECTOR ? left : SECTOR;
        if (fill(buffer, want) < want) {
            (void)keep_progress();
            if (sectors > 1) { // it moves: the next time, which goes on here, is soon
                steps[SLIPWAY_FIRMWARE].failures = 0;
            }
            return SLIPWAY_FAILED;
        }
        if (progress.done == 0 && !right_image(want)) {
            ESP_LOGE(TAG, "what came is not %s", offered);
            start_over(to);
            return SLIPWAY_REFUSED;
        }
        size_t padded = (want + 15) & ~(size_t)15; // encrypted flash is written by 16 bytes
        memset(buffer + want, 0xff, padded - want);
        if (esp_partition_erase_range(to, progress.done, SECTOR) != ESP_OK ||
            esp_partition_write(to, progress.done, buffer, padded) != ESP_OK) {
            return SLIPWAY_FAILED;
        }
        progress.done += (uint32_t)want;
        if (sectors % PROGRESS_EVERY == 0) {
            (void)keep_progress();
        }
    }
    (void)keep_progress();
    return install(to);
}

static slipway_result_t download(const esp_partition_t *to, int *code)
{
    text_t t = text(url, sizeof url);
    put(&t, base_url);
    put(&t, "/api/iot/firmware/"); // an address whose bytes do not change while its build does not
    put_escaped(&t, offered);
    if (progress.done > 0) {
        char range[24];
        text_t r = text(range, sizeof range);
        put(&r, "bytes=");
        put_number(&r, progress.done);
        put(&r, "-");
        esp_http_client_set_header(client, "Range", range);
        esp_http_client_set_header(client, "If-Range", progress.etag); // and where it has changed, all of the new one
    }
    bool sent = t.whole && ask(HTTP_METHOD_GET, 0);
    esp_http_client_delete_header(client, "Range");
    esp_http_client_delete_header(client, "If-Range");
    int64_t length = -1;
    *code = sent ? status(&length) : 0;
    switch (*code) {
    case 200:
        start_over(to);
        if (length <= 0 || length > (int64_t)to->size) {
            return SLIPWAY_REFUSED;
        }
        progress.size = (uint32_t)length;
        memcpy(progress.etag, answer.etag, sizeof progress.etag);
        return store(to);
    case 206:
        if (progress.done == 0 || !answer.range || answer.start != progress.done || answer.total != progress.size) {
            start_over(to);
            return SLIPWAY_FAILED;
        }
        return store(to);
    case 416:
        start_over(to);
        return SLIPWAY_FAILED;
    default:
        return judge(*code);
    }
}

static slipway_result_t update_firmware(int *code)
{
    const esp_partition_t *to = esp_ota_get_next_update_partition(NULL);
    if (!to || tried_enough()) {
        return SLIPWAY_REFUSED;
    }
    if (strcmp(progress.version, offered) != 0 || progress.partition != to->address || progress.size > to->size ||
        progress.done > progress.size || (progress.done < progress.size && (progress.done % SECTOR != 0 || !progress.etag[0]))) {
        start_over(to);
    }
    if (progress.size > 0 && progress.done == progress.size) {
        return install(to);
    }
    return download(to, code);
}

// ---- when

// between is a random number of from to to, both included.
static uint32_t between(uint32_t from, uint32_t to) { return from + esp_random() % (to - from + 1); }

static void due_in(slipway_step_t step, uint32_t seconds)
{
    steps[step].due = esp_timer_get_time() + (int64_t)seconds * SECONDS;
}

// plan says when a step comes again. Each wait is at least what the gateway asked for, and a little longer on some devices
// than on others.
static void plan(slipway_step_t step, slipway_result_t result)
{
    steps[step].result = result;
    if (result == SLIPWAY_DONE) {
        steps[step].failures = 0;
        due_in(step, between(config.interval_s - config.interval_s / 10, config.interval_s + config.interval_s / 10));
        return;
    }
    uint32_t most = pending ? config.trial_s / 15 + 1 : config.interval_s; // new firmware has not all day
    uint32_t wait = 4u << (steps[step].failures < 12 ? steps[step].failures++ : 12);
    if (result == SLIPWAY_REFUSED && !pending) { // 1, 2, 4 … intervals
        most = LONGEST_WAIT;
        wait *= config.interval_s / 4;
    }
    wait = wait < most ? wait : most;
    if (result == SLIPWAY_NOT_YET && answer.retry_after > 0) {
        wait = answer.retry_after < LONGEST_WAIT ? answer.retry_after : LONGEST_WAIT;
    }
    due_in(step, wait + between(0, wait / 4 + 1));
}

static bool is_due(slipway_step_t step) { return esp_timer_get_time() >= steps[step].due; }

static bool have_token(void)
{
    if (bearer[0] && esp_timer_get_time() < token_until) {
        return true;
    }
    if (!is_due(SLIPWAY_TOKEN)) {
        return false;
    }
    slipway_result_t result = fetch_token();
    esp_http_client_close(client);
    plan(SLIPWAY_TOKEN, result);
    if (result == SLIPWAY_DONE) {
        steps[SLIPWAY_TOKEN].due = 0; // it is due when it has ended
    }
    return result == SLIPWAY_DONE;
}

static void run(slipway_step_t step, step_t what)
{
    if (!is_due(step)) {
        return;
    }
    for (int tries = 0; have_token(); tries++) {
        int code = 0;
        slipway_result_t result = what(&code);
        esp_http_client_close(client);
        if (code == 401) { // the token was good for less time than was said, or the device for no longer
            drop_token();
            if (tries == 0) {
                continue;
            }
        }
        plan(step, result);
        return;
    }
    steps[step].due = steps[SLIPWAY_TOKEN].due;
}

// ---- what the device's app calls

// back_in_time goes back to the firmware before where the new one has not reached the gateway in time.
static void back_in_time(void)
{
    if (pending && esp_timer_get_time() > (int64_t)config.trial_s * SECONDS) {
        ESP_LOGE(TAG, "%s did not reach the gateway: going back", running);
        esp_restart(); // what was not marked valid is not started again
    }
}

uint32_t slipway_contact(void)
{
    back_in_time();
    if (config.configured) {
        run(SLIPWAY_CONFIGURATION, fetch_configuration);
    }
    run(SLIPWAY_DUMP, upload_dump);
    run(SLIPWAY_VERSION, ask_version);
    bool other = offered[0] && strcmp(offered, running) != 0;
    if (other && !pending) {
        run(SLIPWAY_FIRMWARE, update_firmware);
    }
    int64_t next = steps[SLIPWAY_VERSION].due;
    if (config.configured && steps[SLIPWAY_CONFIGURATION].due < next) {
        next = steps[SLIPWAY_CONFIGURATION].due;
    }
    if (steps[SLIPWAY_DUMP].due < next) {
        next = steps[SLIPWAY_DUMP].due;
    }
    if (other && !pending && steps[SLIPWAY_FIRMWARE].due < next) {
        next = steps[SLIPWAY_FIRMWARE].due;
    }
    int64_t trial_ends = (int64_t)config.trial_s * SECONDS;
    if (pending && trial_ends < next) {
        next = trial_ends;
    }
    int64_t wait = (next - esp_timer_get_time()) / SECONDS + 1;
    return wait < 1 ? 1 : wait > LONGEST_WAIT ? LONGEST_WAIT : (uint32_t)wait;
}

slipway_result_t slipway_result(slipway_step_t step) { return steps[step].result; }

static bool crashed(void)
{
    switch (esp_reset_reason()) {
    case ESP_RST_PANIC:
    case ESP_RST_INT_WDT:
    case ESP_RST_TASK_WDT:
    case ESP_RST_WDT:
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 3, 0) // some of 5.1 and 5.2 have it, too
    case ESP_RST_CPU_LOCKUP:
#endif
        return true;
    default:
        return false;
    }
}

static esp_err_t enrolled(const char *key, char *to, size_t room)
{
    size_t length = room;
    esp_err_t err = nvs_get_str(nvs, key, to, &length);
    return err == ESP_ERR_NVS_INVALID_LENGTH ? ESP_ERR_INVALID_SIZE : err;
}

static esp_err_t read_enrolment(void)
{
    esp_err_t err = enrolled("base_url", base_url, sizeof base_url);
    if (err == ESP_OK) {
        err = enrolled("client_id", client_id, sizeof client_id);
    }
    if (err == ESP_OK) {
        err = enrolled("client_secret", client_secret, sizeof client_secret);
    }
    if (err != ESP_OK) {
        return err;
    }
    size_t n = strlen(base_url);
    if (n > 0 && base_url[n - 1] == '/') {
        base_url[n - 1] = 0;
    }
    err = enrolled("token_url", token_url, sizeof token_url);
    if (err == ESP_ERR_NVS_NOT_FOUND) {
        text_t t = text(token_url, sizeof token_url);
        put(&t, base_url);
        put(&t, "/api/oauth/token");
        err = ESP_OK;
    }
    return err;
}

// read_records finds out how the last installation went.
static void read_records(void)
{
    size_t length = sizeof progress;
    if (nvs_get_blob(nvs, "progress", &progress, &length) != ESP_OK || length != sizeof progress) {
        memset(&progress, 0, sizeof progress);
    }
    length = sizeof trial;
    if (nvs_get_blob(nvs, "trial", &trial, &length) != ESP_OK || length != sizeof trial) {
        memset(&trial, 0, sizeof trial);
    }
    progress.version[sizeof progress.version - 1] = 0;
    progress.etag[sizeof progress.etag - 1] = 0;
    trial.version[sizeof trial.version - 1] = 0;
    esp_ota_img_states_t state;
    pending = esp_ota_get_state_partition(esp_ota_get_running_partition(), &state) == ESP_OK &&
              state == ESP_OTA_IMG_PENDING_VERIFY;
    if (trial.open && strcmp(trial.version, running) != 0) {
        // It went back. A crash is the image's own; a lost gateway or a power cut may be nobody's.
        trial.open = 0;
        trial.trials = crashed() ? TRIALS : trial.trials;
        ESP_LOGE(TAG, "%s went back, after %u of %u trials", trial.version, trial.trials, TRIALS);
        (void)keep_trial();
    }
}

static uint32_t bounded(uint32_t seconds, uint32_t usual)
{
    seconds = seconds ? seconds : usual;
    return seconds < 10 ? 10 : seconds > LONGEST_WAIT ? LONGEST_WAIT : seconds;
}

esp_err_t slipway_init(const slipway_config_t *from)
{
    config = *from;
    config.interval_s = bounded(config.interval_s, 300);
    config.trial_s = bounded(config.trial_s, 900);
    memcpy(running, esp_app_get_description()->version, sizeof running - 1); // all of its 32 bytes may be used
    esp_err_t err = nvs_open(SLIPWAY_NVS_NAMESPACE, NVS_READWRITE, &nvs);
    if (err == ESP_OK) {
        err = read_enrolment();
    }
    if (err != ESP_OK) {
        return err;
    }
    read_records();
    client = esp_http_client_init(&(esp_http_client_config_t){
        .url = base_url,
        .cert_pem = config.ca_pem,
        .user_agent = "slipway-esp-idf/1",
        .timeout_ms = 8000,
        .disable_auto_redirect = true, // a token goes to nobody else
        .event_handler = on_event,
        .buffer_size = HEADER_LINE,
        .buffer_size_tx = HEADER_LINE,
    });
    if (!client) {
        return ESP_ERR_NO_MEM;
    }
    say_what_runs();
    uint32_t first = between(0, BOOT_SPREAD);
    for (int i = 0; i < SLIPWAY_STEPS; i++) {
        steps[i].result = SLIPWAY_IDLE;
        steps[i].failures = 0;
        due_in((slipway_step_t)i, i == SLIPWAY_FIRMWARE ? 0 : first);
    }
    return ESP_OK;
}

static void task(void *unused)
{
    (void)unused;
    for (;;) {
        vTaskDelay((TickType_t)slipway_contact() * configTICK_RATE_HZ);
    }
}

esp_err_t slipway_start(void)
{
    return xTaskCreate(task, "slipway", 8192, NULL, tskIDLE_PRIORITY + 2, NULL) == pdPASS ? ESP_OK : ESP_ERR_NO_MEM;
}

// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

// The flash: two app partitions, the core dump's, otadata and NVS, each a file; and ESP-IDF's bootloader with rollback.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "esp_app_desc.h"
#include "esp_app_format.h"
#include "esp_core_dump.h"
#include "esp_ota_ops.h"
#include "esp_partition.h"
#include "esp_random.h"
#include "esp_system.h"
#include "host.h"
#include "nvs.h"

static int power; // writes until it is lost, -1 for never
static esp_reset_reason_t reset_by;
static esp_app_desc_t app;

static const esp_partition_t partitions[] = {
    {ESP_PARTITION_TYPE_APP, 0x10, 0x20000, SLOT_SIZE},
    {ESP_PARTITION_TYPE_APP, 0x11, 0x20000 + SLOT_SIZE, SLOT_SIZE},
    {ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_COREDUMP, 0x20000 + 2 * SLOT_SIZE, DUMP_SIZE},
};
static const char *const files[] = {"ota_0", "ota_1", "coredump"};
static int running;

static struct { // what the bootloader goes by, an entry a slot; erased flash is all ones
    uint32_t sequence;
    uint32_t state;
} otadata[2];

static size_t load(const char *name, void *to, size_t room)
{
    int f = open(name, O_RDONLY);
    if (f < 0 && errno == ENOENT) {
        return 0;
    }
    ssize_t n = f < 0 ? -1 : read(f, to, room);
    if (n < 0) {
        broken(name);
    }
    close(f);
    return (size_t)n;
}

// save is as a write of NVS: all of it or nothing.
static void save(const char *name, const void *from, size_t length)
{
    int f = open("new", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (f < 0 || write(f, from, length) != (ssize_t)length || close(f) != 0 || rename("new", name) != 0) {
        broken(name);
    }
}

// spend is called before each write. The power may go in the middle of it.
static bool spend(void) { return power < 0 || power-- > 0; }

static void lose_power(void)
{
    say("power lost");
    _exit(LOST_POWER);
}

void leave(int how, const char *reset)
{
    save("reset", reset, strlen(reset));
    fflush(stdout);
    _exit(how);
}

// ---- partitions

static int index_of(const esp_partition_t *p)
{
    for (int i = 0; i < 3; i++) {
        if (p == &partitions[i]) {
            return i;
        }
    }
    broken("no partition of this device");
}

static void put_bytes(int i, size_t at, const void *from, size_t length)
{
    int f = open(files[i], O_WRONLY);
    if (f < 0 || pwrite(f, from, length, (off_t)at) != (ssize_t)length || close(f) != 0) {
        broken(files[i]);
    }
}

static bool inside(const esp_partition_t *p, size_t at, size_t size) { return size <= p->size && at <= p->size - size; }

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type, esp_partition_subtype_t subtype, const char *label)
{
    (void)label;
    for (int i = 0; i < 3; i++) {
        if (partitions[i].type == type && partitions[i].subtype == subtype) {
            return &partitions[i];
        }
    }
    return NULL;
}

esp_err_t esp_partition_read(const esp_partition_t *p, size_t at, void *to, size_t size)
{
    int f = open(files[index_of(p)], O_RDONLY);
    bool good = inside(p, at, size) && f >= 0 && pread(f, to, size, (off_t)at) == (ssize_t)size;
    close(f);
    return good ? ESP_OK : ESP_ERR_INVALID_SIZE;
}

esp_err_t esp_partition_erase_range(const esp_partition_t *p, size_t at, size_t size)
{
    static uint8_t ones[4096];
    int i = index_of(p);
    if (i == running || at % sizeof ones || size % sizeof ones || !inside(p, at, size)) {
        return ESP_ERR_INVALID_ARG;
    }
    memset(ones, 0xff, sizeof ones);
    for (; size > 0; at += sizeof ones, size -= sizeof ones) {
        if (!spend()) {
            put_bytes(i, at, ones, sizeof ones / 2);
            lose_power();
        }
        put_bytes(i, at, ones, sizeof ones);
    }
    return ESP_OK;
}

// Writing clears bits, as flash does: what was not erased before is not what was written.
esp_err_t esp_partition_write(const esp_partition_t *p, size_t at, const void *from, size_t size)
{
    static uint8_t now[8192];
    int i = index_of(p);
    if (i == running || size > sizeof now || at % 16 || size % 16 || esp_partition_read(p, at, now, size) != ESP_OK) {
        return ESP_ERR_INVALID_ARG;
    }
    for (size_t b = 0; b < size; b++) {
        now[b] &= ((const uint8_t *)from)[b];
    }
    bool lost = !spend();
    put_bytes(i, at, now, lost ? size / 2 : size);
    if (lost) {
        lose_power();
    }
    return ESP_OK;
}

// ---- images

// verify reads an image as the bootloader does: segments, checksum and hash. Its length, 0 where it is none.
static size_t verify(int slot)
{
    static uint8_t image[SLOT_SIZE];
    esp_image_header_t head;
    esp_image_segment_header_t segment;
    size_t at = sizeof head;
    uint8_t sum = 0xef, digest[32];
    if (esp_partition_read(&partitions[slot], 0, image, SLOT_SIZE) != ESP_OK) {
        return 0;
    }
    memcpy(&head, image, sizeof head);
    if (head.magic != ESP_IMAGE_HEADER_MAGIC || head.segment_count == 0 || head.segment_count > 16 || head.hash_appended != 1) {
        return 0;
    }
    for (int i = 0; i < head.segment_count; i++) {
        if (at + sizeof segment > SLOT_SIZE) {
            return 0;
        }
        memcpy(&segment, image + at, sizeof segment);
        at += sizeof segment;
        if (segment.data_len > SLOT_SIZE - at) {
            return 0;
        }
        for (size_t b = 0; b < segment.data_len; b++) {
            sum ^= image[at + b];
        }
        at += segment.data_len;
    }
    at = (at + 16) & ~(size_t)15;
    if (at + 32 > SLOT_SIZE || image[at - 1] != sum) {
        return 0;
    }
    sha256(image, at, digest);
    return memcmp(digest, image + at, 32) == 0 ? at + 32 : 0;
}

static esp_app_desc_t described(int slot)
{
    esp_app_desc_t d;
    if (esp_partition_read(&partitions[slot], sizeof(esp_image_header_t) + sizeof(esp_image_segment_header_t), &d, sizeof d) != ESP_OK) {
        broken("an image without a descriptor");
    }
    return d;
}

const esp_app_desc_t *esp_app_get_description(void) { return &app; }

int esp_app_get_elf_sha256(char *to, size_t size)
{
    size_t n = 0;
    for (; n + 1 < size && n < 64; n++) {
        to[n] = "0123456789abcdef"[app.app_elf_sha256[n / 2] >> (n % 2 ? 0 : 4) & 15];
    }
    to[n] = 0;
    return (int)n + 1;
}

const char *runs(void)
{
    static char version[33];
    memcpy(version, app.version, 32);
    return version;
}

// ---- otadata and the bootloader

// note writes one entry: its sector is erased first, and between the two the power may go.
static void note(int slot, uint32_t sequence, uint32_t state)
{
    for (int half = 0; half < 2; half++) {
        if (!spend()) {
            lose_power();
        }
        otadata[slot].sequence = half ? sequence : UINT32_MAX;
        otadata[slot].state = half ? state : UINT32_MAX;
        save("otadata", otadata, sizeof otadata);
    }
}

static bool usable(int slot)
{
    return otadata[slot].sequence != UINT32_MAX && otadata[slot].state != ESP_OTA_IMG_INVALID && otadata[slot].state != ESP_OTA_IMG_ABORTED;
}

static void choose(void)
{
    for (int i = 0; i < 2; i++) {
        if (otadata[i].sequence != UINT32_MAX && otadata[i].state == ESP_OTA_IMG_PENDING_VERIFY) {
            otadata[i].state = ESP_OTA_IMG_ABORTED;
            say("bootloader: slot %d goes back", i);
        }
    }
    int first = usable(1) && (!usable(0) || otadata[1].sequence > otadata[0].sequence) ? 1 : 0;
    running = verify(first) ? first : 1 - first;
    if (running == first && usable(first) && otadata[first].state == ESP_OTA_IMG_NEW) {
        otadata[first].state = ESP_OTA_IMG_PENDING_VERIFY;
    }
    save("otadata", otadata, sizeof otadata);
    if (!verify(running)) {
        say("bootloader: nothing to start");
        _exit(DEAD);
    }
}

void boot(const char *folder, int with_power)
{
    char reset[16] = "";
    power = with_power;
    if (chdir(folder) != 0) {
        broken(folder);
    }
    (void)mkdir("nvs", 0700);
    if (load("otadata", otadata, sizeof otadata) != sizeof otadata) {
        memset(otadata, 0xff, sizeof otadata);
    }
    load("reset", reset, sizeof reset - 1);
    (void)unlink("reset");
    reset_by = strcmp(reset, "panic") == 0 ? ESP_RST_PANIC : strcmp(reset, "restart") == 0 ? ESP_RST_SW : ESP_RST_POWERON;
    reset_by = (esp_reset_reason_t)setting("SLIPWAY_HOST_RESET", (int)reset_by);
    choose();
    app = described(running);
    say("boot %s%s slot %d after %s", runs(), otadata[running].state == ESP_OTA_IMG_PENDING_VERIFY ? " on trial" : "", running,
        *reset ? reset : "power-on");
}

esp_reset_reason_t esp_reset_reason(void) { return reset_by; }

void esp_restart(void)
{
    say("restart");
    leave(RESTARTED, "restart");
}

const esp_partition_t *esp_ota_get_running_partition(void) { return &partitions[running]; }

const esp_partition_t *esp_ota_get_next_update_partition(const esp_partition_t *from)
{
    (void)from;
    return &partitions[1 - running];
}

esp_err_t esp_ota_set_boot_partition(const esp_partition_t *p)
{
    int slot = index_of(p);
    if (!verify(slot)) {
        say("does not verify");
        return ESP_ERR_OTA_VALIDATE_FAILED;
    }
    uint32_t next = 1;
    for (int i = 0; i < 2; i++) {
        next = otadata[i].sequence != UINT32_MAX && otadata[i].sequence >= next ? otadata[i].sequence + 1 : next;
    }
    note(slot, (next - 1) % 2 == (uint32_t)slot ? next : next + 1, ESP_OTA_IMG_NEW);
    esp_app_desc_t d = described(slot);
    say("installed %.32s", d.version);
    return ESP_OK;
}

esp_err_t esp_ota_get_state_partition(const esp_partition_t *p, esp_ota_img_states_t *state)
{
    int slot = index_of(p);
    if (otadata[slot].sequence == UINT32_MAX) {
        return ESP_ERR_NOT_FOUND;
    }
    *state = otadata[slot].state;
    return ESP_OK;
}

esp_err_t esp_ota_mark_app_valid_cancel_rollback(void)
{
    if (otadata[running].sequence != UINT32_MAX) {
        note(running, otadata[running].sequence, ESP_OTA_IMG_VALID);
    }
    say("valid %s", runs());
    return ESP_OK;
}

// ---- the core dump: its length, random bytes, and their hash, so that a half written one is none

static bool dump_is_there(uint32_t *length)
{
    static uint8_t dump[DUMP_SIZE];
    uint8_t digest[32];
    if (load("coredump", dump, sizeof dump) != sizeof dump) {
        broken("coredump");
    }
    memcpy(length, dump, 4);
    if (*length < 36 || *length > DUMP_SIZE) {
        return false;
    }
    sha256(dump, *length - 32, digest);
    return memcmp(digest, dump + *length - 32, 32) == 0;
}

// make_dump is what the panic handler does, with CONFIG_ESP_COREDUMP_FLASH_NO_OVERWRITE; false where a dump is there.
bool make_dump(size_t size)
{
    static uint8_t dump[DUMP_SIZE];
    uint8_t digest[32];
    uint32_t length;
    if (dump_is_there(&length)) {
        return false;
    }
    length = (uint32_t)size;
    memcpy(dump, &length, 4);
    for (size_t i = 4; i < size - 32; i++) {
        dump[i] = (uint8_t)esp_random();
    }
    sha256(dump, size - 32, dump + size - 32);
    memset(dump + size, 0xff, sizeof dump - size);
    for (size_t at = 0; at < sizeof dump; at += 4096) {
        if (!spend()) {
            lose_power();
        }
        put_bytes(2, at, dump + at, 4096);
    }
    sha256(dump, size, digest);
    char hex[65];
    for (int i = 0; i < 32; i++) {
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    say("dump made %s %zu", hex, size);
    return true;
}

esp_err_t esp_core_dump_image_get(size_t *address, size_t *size)
{
    uint32_t length;
    if (!dump_is_there(&length)) {
        return ESP_ERR_NOT_FOUND;
    }
    *address = partitions[2].address;
    *size = length;
    return ESP_OK;
}

esp_err_t esp_core_dump_image_erase(void)
{
    esp_err_t err = esp_partition_erase_range(&partitions[2], 0, DUMP_SIZE);
    say("dump erased");
    return err;
}

// ---- NVS

static const char *entry(const char *key)
{
    static char name[32];
    if (strlen(key) > 15) {
        broken("a key of NVS has 15 bytes at most");
    }
    snprintf(name, sizeof name, "nvs/%s", key);
    return name;
}

esp_err_t nvs_open(const char *space, nvs_open_mode_t mode, nvs_handle_t *handle)
{
    (void)space, (void)mode;
    *handle = 1;
    return ESP_OK;
}

static esp_err_t get(const char *key, void *to, size_t *length, size_t end)
{
    char value[512];
    if (access(entry(key), F_OK) != 0) {
        return ESP_ERR_NVS_NOT_FOUND;
    }
    size_t n = load(entry(key), value, sizeof value - 1);
    value[n] = 0;
    if (n + end > *length) {
        return ESP_ERR_NVS_INVALID_LENGTH;
    }
    memcpy(to, value, n + end);
    *length = n + end;
    return ESP_OK;
}

esp_err_t nvs_get_str(nvs_handle_t h, const char *key, char *to, size_t *length) { return (void)h, get(key, to, length, 1); }

esp_err_t nvs_get_blob(nvs_handle_t h, const char *key, void *to, size_t *length) { return (void)h, get(key, to, length, 0); }

esp_err_t nvs_set_blob(nvs_handle_t h, const char *key, const void *value, size_t length)
{
    (void)h;
    if (!spend()) {
        lose_power();
    }
    save(entry(key), value, length);
    return ESP_OK;
}

esp_err_t nvs_erase_key(nvs_handle_t h, const char *key)
{
    (void)h;
    if (!spend()) {
        lose_power();
    }
    return unlink(entry(key)) == 0 ? ESP_OK : ESP_ERR_NVS_NOT_FOUND;
}

esp_err_t nvs_commit(nvs_handle_t h) { return (void)h, ESP_OK; }

package espimage

// chips are the memories of each chip, from the chips' technical reference manuals and as esptool v5 names them; the
// order of the names is part of what it prints.
var chips = map[Chip]traits{
	ESP32: {
		name:  "ESP32",
		flash: []span{{0x400D0000, 0x40400000}, {0x3F400000, 0x3F800000}},
		memories: []memory{
			padding,
			{span{0x3F400000, 0x3F800000}, "DROM"},
			{span{0x3F800000, 0x3FC00000}, "EXTRAM_DATA"},
			{span{0x3FF80000, 0x3FF82000}, "RTC_DRAM"},
			{span{0x3FF90000, 0x40000000}, "BYTE_ACCESSIBLE"},
			{span{0x3FFAE000, 0x40000000}, "DRAM"},
			{span{0x3FFE0000, 0x3FFFFFFC}, "DIRAM_DRAM"},
			{span{0x40000000, 0x40070000}, "IROM"},
			{span{0x40070000, 0x40078000}, "CACHE_PRO"},
			{span{0x40078000, 0x40080000}, "CACHE_APP"},
			{span{0x40080000, 0x400A0000}, "IRAM"},
			{span{0x400A0000, 0x400BFFFC}, "DIRAM_IRAM"},
			{span{0x400C0000, 0x400C2000}, "RTC_IRAM"},
			{span{0x400D0000, 0x40400000}, "IROM"},
			{span{0x50000000, 0x50002000}, "RTC_DATA"},
		},
	},
	ESP32S2: {
		name:  "ESP32-S2",
		flash: []span{{0x40080000, 0x40B80000}, {0x3F000000, 0x3F3F0000}},
		memories: []memory{
			padding,
			{span{0x3F000000, 0x3FF80000}, "DROM"},
			{span{0x3F500000, 0x3FF80000}, "EXTRAM_DATA"},
			{span{0x3FF9E000, 0x3FFA0000}, "RTC_DRAM"},
			{span{0x3FF9E000, 0x40000000}, "BYTE_ACCESSIBLE"},
			{span{0x3FF9E000, 0x40072000}, "MEM_INTERNAL"},
			{span{0x3FFB0000, 0x40000000}, "DRAM"},
			{span{0x40000000, 0x4001A100}, "IROM_MASK"},
			{span{0x40020000, 0x40070000}, "IRAM"},
			{span{0x40070000, 0x40072000}, "RTC_IRAM"},
			{span{0x40080000, 0x40800000}, "IROM"},
			{span{0x50000000, 0x50002000}, "RTC_DATA"},
		},
	},
	ESP32S3: {
		name:  "ESP32-S3",
		flash: []span{{0x42000000, 0x44000000}, {0x3C000000, 0x3E000000}},
		memories: []memory{
			padding,
			{span{0x3C000000, 0x3D000000}, "DROM"},
			{span{0x3D000000, 0x3E000000}, "EXTRAM_DATA"},
			{span{0x600FE000, 0x60100000}, "RTC_DRAM"},
			{span{0x3FC88000, 0x3FD00000}, "BYTE_ACCESSIBLE"},
			{span{0x3FC88000, 0x403E2000}, "MEM_INTERNAL"},
			{span{0x3FC88000, 0x3FD00000}, "DRAM"},
			{span{0x40000000, 0x4001A100}, "IROM_MASK"},
			{span{0x40370000, 0x403E0000}, "IRAM"},
			{span{0x600FE000, 0x60100000}, "RTC_IRAM"},
			{span{0x42000000, 0x42800000}, "IROM"},
			{span{0x50000000, 0x50002000}, "RTC_DATA"},
		},
	},
	ESP32C2: {
		name:  "ESP32-C2",
		flash: []span{{0x42000000, 0x42400000}, {0x3C000000, 0x3C400000}},
		freqs: map[byte]string{0xF: "60m", 0x0: "30m", 0x1: "20m", 0x2: "15m"},
		pages: []uint32{16 << 10, 32 << 10, 64 << 10},
		memories: []memory{
			padding,
			{span{0x3C000000, 0x3C400000}, "DROM"},
			{span{0x3FCA0000, 0x3FCE0000}, "DRAM"},
			{span{0x3FC88000, 0x3FD00000}, "BYTE_ACCESSIBLE"},
			{span{0x3FF00000, 0x3FF50000}, "DROM_MASK"},
			{span{0x40000000, 0x40090000}, "IROM_MASK"},
			{span{0x42000000, 0x42400000}, "IROM"},
			{span{0x4037C000, 0x403C0000}, "IRAM"},
		},
	},
	ESP32C3: {
		name:  "ESP32-C3",
		flash: []span{{0x42000000, 0x42800000}, {0x3C000000, 0x3C800000}},
		memories: []memory{
			padding,
			{span{0x3C000000, 0x3C800000}, "DROM"},
			{span{0x3FC80000, 0x3FCE0000}, "DRAM"},
			{span{0x3FC88000, 0x3FD00000}, "BYTE_ACCESSIBLE"},
			{span{0x3FF00000, 0x3FF20000}, "DROM_MASK"},
			{span{0x40000000, 0x40060000}, "IROM_MASK"},
			{span{0x42000000, 0x42800000}, "IROM"},
			{span{0x4037C000, 0x403E0000}, "IRAM"},
			{span{0x50000000, 0x50002000}, "RTC_IRAM"},
			{span{0x50000000, 0x50002000}, "RTC_DRAM"},
			{span{0x600FE000, 0x60100000}, "MEM_INTERNAL2"},
		},
	},
	ESP32C5: {
		name:     "ESP32-C5",
		flash:    []span{{0x42000000, 0x44000000}},
		freqs:    freqs80,
		pages:    smallPages,
		memories: sharedBus(0x44000000, 0x40860000, 0x4003A000, 0x40040000),
	},
	ESP32C6: {
		name:     "ESP32-C6",
		flash:    []span{{0x42000000, 0x43000000}},
		freqs:    map[byte]string{0x0: "80m", 0x2: "20m"}, // 0 stands for 40 MHz too; esptool prints 80m
		pages:    smallPages,
		memories: sharedBus(0x43000000, 0x40880000, 0x4004AC00, 0x40050000),
	},
	ESP32C61: {
		name:     "ESP32-C61",
		flash:    []span{{0x42000000, 0x44000000}},
		freqs:    freqs80,
		pages:    smallPages,
		memories: sharedBus(0x44000000, 0x40860000, 0x4004AC00, 0x40050000),
	},
	ESP32H2: {
		name:     "ESP32-H2",
		flash:    []span{{0x42000000, 0x43000000}},
		freqs:    freqs48,
		pages:    smallPages,
		memories: sharedBus(0x43000000, 0x40880000, 0x4004AC00, 0x40050000),
	},
	ESP32H21: {
		name:     "ESP32-H21",
		flash:    []span{{0x42000000, 0x43000000}},
		freqs:    freqs48,
		pages:    smallPages,
		memories: sharedBus(0x43000000, 0x40880000, 0x4004AC00, 0x40050000),
	},
	ESP32H4: {
		name:  "ESP32-H4",
		flash: []span{{0x42000000, 0x44000000}},
		freqs: freqs48,
		pages: smallPages,
		memories: []memory{
			padding,
			{span{0x42000000, 0x44000000}, "DROM"},
			{span{0x40810000, 0x40860000}, "DRAM"},
			{span{0x40810000, 0x40860000}, "BYTE_ACCESSIBLE"},
			{span{0x40000000, 0x40020000}, "DROM_MASK"},
			{span{0x40000000, 0x40020000}, "IROM_MASK"},
			{span{0x42000000, 0x44000000}, "IROM"},
			{span{0x40810000, 0x40860000}, "IRAM"},
			{span{0x40810000, 0x40860000}, "MEM_INTERNAL"},
		},
	},
	ESP32P4: {
		name:  "ESP32-P4",
		flash: []span{{0x40000000, 0x4C000000}},
		memories: []memory{
			padding,
			{span{0x40000000, 0x4C000000}, "DROM"},
			{span{0x4FF00000, 0x4FFA0000}, "DRAM"},
			{span{0x4FF00000, 0x4FFA0000}, "BYTE_ACCESSIBLE"},
			{span{0x4FC00000, 0x4FC20000}, "DROM_MASK"},
			{span{0x4FC00000, 0x4FC20000}, "IROM_MASK"},
			{span{0x40000000, 0x4C000000}, "IROM"},
			{span{0x4FF00000, 0x4FFA0000}, "IRAM"},
			{span{0x50108000, 0x50110000}, "RTC_IRAM"},
			{span{0x50108000, 0x50110000}, "RTC_DRAM"},
			{span{0x600FE000, 0x60100000}, "MEM_INTERNAL2"},
		},
	},
	ESP32S31: {
		name:  "ESP32-S31",
		flash: []span{{0x40000000, 0x54000000}},
		freqs: freqs80,
		memories: []memory{
			padding,
			{span{0x40000000, 0x54000000}, "DROM"},
			{span{0x2F000000, 0x2F080000}, "DRAM"},
			{span{0x2F000000, 0x2F080000}, "BYTE_ACCESSIBLE"},
			{span{0x2F800000, 0x2F850000}, "DROM_MASK"},
			{span{0x2F800000, 0x2F850000}, "IROM_MASK"},
			{span{0x40000000, 0x54000000}, "IROM"},
			{span{0x2F000000, 0x2F080000}, "IRAM"},
			{span{0x2E000000, 0x2E008000}, "RTC_IRAM"},
			{span{0x2E000000, 0x2E008000}, "RTC_DRAM"},
		},
	},
}

var (
	padding    = memory{span{0, 0x00010000}, "PADDING"}
	smallPages = []uint32{8 << 10, 16 << 10, 32 << 10, 64 << 10}
	freqs80    = map[byte]string{0xF: "80m", 0x0: "40m", 0x2: "20m"}
	freqs48    = map[byte]string{0xF: "48m", 0x0: "24m", 0x1: "16m", 0x2: "12m"}
)

// sharedBus is the map of the chips that fetch code and data over one bus: flash from 0x42000000, RAM from 0x40800000,
// the ROM's code from 0x40000000 with its data behind it.
func sharedBus(flashEnd, ramEnd, romData, romEnd uint32) []memory {
	const flash, ram, rom = 0x42000000, 0x40800000, 0x40000000
	return []memory{
		padding,
		{span{flash, flashEnd}, "DROM"},
		{span{ram, ramEnd}, "DRAM"},
		{span{ram, ramEnd}, "BYTE_ACCESSIBLE"},
		{span{romData, romEnd}, "DROM_MASK"},
		{span{rom, romData}, "IROM_MASK"},
		{span{flash, flashEnd}, "IROM"},
		{span{ram, ramEnd}, "IRAM"},
		{span{0x50000000, 0x50004000}, "RTC_IRAM"},
		{span{0x50000000, 0x50004000}, "RTC_DRAM"},
		{span{0x600FE000, 0x60100000}, "MEM_INTERNAL2"},
	}
}

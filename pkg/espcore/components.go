package espcore

import (
	"slices"
	"strings"
)

// components are those of ESP-IDF, 4.4 to 5.5. Where a build hides its folders, their names are all that is left.
var components = strings.Fields(`
	app_trace app_update asio bootloader bootloader_support bt cbor cmock coap console cxx
	driver efuse esp-tls esp32 esp32c2 esp32c3 esp32c6 esp32h2 esp32h4 esp32s2 esp32s3 esp_adc esp_adc_cal
	esp_app_format esp_blockdev esp_bootloader_format esp_coex esp_common esp_driver_ana_cmpr esp_driver_bitscrambler
	esp_driver_cam esp_driver_dac esp_driver_gpio esp_driver_gptimer esp_driver_i2c esp_driver_i2s esp_driver_i3c
	esp_driver_isp esp_driver_jpeg esp_driver_ledc esp_driver_mcpwm esp_driver_parlio esp_driver_pcnt esp_driver_ppa
	esp_driver_rmt esp_driver_sd_intf esp_driver_sdio esp_driver_sdm esp_driver_sdmmc esp_driver_sdspi esp_driver_spi
	esp_driver_touch_sens esp_driver_tsens esp_driver_twai esp_driver_uart esp_driver_usb_serial_jtag esp_eth
	esp_event esp_gdbstub esp_hal_gpio esp_hid esp_http_client esp_http_server esp_https_ota esp_https_server
	esp_hw_support esp_lcd esp_libc esp_local_ctrl esp_mm esp_netif esp_partition esp_phy esp_pm
	esp_psram esp_ringbuf esp_rom esp_security esp_serial_slave_link esp_stdio esp_system esp_tee esp_timer
	esp_usb_cdc_rom_console esp_vfs_console esp_wifi espcoredump esptool_py expat fatfs freemodbus
	freertos hal heap http_parser idf_test ieee802154 jsmn json libsodium linux log lwip mbedtls mdns mqtt
	newlib nghttp nvs_flash nvs_sec_provider openssl openthread partition_table perfmon protobuf-c protocomm pthread
	riscv rt sdmmc soc spi_flash spiffs tcp_transport tcpip_adapter tinyusb touch_element ulp unity usb vfs
	wear_levelling wifi_provisioning wpa_supplicant xtensa`)

func isIDFComponent(name string) bool {
	return slices.Contains(components, strings.ToLower(name))
}

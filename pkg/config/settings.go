package config

// Setting is one row of the settings table: the manual, the commented file and `config show` are made of it.
type Setting struct {
	Key     string
	Default string // as it stands in the file; "" for none
	Meaning string
	Secret  bool // its value is never shown
	Table   bool // a map from names to texts, whose entries may be set one by one
	parse   func(c *Config, raw any) error
}

// Settings is the table, in the order of the manual.
var Settings = []Setting{
	{
		Key: "listen.https", Default: ":8443",
		Meaning: "Addresses of all APIs and the page over TLS, separated by commas, or off. Sockets that systemd " +
			"holds override it.",
		parse: func(c *Config, raw any) error { return addresses(&c.ListenHTTPS, raw) },
	},
	{
		Key: "listen.http", Default: "off",
		Meaning: "Addresses of all APIs and the page without TLS.",
		parse:   func(c *Config, raw any) error { return addresses(&c.ListenHTTP, raw) },
	},
	{
		Key: "listen.device_https", Default: "off",
		Meaning: "Addresses of only the device API over TLS, for device VLANs.",
		parse:   func(c *Config, raw any) error { return addresses(&c.ListenDeviceHTTPS, raw) },
	},
	{
		Key: "listen.device_http", Default: "off",
		Meaning: "Addresses of only the device API without TLS, for firmware that trusts only public certificates.",
		parse:   func(c *Config, raw any) error { return addresses(&c.ListenDeviceHTTP, raw) },
	},
	{
		Key: "tls.cert",
		Meaning: "PEM file of a certificate of your own, read again when it changes. Empty: a CA (30 years) and a " +
			"certificate for this host's names and addresses are made under keys/, and the certificate is " +
			"renewed automatically.",
		parse: func(c *Config, raw any) error { return text(&c.TLSCert, raw) },
	},
	{
		Key:     "tls.key",
		Meaning: "PEM file of its key.",
		parse:   func(c *Config, raw any) error { return text(&c.TLSKey, raw) },
	},
	{
		Key: "tls.rsa", Default: "false",
		Meaning: "A certificate with an RSA key beside the gateway's own, for clients that know nothing else, such as " +
			"Tasmota of before 2025. Both are of the same CA.",
		parse: func(c *Config, raw any) error { return truth(&c.TLSRSA, raw) },
	},
	{
		Key: "tls.small_records", Default: "false",
		Meaning: "Sends over TLS in records of at most 4 KiB, for devices whose mbedTLS has buffers of that size " +
			"(MBEDTLS_SSL_IN_CONTENT_LEN): an error -0x7200 on the device is this.",
		parse: func(c *Config, raw any) error { return truth(&c.TLSSmallRecords, raw) },
	},
	{
		Key: "state_dir", Default: "/var/lib/slipway",
		Meaning: "Folder of all state; the four folders below default to folders in it.",
		parse:   func(c *Config, raw any) error { return folder(&c.StateDir, raw) },
	},
	{
		Key:     "assets_dir",
		Meaning: "Firmware. Empty: assets in state_dir.",
		parse:   func(c *Config, raw any) error { return text(&c.AssetsDir, raw) },
	},
	{
		Key:     "coredumps_dir",
		Meaning: "Core dumps. Empty: coredumps in state_dir. off: uploads are answered with 400.",
		parse:   func(c *Config, raw any) error { return text(&c.CoredumpsDir, raw) },
	},
	{
		Key:     "drop_dir",
		Meaning: "Drop folder for bundles. Empty: drop in state_dir. off: none is watched.",
		parse:   func(c *Config, raw any) error { return text(&c.DropDir, raw) },
	},
	{
		Key:     "catalog_dir",
		Meaning: "The catalog. Empty: catalog in state_dir.",
		parse:   func(c *Config, raw any) error { return text(&c.CatalogDir, raw) },
	},
	{
		Key: "socket", Default: "/run/slipway/slipway.sock",
		Meaning: "Unix socket of the command line.",
		parse:   func(c *Config, raw any) error { return socketPath(&c.Socket, raw) },
	},
	{
		Key: "auth.device", Default: "jwt",
		Meaning: "jwt: devices send access tokens. none: test mode, a request names its device by ?device_key=.",
		parse:   func(c *Config, raw any) error { return oneOf(&c.AuthDevice, raw, "jwt", "none") },
	},
	{
		Key: "auth.insecure_lan", Default: "false",
		Meaning: "Allows test mode to listen beyond this machine.",
		parse:   func(c *Config, raw any) error { return truth(&c.InsecureLAN, raw) },
	},
	{
		Key: "auth.token_lifetime", Default: "24h",
		Meaning: "Lifetime of the embedded issuer's tokens.",
		parse:   func(c *Config, raw any) error { return duration(&c.TokenLifetime, raw) },
	},
	{
		Key: "auth.token_algorithm", Default: "EdDSA",
		Meaning: "EdDSA, or ES256 for brokers that do not support EdDSA.",
		parse:   func(c *Config, raw any) error { return oneOf(&c.TokenAlgorithm, raw, "EdDSA", "ES256") },
	},
	{
		Key: "auth.token_paths", Default: "[]",
		Meaning: "Further paths that answer as /api/oauth/token, such as a Keycloak realm's.",
		parse:   func(c *Config, raw any) error { return paths(&c.TokenPaths, raw) },
	},
	{
		Key: "auth.issuers", Default: "[]",
		Meaning: "External token issuers: issuer, jwks_url, audience, algorithms. A verified token of an unknown " +
			"device registers it.",
		parse: func(c *Config, raw any) error { return issuers(&c.Issuers, raw) },
	},
	{
		Key: "oidc.issuer",
		Meaning: "Issuer of OpenID Connect that people may sign in at, such as https://login.plant.example/realms/plant; exactly " +
			"its tokens' iss. Let it send them back to /login/oidc/back. Empty: people sign in by tokens only.",
		parse: func(c *Config, raw any) error { return issuerURL(&c.OIDC.Issuer, raw) },
	},
	{
		Key:     "oidc.client_id",
		Meaning: "The gateway's client id at the issuer.",
		parse:   func(c *Config, raw any) error { return text(&c.OIDC.ClientID, raw) },
	},
	{
		Key: "oidc.client_secret_file",
		Meaning: "File with the client secret; a name without a slash is a credential of systemd. Empty: the client has " +
			"none, and PKCE protects it.",
		parse: func(c *Config, raw any) error { return text(&c.OIDC.ClientSecretFile, raw) },
	},
	{
		Key:     "oidc.ca",
		Meaning: "PEM file of the CA that the issuer's certificate is of. Empty: the CAs of this machine.",
		parse:   func(c *Config, raw any) error { return text(&c.OIDC.CA, raw) },
	},
	{
		Key: "oidc.scopes", Default: `["profile", "email"]`,
		Meaning: "Scopes that are asked for beside openid; some issuers want groups for a claim of groups.",
		parse:   func(c *Config, raw any) error { return words(&c.OIDC.Scopes, raw) },
	},
	{
		Key: "oidc.claim", Default: "groups",
		Meaning: "Claim of the ID token whose values give roles: a text or a list, such as groups, realm_access.roles or " +
			"email, which has to be verified.",
		parse: func(c *Config, raw any) error { return text(&c.OIDC.Claim, raw) },
	},
	{
		Key: "oidc.viewers", Default: "[]",
		Meaning: "Values of the claim that let a person read.",
		parse:   func(c *Config, raw any) error { return claimValues(&c.OIDC.Viewers, raw) },
	},
	{
		Key: "oidc.operators", Default: "[]",
		Meaning: "Values of the claim that let a person change what an operator's token changes.",
		parse:   func(c *Config, raw any) error { return claimValues(&c.OIDC.Operators, raw) },
	},
	{
		Key: "oidc.admins", Default: "[]",
		Meaning: "Values of the claim that let a person do everything. The highest role counts.",
		parse:   func(c *Config, raw any) error { return claimValues(&c.OIDC.Admins, raw) },
	},
	{
		Key:     "provisioning.base_url",
		Meaning: "The address that devices are told to call. Empty: this host's address.",
		parse:   func(c *Config, raw any) error { return baseURL(&c.ProvisioningBaseURL, raw) },
	},
	{
		Key: "provisioning.extra", Default: "{}", Secret: true, Table: true,
		Meaning: "Further values that provisioning hands out, such as mqtt_url, wifi_ssid and wifi_password.",
		parse:   func(c *Config, raw any) error { return table(&c.ProvisioningExtra, raw) },
	},
	{
		Key: "provisioning.required", Default: `["device_key", "client_id", "client_secret", "token_url", "base_url", ` +
			`"mqtt_url", "wifi_ssid", "wifi_password"]`,
		Meaning: "Provisioning is refused while one of these has no value: devices erase what is missing.",
		parse:   func(c *Config, raw any) error { return words(&c.ProvisioningRequired, raw) },
	},
	{
		Key: "dumps.max_bytes", Default: "1MiB",
		Meaning: "Largest core dump.",
		parse:   func(c *Config, raw any) error { return size(&c.DumpMaxBytes, raw) },
	},
	{
		Key: "dumps.keep_per_device", Default: "20",
		Meaning: "Dumps kept for one device; the oldest is removed first.",
		parse:   func(c *Config, raw any) error { return count(&c.DumpKeepPerDevice, raw, 1) },
	},
	{
		Key: "dumps.max_use", Default: "10%",
		Meaning: "The most that all dumps together may use: a share of the file system, or a size.",
		parse:   func(c *Config, raw any) error { return share(&c.DumpMaxUse, raw) },
	},
	{
		Key: "dumps.keep_free", Default: "15%",
		Meaning: "What the rotation of dumps leaves free: a share of the file system, or a size.",
		parse:   func(c *Config, raw any) error { return share(&c.DumpKeepFree, raw) },
	},
	{
		Key: "dumps.per_minute", Default: "10",
		Meaning: "Uploads of one device in a minute, on average.",
		parse:   func(c *Config, raw any) error { return count(&c.DumpPerMinute, raw, 1) },
	},
	{
		Key: "dumps.burst", Default: "20",
		Meaning: "Uploads of one device at once.",
		parse:   func(c *Config, raw any) error { return count(&c.DumpBurst, raw, 1) },
	},
	{
		Key: "dumps.keep_per_crash", Default: "10",
		Meaning: "Dumps kept for one fingerprint and version: so many of the first and of the last. The others are " +
			"removed once they are reported and counted. off keeps all.",
		parse: func(c *Config, raw any) error { return countOrOff(&c.DumpKeepPerCrash, raw) },
	},
	{
		Key: "firmware.keep_versions", Default: "10",
		Meaning: "Builds kept for a model; the current one, and those that a waiting dump needs, are always kept.",
		parse:   func(c *Config, raw any) error { return count(&c.FirmwareKeepVersions, raw, 1) },
	},
	{
		Key: "firmware.max_bytes", Default: "512MiB",
		Meaning: "Largest firmware upload.",
		parse:   func(c *Config, raw any) error { return size(&c.FirmwareMaxBytes, raw) },
	},
	{
		Key: "firmware.elf_cache", Default: "512MiB",
		Meaning: "Inflated ELFs kept for decoding.",
		parse:   func(c *Config, raw any) error { return size(&c.FirmwareELFCache, raw) },
	},
	{
		Key: "firmware.publish", Default: "automatic",
		Meaning: "automatic: an accepted build is offered to all at once. manual: only after slipway firmware publish. rollout: " +
			"it begins a rollout by the model's plan.",
		parse: func(c *Config, raw any) error {
			var mode string
			err := oneOf(&mode, raw, "automatic", "manual", "rollout")
			c.FirmwareManual, c.FirmwareRollout = mode == "manual", mode == "rollout"
			return err
		},
	},
	{
		Key: "events.keep", Default: "400d",
		Meaning: "Age at which events of the audit log are removed. Beyond 64 MiB the oldest go earlier.",
		parse:   func(c *Config, raw any) error { return duration(&c.EventsKeep, raw) },
	},
	{
		Key: "drop.keep_done", Default: "7d",
		Meaning: "Age at which accepted and rejected files are removed.",
		parse:   func(c *Config, raw any) error { return duration(&c.DropKeepDone, raw) },
	},
	{
		Key: "drop.stalled_after", Default: "60s",
		Meaning: "Time without growth after which a file that is not a whole ZIP is rejected as incomplete.",
		parse:   func(c *Config, raw any) error { return duration(&c.DropStalledAfter, raw) },
	},
	{
		Key: "drop.create_models", Default: "false",
		Meaning: "A dropped bundle of an unknown model creates the model.",
		parse:   func(c *Config, raw any) error { return truth(&c.DropCreateModels, raw) },
	},
	{
		Key: "catalog.backup", Default: "daily",
		Meaning: "daily: a backup under backup/, encrypted to keys/backup.key, the last 7 kept. off: none.",
		parse: func(c *Config, raw any) error {
			var mode string
			err := oneOf(&mode, raw, "daily", "off")
			c.CatalogBackup = mode == "daily"
			return err
		},
	},
	{
		Key: "rollout.plan", Default: "standard",
		Meaning: "Plan of a model's rollouts that has none of its own: standard, urgent or small.",
		parse:   func(c *Config, raw any) error { return oneOf(&c.RolloutPlan, raw, "standard", "urgent", "small") },
	},
	{
		Key: "rollout.alpha", Default: "0.0001",
		Meaning: "Probability with which a rollout of a good build may halt. From 0.000001 to 0.05.",
		parse:   func(c *Config, raw any) error { return fraction(&c.RolloutAlpha, raw, 1e-6, 0.05) },
	},
	{
		Key: "rollout.beta", Default: "0.01",
		Meaning: "Probability with which a build that is as bad as a plan rules out may pass its gate. From 0.0001 to 0.2.",
		parse:   func(c *Config, raw any) error { return fraction(&c.RolloutBeta, raw, 1e-4, 0.2) },
	},
	{
		Key: "rollout.tolerated_loss", Default: "0.01",
		Meaning: "Share of updates that may end with a device that is lost or goes back. From 0.0001 to 0.5.",
		parse:   func(c *Config, raw any) error { return fraction(&c.RolloutToleratedLoss, raw, 1e-4, 0.5) },
	},
	{
		Key: "rollout.decide_within", Default: "14d",
		Meaning: "Time after which a rollout that can neither go on nor is shown to be worse asks a person.",
		parse:   func(c *Config, raw any) error { return duration(&c.RolloutDecideWithin, raw) },
	},
	{
		Key: "rollout.up_within", Default: "15m",
		Meaning: "The time within which a device is to be back after an update. The times after which a device is late, " +
			"silent, or missing on a line that is dark, are parts and multiples of it.",
		parse: func(c *Config, raw any) error { return duration(&c.RolloutUpWithin, raw) },
	},
	{
		Key: "hawkbit.tenant", Default: "DEFAULT",
		Meaning: "First part of the addresses at which devices are served hawkBit's protocol (DDI), as it is set and in " +
			"lower case. off: they are not.",
		parse: func(c *Config, raw any) error { return tenant(&c.HawkbitTenant, raw) },
	},
	{
		Key: "mqtt.url", Default: "off",
		Meaning: "The plant's MQTT broker, such as mqtts://broker:8883: firmware that polls nothing tells there what " +
			"it runs. off: none is asked.",
		parse: func(c *Config, raw any) error { return brokerURL(&c.MQTTURL, raw) },
	},
	{
		Key:     "mqtt.user",
		Meaning: "User name for the broker.",
		parse:   func(c *Config, raw any) error { return text(&c.MQTTUser, raw) },
	},
	{
		Key:     "mqtt.password_file",
		Meaning: "File with the password for the broker.",
		parse:   func(c *Config, raw any) error { return text(&c.MQTTPasswordFile, raw) },
	},
	{
		Key:     "mqtt.ca",
		Meaning: "PEM file of the CA that the broker's certificate is of. Empty: the CAs of this machine.",
		parse:   func(c *Config, raw any) error { return text(&c.MQTTCA, raw) },
	},
	{
		Key:     "mqtt.client_cert",
		Meaning: "PEM file with a certificate and its key that are shown to the broker.",
		parse:   func(c *Config, raw any) error { return text(&c.MQTTClientCert, raw) },
	},
	{
		Key: "mqtt.prefix", Default: "iot",
		Meaning: "First part of the topics of the devices' firmware (CONFIG_MQTT_TOPIC_PREFIX).",
		parse:   func(c *Config, raw any) error { return topicPrefix(&c.MQTTPrefix, raw) },
	},
	{
		Key: "mqtt.nudges_per_minute", Default: "30",
		Meaning: "Devices that are asked to restart and ask, in a minute.",
		parse:   func(c *Config, raw any) error { return count(&c.MQTTNudges, raw, 1) },
	},
	{
		Key: "webhooks.loopback", Default: "false",
		Meaning: "Webhooks may lead to this machine itself, such as to Node-RED on it. Admins of the gateway then reach, with " +
			"requests that carry events, what listens on 127.0.0.1 for nobody else.",
		parse: func(c *Config, raw any) error { return truth(&c.WebhooksLoopback, raw) },
	},
	{
		Key: "log.format", Default: "auto",
		Meaning: "auto: the journal under systemd, text on a terminal, else JSON. Or journal, text, json.",
		parse:   func(c *Config, raw any) error { return oneOf(&c.LogFormat, raw, "auto", "journal", "text", "json") },
	},
	{
		Key: "log.level", Default: "info",
		Meaning: "info, or debug: also each request that was refused and why, under the correlation id that its " +
			"client got.",
		parse: func(c *Config, raw any) error {
			var level string
			err := oneOf(&level, raw, "info", "debug")
			c.LogDebug = level == "debug"
			return err
		},
	},
}

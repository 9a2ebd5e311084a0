// Package config knows the gateway's settings: their names, defaults and meaning, where each value came from, and
// what is wrong with one.
//
// Later sources win: defaults, the file, the environment, flags. Everything is checked once, here, before a folder is
// made or a port is bound; afterwards nobody checks again.
package config

import (
	"path/filepath"
	"time"
)

// Config is what the gateway runs with.
type Config struct {
	ListenHTTPS       Addresses
	ListenHTTP        Addresses
	ListenDeviceHTTPS Addresses
	ListenDeviceHTTP  Addresses
	TLSCert, TLSKey   string // "" is made under KeysDir

	StateDir, AssetsDir, CoredumpsDir, DropDir, CatalogDir string // CoredumpsDir and DropDir are "" when off
	Socket                                                 string

	AuthDevice     string // jwt or none
	InsecureLAN    bool
	TokenLifetime  time.Duration
	TokenAlgorithm string
	TokenPaths     []string
	Issuers        []Issuer
	OIDC           OIDC

	ProvisioningBaseURL  string
	ProvisioningExtra    map[string]string
	ProvisioningRequired []string

	DumpMaxBytes      int64
	DumpKeepPerDevice int
	DumpMaxUse        Share
	DumpKeepFree      Share
	DumpPerMinute     int
	DumpBurst         int
	DumpKeepPerCrash  int // 0 is off

	FirmwareKeepVersions int
	FirmwareMaxBytes     int64
	FirmwareELFCache     int64
	FirmwareManual       bool
	FirmwareRollout      bool
	RolloutPlan          string
	RolloutAlpha         float64
	RolloutBeta          float64
	RolloutToleratedLoss float64
	RolloutDecideWithin  time.Duration

	DropKeepDone     time.Duration
	EventsKeep       time.Duration
	DropStalledAfter time.Duration
	DropCreateModels bool

	RolloutUpWithin time.Duration

	TLSRSA, TLSSmallRecords bool

	HawkbitTenant string // "" when off

	MQTTURL, MQTTUser, MQTTPasswordFile, MQTTCA, MQTTClientCert, MQTTPrefix string // MQTTURL is "" when off
	MQTTNudges                                                              int    // in a minute

	WebhooksLoopback bool

	CatalogBackup bool
	LogFormat     string // auto, journal, text or json
	LogDebug      bool   // tell of refused requests, too

	File     string   // where the settings came from; it may be absent
	Warnings []string // what is odd and no error
	values   []Value
}

// Issuer is an external token issuer.
type Issuer struct {
	Issuer     string   `koanf:"issuer" json:"issuer"`
	JWKSURL    string   `koanf:"jwks_url" json:"jwks_url"`
	Audience   string   `koanf:"audience" json:"audience"`
	Algorithms []string `koanf:"algorithms" json:"algorithms"`
}

// OIDC is the issuer that people may sign in at; its Issuer is "" when off.
type OIDC struct {
	Issuer, ClientID, ClientSecretFile, CA string
	Scopes                                 []string
	Claim                                  string
	Viewers, Operators, Admins             []string // values of the claim
}

// Value is one setting as `config show` prints it.
type Value struct {
	Key    string `json:"key"`
	Value  string `json:"value"` // secrets hidden
	Source string `json:"source"`
}

// Values are all settings in the order of the table.
func (c Config) Values() []Value { return c.values }

// KeysDir holds the signing keys and the TLS identity.
func (c Config) KeysDir() string { return filepath.Join(c.StateDir, "keys") }

// BackupDir holds the daily backups.
func (c Config) BackupDir() string { return filepath.Join(c.StateDir, "backup") }

// Package config is the one file that a server, a mirror, a witness and a
// monitor are configured by; the same names serve in the environment and as flags.
package config

import _ "go.yaml.in/yaml/v3" // the file's language

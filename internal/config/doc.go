// Package config is the one file that a server, a mirror, a witness and a
// monitor are configured by; the same names serve in the environment and as flags.
//
// The file is YAML, with a section for each command:
//
//	serve:
//	  listen: 0.0.0.0:7777
//	  access: [tokens]
//
// serve.listen, $STELE_SERVE_LISTEN and --listen are one setting. A flag counts more
// than the environment, and that more than the file. What the file says and nobody
// knows is an error with its line.
package config

package server

import (
	_ "github.com/prometheus/client_golang/prometheus"          // what is counted
	_ "github.com/prometheus/client_golang/prometheus/promhttp" // how it is read
	_ "golang.org/x/time/rate"                                  // who may ask how often
)

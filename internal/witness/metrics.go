package witness

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// statuses are what is counted apart; any other is "other".
var statuses = []Status{OK, BadRequest, Forbidden, NotFound, Conflict, Unprocessable, TooMany, Failed}

// counters counts answers by their status.
type counters struct {
	mu    sync.Mutex
	count map[Status]uint64
}

func (c *counters) add(s Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == nil {
		c.count = map[Status]uint64{}
	}
	c.count[s]++
}

func (c *counters) of(s Status) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count[s]
}

var (
	descAnswers = prometheus.NewDesc("stele_witness_answers_total", "Requests that were parsed, by the status they were answered with.", []string{"status"}, nil)
	descLogs    = prometheus.NewDesc("stele_witness_logs", "Logs that are witnessed.", nil, nil)
	descSize    = prometheus.NewDesc("stele_witness_log_entries", "Entries of the newest checkpoint of a log that was cosigned.", []string{"origin"}, nil)
	descTime    = prometheus.NewDesc("stele_witness_log_timestamp_seconds", "When that was cosigned.", []string{"origin"}, nil)
	descStopped = prometheus.NewDesc("stele_witness_stopped", "1 if the witness has stopped for good: its memory was set back.", nil, nil)
)

// Metrics answers with the witness's metrics as Prometheus reads them.
func (w *Witness) Metrics() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(w)
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

// Describe implements prometheus.Collector.
func (w *Witness) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descAnswers, descLogs, descSize, descTime, descStopped} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. The labels are the origins of the logs
// that are witnessed, at most MaxLogs, whatever is asked.
func (w *Witness) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, s := range statuses {
		ch <- prometheus.MustNewConstMetric(descAnswers, prometheus.CounterValue, float64(w.answers.of(s)), strconv.Itoa(int(s)))
	}
	logs := w.allLogs()
	gauge(descLogs, float64(len(logs)))
	for _, l := range logs {
		l.mu.Lock()
		r := l.record
		l.mu.Unlock()
		if r != nil {
			gauge(descSize, float64(r.Size), l.origin)
			gauge(descTime, float64(r.time), l.origin)
		}
	}
	stopped := 0.0
	w.mu.Lock()
	if w.stopped != nil {
		stopped = 1
	}
	w.mu.Unlock()
	gauge(descStopped, stopped)
}

package server

import (
	"log"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are what a server counts: docs/operating.md names them. No label has a
// value that a client could make up.
type Metrics struct {
	registry    *prometheus.Registry
	requests    *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	refused     *prometheus.CounterVec
	inFlight    prometheus.Gauge
	connections prometheus.Gauge
	turnedAway  *prometheus.CounterVec
}

// NewMetrics returns metrics that nothing was counted in.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stele_http_requests_total", Help: "Requests answered, by route, method and status.",
		}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "stele_http_request_seconds", Help: "How long a request took, from its header to the end of its answer, by route.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stele_http_refused_total", Help: "Requests that were sent away before their handler, by reason.",
		}, []string{"reason"}),
		inFlight:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "stele_http_in_flight", Help: "Requests that are here now."}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{Name: "stele_http_connections", Help: "Connections that are open now."}),
		turnedAway: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stele_http_connections_refused_total", Help: "Connections that were closed at once, by reason.",
		}, []string{"reason"}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.refused, m.inFlight, m.connections, m.turnedAway,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *Metrics) count(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, methodOf(method), strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}

// watch adds what a front knows by itself.
func (m *Metrics) watch(f *Front) {
	gauge := func(name, help string, fn func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, fn))
	}
	gauge("stele_http_body_bytes", "Bytes of requests' bodies in memory.", func() float64 { return float64(f.bodies.taken()) })
	gauge("stele_http_answer_bytes", "Bytes of large answers that clients have not taken.", func() float64 { return float64(f.answers.taken()) })
	gauge("stele_submissions_waiting", "Submissions that were not answered so far.", func() float64 { n, _ := f.waiting.oldest(); return float64(n) })
	gauge("stele_submission_oldest_seconds", "How long the oldest of them has waited.", func() float64 {
		n, since := f.waiting.oldest()
		if n == 0 {
			return 0
		}
		return f.o.Now().Sub(since).Seconds()
	})
}

// Watch adds what the health of a server knows: once.
func (m *Metrics) Watch(h *Health, version string) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "stele_build_info", Help: "1, with the version.", ConstLabels: prometheus.Labels{"version": version},
	}, func() float64 { return 1 }), &conditionCollector{h})
}

// Handler serves the metrics in Prometheus' form.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorLog: log.New(quiet{}, "", 0), MaxRequestsInFlight: 4})
}

// quiet drops what promhttp would say: that a scraper went away.
type quiet struct{}

func (quiet) Write(p []byte) (int, error) { return len(p), nil }

// conditionCollector tells the ledger's condition, read once for each scrape.
type conditionCollector struct{ health *Health }

var (
	descReady    = prometheus.NewDesc("stele_ready", "1 if the server can take entries (of a mirror: answer), 0 if not.", nil, nil)
	descSize     = prometheus.NewDesc("stele_log_entries", "Entries that the newest checkpoint covers.", nil, nil)
	descTime     = prometheus.NewDesc("stele_log_last_entry_timestamp_seconds", "The time of the last entry, by the ledger's clock.", nil, nil)
	descCosigned = prometheus.NewDesc("stele_log_cosigned_entries", "Entries that the newest checkpoint covers which reached the quorum of witnesses.", nil, nil)
	descCosTime  = prometheus.NewDesc("stele_log_cosigned_timestamp_seconds", "When that checkpoint reached the quorum, by the witnesses' clocks.", nil, nil)
	descWitness  = prometheus.NewDesc("stele_witness_cosigned_entries", "Entries that a witness has cosigned.", []string{"witness"}, nil)
	descAsk      = prometheus.NewDesc("stele_witness_failures", "How often a witness has failed, in a row.", []string{"witness"}, nil)
	descContact  = prometheus.NewDesc("stele_mirror_contact_timestamp_seconds", "When a mirror last heard from what it copies; absent: not since it was started.", nil, nil)
	descBehind   = prometheus.NewDesc("stele_mirror_behind_entries", "Entries that a mirror knows of and does not have.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *conditionCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descReady, descSize, descTime, descCosigned, descCosTime, descWitness, descAsk, descContact, descBehind} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *conditionCollector) Collect(to chan<- prometheus.Metric) {
	condition := c.health.o.Condition()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	ready := 0.0
	if c.health.notReady(condition) == "" {
		ready = 1
	}
	gauge(descReady, ready)
	gauge(descSize, float64(condition.Size))
	gauge(descTime, float64(condition.Time)/1000)
	if w := condition.Witnesses; w != nil {
		gauge(descCosigned, float64(w.Size))
		gauge(descCosTime, float64(w.Time))
		for _, one := range w.Each {
			gauge(descWitness, float64(one.Size), one.Name)
			gauge(descAsk, float64(one.Failures), one.Name)
		}
	}
	if condition.Mirror != nil {
		gauge(descBehind, float64(condition.Mirror.Known-min(condition.Size, condition.Mirror.Known)))
		if condition.Mirror.Heard {
			gauge(descContact, float64(condition.Mirror.Since.UnixMilli())/1000)
		}
	}
}

// waiting are the submissions under way.
type waiting struct {
	mu    sync.Mutex
	next  uint64
	since map[uint64]time.Time
}

func (w *waiting) begin(now time.Time) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since == nil {
		w.since = make(map[uint64]time.Time)
	}
	w.next++
	w.since[w.next] = now
	return w.next
}

func (w *waiting) end(n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.since, n)
}

// oldest returns how many there are, and since when the oldest waits.
func (w *waiting) oldest() (n int, since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.since {
		if since.IsZero() || t.Before(since) {
			since = t
		}
	}
	return len(w.since), since
}

// serverLog hands what net/http says, which is of connections that failed, to the log.
func serverLog(l *slog.Logger) *log.Logger { return slog.NewLogLogger(l.Handler(), slog.LevelDebug) }

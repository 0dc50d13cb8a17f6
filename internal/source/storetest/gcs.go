package storetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
)

var gcsServer = launched{start: startGCS}

// GCS is fake-gcs-server, with its objects in memory: only so does it keep
// generations apart. It asks for no credentials, and does not enforce
// ifGenerationMatch when an object is read.
func GCS(t testing.TB) *Server {
	t.Helper()
	return gcsServer.get(t)
}

func startGCS() (*Server, error) {
	program, err := tool("bin/fake-gcs-server")
	if err != nil {
		return nil, err
	}
	o := &gcsObjects{}
	place := strings.ToUpper(secret()) // where its buckets say they lie: it knows no credentials
	p, port, err := launch(func(port, dir string) (*exec.Cmd, error) {
		host := "127.0.0.1:" + port
		return exec.Command(program, "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", port,
			"-public-host", host, "-external-url", "http://"+host, "-location", place), nil
	}, func(port string) error {
		o.endpoint = "http://127.0.0.1:" + port
		if err := o.makeBucket("ready", false); err != nil {
			return err
		}
		answer, err := o.do(http.MethodGet, "/storage/v1/b/ready", "", nil)
		if err != nil {
			return err
		}
		if !bytes.Contains(answer, []byte(place)) {
			return fmt.Errorf("another server took the port: %s", answer)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("fake-gcs-server: %w", err)
	}
	endpoint := "http://127.0.0.1:" + port
	return &Server{Scheme: "gs", Endpoint: endpoint, env: o.environment(endpoint), objects: o, process: p}, nil
}

// gcsObjects speaks the JSON API itself: it needs four calls of it.
// https://docs.cloud.google.com/storage/docs/json_api/v1
type gcsObjects struct{ endpoint string }

func (o *gcsObjects) do(method, path, kind string, body []byte) ([]byte, error) {
	req, err := http.NewRequest(method, o.endpoint+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s", res.Status, answer)
	}
	return answer, err
}

func (o *gcsObjects) environment(endpoint string) map[string]string {
	return map[string]string{"STORAGE_EMULATOR_HOST": strings.TrimPrefix(endpoint, "http://")}
}

func (o *gcsObjects) makeBucket(name string, versioned bool) error {
	body, err := json.Marshal(map[string]any{"name": name, "versioning": map[string]bool{"enabled": versioned}})
	if err != nil {
		return err
	}
	_, err = o.do(http.MethodPost, "/storage/v1/b?project=stele", "application/json", body)
	return err
}

func (o *gcsObjects) publish(string) error { return nil } // it is open to all

func (o *gcsObjects) put(bucket, key string, data []byte) error {
	_, err := o.do(http.MethodPost, "/upload/storage/v1/b/"+bucket+"/o?uploadType=media&name="+url.QueryEscape(key), "application/octet-stream", data)
	return err
}

func (o *gcsObjects) putParts(bucket, key string, parts [][]byte) error {
	return o.put(bucket, key, bytes.Join(parts, nil))
}

func (o *gcsObjects) remove(bucket, key string) error {
	_, err := o.do(http.MethodDelete, "/storage/v1/b/"+bucket+"/o/"+url.PathEscape(key), "", nil)
	return err
}

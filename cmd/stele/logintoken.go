package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/strictjson"
)

const (
	// maxIDToken is the longest token of a CI system, in bytes.
	maxIDToken = 16 << 10
	// idTokenTime is how long GitHub may take to make one.
	idTokenTime = 30 * time.Second
)

// GitHub's variables for jobs that may have a token.
const (
	githubTokenURL   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	githubTokenToken = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

// loginServer is the address of the server that exchanges tokens.
func (a *app) loginServer(o *loginOrder) (string, error) {
	for _, address := range []string{o.server, a.ledgerFlag, a.getenv("STELE_LEDGER")} {
		if address == "" {
			continue
		}
		if strings.Contains(address, "://") {
			return address, nil
		}
		break
	}
	return "", usagef("login needs a server that exchanges tokens").withHint("--ledger https://… or $STELE_LEDGER; or --server https://… beside a ledger's directory")
}

// jobTokenPrefix is how a token begins that a server gave with a delegation.
const jobTokenPrefix = "stelejob_"

var jobToken = regexp.MustCompile(`^` + jobTokenPrefix + `[0-9A-Za-z_-]{1,119}$`)

// serverTokenPath is where the bearer token for a server lies.
func (a *app) serverTokenPath(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || strings.ContainsAny(u.Host, `/\`) {
		return "", usagef("%q is no address of a server", address)
	}
	return filepath.Join(a.dirs.Config, "tokens", strings.ReplaceAll(strings.ToLower(u.Host), ":", "_")), nil
}

// keepJobToken keeps the token by which a job may ask a server that is not open to
// everybody. It takes the place of an earlier job's, and of nobody's own.
func (a *app) keepJobToken(address, token string) error {
	if token == "" {
		return nil
	}
	if !jobToken.MatchString(token) { // a client takes no other, and none would be sent again
		return failf(exitError, "the server gave a token that is none")
	}
	path, err := a.serverTokenPath(address)
	if err != nil {
		return err
	}
	switch there, err := home.ReadSecret(path); {
	case err == nil && !strings.HasPrefix(string(there), jobTokenPrefix):
		return nil // somebody's own, which may more
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("look at the token for %s: %w", address, err)
	}
	if err := home.Replace(path, []byte(token+"\n")); err != nil {
		return fmt.Errorf("keep the job's token: %w", err)
	}
	return nil
}

// loginClient asks a server for a login. It does not show the token of an earlier
// one, which may be over: a server does not hear whoever shows one that is. The token
// stays where it is until there is another.
func (a *app) loginClient(address string) (*client.Client, error) {
	token, err := a.tokenFor(address)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(token, jobTokenPrefix) {
		token = ""
	}
	return a.dialWith(address, token)
}

// idToken gets the token by which the CI system says whose job this is.
func (a *app) idToken(ctx context.Context, o *loginOrder, server string) (string, error) {
	var token, from string
	var err error
	switch {
	case o.idToken != "":
		if from = o.idToken; from == "-" {
			from = "standard input"
		}
		token, err = a.idTokenFile(o.idToken)
	case a.getenv("STELE_ID_TOKEN") != "":
		from = "$STELE_ID_TOKEN"
		token = a.getenv("STELE_ID_TOKEN")
	case a.getenv(githubTokenURL) != "":
		from = "the answer of $" + githubTokenURL
		token, err = a.githubToken(ctx, o, server)
	default:
		return "", usagef("no token of a CI system is here").
			withHint("in GitHub Actions give the job `permissions: id-token: write`; in GitLab set `id_tokens: STELE_ID_TOKEN: aud: …`; a pull request from a fork gets none")
	}
	if err != nil {
		return "", err
	}
	token = strings.TrimSpace(token)
	if strings.Count(token, ".") != 2 || len(token) > maxIDToken || strings.ContainsAny(token, " \t\r\n") {
		return "", usagef("%s holds no CI's token: a JSON Web Token of at most %d bytes", from, maxIDToken)
	}
	return token, nil
}

func (a *app) idTokenFile(path string) (string, error) {
	if path == "-" {
		data, err := io.ReadAll(io.LimitReader(a.stdin, maxIDToken+1))
		return string(data), err
	}
	data, err := readSmall(path, maxIDToken)
	return string(data), err
}

// githubToken asks GitHub for a token for this job, as
// docs.github.com/actions/reference/security/oidc describes.
func (a *app) githubToken(ctx context.Context, o *loginOrder, server string) (string, error) {
	audience := o.audience
	if audience == "" {
		audience = a.getenv("STELE_AUDIENCE")
	}
	if audience == "" {
		audience = strings.TrimRight(server, "/")
	}
	u, err := url.Parse(a.getenv(githubTokenURL))
	if err != nil || u.Scheme != "https" && !(u.Scheme == "http" && net.ParseIP(u.Hostname()).IsLoopback()) {
		return "", failf(exitError, "$%s is no https address", githubTokenURL)
	}
	query := u.Query()
	query.Set("audience", audience)
	u.RawQuery = query.Encode()
	ctx, cancel := context.WithTimeout(ctx, idTokenTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", failf(exitError, "$%s is no address", githubTokenURL)
	}
	request.Header.Set("Authorization", "Bearer "+a.getenv(githubTokenToken))
	request.Header.Set("Accept", "application/json")
	github := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer github.CloseIdleConnections()
	response, err := github.Do(request)
	if err != nil {
		return "", failf(exitUnreachable, "ask GitHub for a token: %s does not answer", u.Host).withHint("try again")
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", failf(exitUnreachable, "ask GitHub for a token: %s answers %d", u.Host, response.StatusCode).
			withHint("does the job have `permissions: id-token: write`?")
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 2*maxIDToken))
	if err != nil {
		return "", failf(exitUnreachable, "ask GitHub for a token: the answer broke off").withHint("try again")
	}
	var got struct {
		Value string `json:"value"`
	}
	if err := strictjson.UnmarshalForeign(body, &got, 2*maxIDToken, 4); err != nil || got.Value == "" {
		return "", fmt.Errorf("ask GitHub for a token: the answer has none")
	}
	return got.Value, nil
}

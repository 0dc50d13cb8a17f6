package azure

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
)

// The environment's words for the account and who asks: those of the Azure CLI,
// with an address beside them for other clouds, private endpoints and emulators.
// https://learn.microsoft.com/cli/azure/azure-cli-configuration
const (
	envConnection = "AZURE_STORAGE_CONNECTION_STRING"
	envAccount    = "AZURE_STORAGE_ACCOUNT"
	envEndpoint   = "AZURE_STORAGE_ENDPOINT"
	envKey        = "AZURE_STORAGE_KEY"
	envSAS        = "AZURE_STORAGE_SAS_TOKEN"
)

// What List, Head and Put do by themselves about what may pass: a wait that
// begins at firstWait and about doubles. A store that asks for more than maxWait
// is not waited for.
const (
	maxRetries = 5
	maxWait    = 30 * time.Second
)

// firstWait is changed by tests alone.
var firstWait = 200 * time.Millisecond

// tokenScope is what a token for Blob Storage is asked for.
const tokenScope = "https://storage.azure.com/.default"

// connect makes the client of the environment's account.
func (s *Store) connect(ctx context.Context, anonymous bool) error {
	var o container.ClientOptions
	// No redirect is followed: a shared access signature would be sent along, in
	// the name of the page that it came from.
	o.Transport = &http.Client{Transport: s.http, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	o.Retry = policy.RetryOptions{MaxRetries: maxRetries, RetryDelay: firstWait, MaxRetryDelay: maxWait, ShouldRetry: mayPass}
	o.Telemetry.ApplicationID = "stele"

	client, err := s.chosen(ctx, anonymous, &o)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &source.Error{Path: s.URL(""), Class: source.ErrDenied, Detail: bucket.Line(err.Error())}
	}
	s.client = client
	return nil
}

// chosen picks the credentials.
func (s *Store) chosen(ctx context.Context, anonymous bool, o *container.ClientOptions) (*container.Client, error) {
	if text := os.Getenv(envConnection); text != "" {
		client, err := container.NewClientFromConnectionString(text, s.name, o)
		if err != nil {
			return nil, errors.New(envConnection + " cannot be used: " + err.Error())
		}
		if anonymous {
			address, _, _ := strings.Cut(client.URL(), "?") // without a shared access signature
			return container.NewClientWithNoCredential(address, o)
		}
		return client, nil
	}
	account, address := os.Getenv(envAccount), os.Getenv(envEndpoint)
	if address == "" {
		if account == "" {
			return nil, errors.New("no storage account is named: set " + envAccount + " or " + envConnection)
		}
		address = "https://" + account + ".blob.core.windows.net"
	}
	address = strings.TrimSuffix(address, "/") + "/" + s.name
	key, sas := os.Getenv(envKey), strings.TrimPrefix(os.Getenv(envSAS), "?")
	switch {
	case anonymous:
	case key != "":
		shared, err := container.NewSharedKeyCredential(account, key)
		if err != nil {
			return nil, errors.New(envKey + " cannot be used: " + err.Error())
		}
		if account == "" {
			return nil, errors.New(envKey + " is set without " + envAccount)
		}
		return container.NewClientWithSharedKeyCredential(address, shared, o)
	case sas != "":
		return container.NewClientWithNoCredential(address+"?"+sas, o)
	case strings.HasPrefix(address, "https://"): // a token never travels in the clear
		who, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: o.ClientOptions})
		if err != nil {
			return nil, err
		}
		// It says only when asked whether there is anything behind it. The token
		// is kept for the requests to come.
		_, err = who.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{tokenScope}})
		if err == nil {
			return container.NewClient(address, who, o)
		}
		if failed := (*azidentity.AuthenticationFailedError)(nil); ctx.Err() != nil || errors.As(err, &failed) {
			return nil, err
		}
		s.lacking = true
	default:
		s.lacking = true
	}
	return container.NewClientWithNoCredential(address, o)
}

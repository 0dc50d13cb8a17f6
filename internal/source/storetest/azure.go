package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// account is the storage account's name; Azurite takes it from the path.
const account = "steletest"

var azureServer = launched{start: startAzure}

// Azure is Azurite, with its blobs in memory. It keeps no versions and has no
// hierarchical namespace.
func Azure(t testing.TB) *Server {
	t.Helper()
	return azureServer.get(t)
}

func startAzure() (*Server, error) {
	program, err := tool("azurite/node_modules/azurite/dist/src/blob/main.js")
	if err != nil {
		return nil, errSkip{"Azurite is not installed: ./test tools installs it, with npm"}
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, errSkip{"there is no node, which Azurite runs on"}
	}
	key := sha256.Sum256([]byte(secret()))
	o := &azureObjects{key: base64.StdEncoding.EncodeToString(key[:])}
	p, port, err := launch(func(port, dir string) (*exec.Cmd, error) {
		cmd := exec.Command(node, program, "--blobHost", "127.0.0.1", "--blobPort", port,
			"--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--disableProductStyleUrl")
		cmd.Env = append(os.Environ(), "AZURITE_ACCOUNTS="+account+":"+o.key)
		return cmd, nil
	}, func(port string) error {
		if err := o.connect("http://127.0.0.1:" + port); err != nil {
			return err
		}
		_, err := o.client.ServiceClient().GetProperties(context.Background(), nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("azurite: %w", err)
	}
	endpoint := "http://127.0.0.1:" + port
	return &Server{Scheme: "azblob", Endpoint: endpoint, env: o.environment(endpoint), objects: o, process: p}, nil
}

type azureObjects struct {
	key    string // base64
	client *azblob.Client
}

func (o *azureObjects) connect(endpoint string) error {
	text := o.environment(endpoint)["AZURE_STORAGE_CONNECTION_STRING"]
	var err error
	o.client, err = azblob.NewClientFromConnectionString(text, &azblob.ClientOptions{
		ClientOptions: policy.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}},
	})
	return err
}

func (o *azureObjects) environment(endpoint string) map[string]string {
	return map[string]string{
		"AZURE_STORAGE_CONNECTION_STRING": fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;BlobEndpoint=%s/%[1]s;", account, o.key, endpoint),
	}
}

func (o *azureObjects) makeBucket(name string, _ bool) error {
	_, err := o.client.CreateContainer(context.Background(), name, nil)
	return err
}

func (o *azureObjects) publish(bucket string) error {
	access := container.PublicAccessTypeContainer
	_, err := o.client.ServiceClient().NewContainerClient(bucket).SetAccessPolicy(context.Background(), &container.SetAccessPolicyOptions{Access: &access})
	return err
}

func (o *azureObjects) put(bucket, key string, data []byte) error {
	_, err := o.client.UploadBuffer(context.Background(), bucket, key, data, nil)
	return err
}

func (o *azureObjects) putParts(bucket, key string, parts [][]byte) error {
	ctx := context.Background()
	blob := o.client.ServiceClient().NewContainerClient(bucket).NewBlockBlobClient(key)
	var ids []string
	for i, data := range parts {
		id := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%08d", i))
		if _, err := blob.StageBlock(ctx, id, streaming.NopCloser(bytes.NewReader(data)), nil); err != nil {
			return err
		}
		ids = append(ids, id)
	}
	_, err := blob.CommitBlockList(ctx, ids, &blockblob.CommitBlockListOptions{})
	return err
}

func (o *azureObjects) remove(bucket, key string) error {
	_, err := o.client.DeleteBlob(context.Background(), bucket, key, nil)
	return err
}

// keys are the blobs that a listing names.
func (o *azureObjects) keys(bucket string) (map[string]bool, error) {
	held := map[string]bool{}
	for pages := o.client.NewListBlobsFlatPager(bucket, nil); pages.More(); {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			return nil, err
		}
		for _, blob := range page.Segment.BlobItems {
			held[*blob.Name] = true
		}
	}
	return held, nil
}

package observe

import (
	"strings"
	"testing"
)

// Secrets in tests are put together here, so that nothing that looks for them
// in a repository finds one.
var (
	github  = "gh" + "p_" + strings.Repeat("aB3", 12)
	hugging = "h" + "f_" + strings.Repeat("Qw7", 11)
	aws     = "AK" + "IA" + "IOSFODNN7EXAMPLE"
	jwt     = "ey" + "JhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
)

func TestMask(t *testing.T) {
	for _, c := range []struct {
		args, want string // arguments joined by |
	}{
		// What is a secret.
		{"train|--password|hunter2", "train|--password|[masked]"},
		{"train|--password=hunter2", "train|--password=[masked]"},
		{"train|--db-password=hunter2|--lr=0.1", "train|--db-password=[masked]|--lr=0.1"},
		{"train|--apiKey|12345678", "train|--apiKey|[masked]"},
		{"train|--api-key=12345678", "train|--api-key=[masked]"},
		{"train|--token|abcdefgh", "train|--token|[masked]"},
		{"train|--hf-token=abcdefgh", "train|--hf-token=[masked]"},
		{"train|-token|abcdefgh", "train|-token|[masked]"},
		{"PASSWORD=hunter2", "PASSWORD=[masked]"},
		{"env:password=hunter2", "env:password=[masked]"},
		{"db.password=hunter2", "db.password=[masked]"},
		{"train|" + github, "train|[masked]"},
		{"train|--note=" + hugging + ",ok", "train|--note=[masked],ok"},
		{"aws|" + aws, "aws|[masked]"},
		{"x|" + jwt, "x|[masked]"},
		{"git|clone|https://ada:hunter2@github.com/a/b", "git|clone|https://[masked]@github.com/a/b"},
		{"git|clone|https://" + "abcdef0123@github.com/a/b", "git|clone|https://[masked]@github.com/a/b"},
		{"psql|postgres://ada:hunter2@db/x", "psql|postgres://ada:[masked]@db/x"},
		{"get|https://x.blob.core.windows.net/c/d?sv=2020&sig=abc%2Bdef&se=1", "get|https://x.blob.core.windows.net/c/d?sv=2020&sig=[masked]&se=1"},
		{"curl|-H|Authorization: Bearer abcdefghijk", "curl|-H|Authorization: [masked]"},
		{"curl|-H|X-Api-Key: abc def", "curl|-H|X-Api-Key: [masked]"},
		{"curl|-u|ada:hunter2", "curl|-u|ada:[masked]"},
		{"python|-c|login(token='abcdefghij'); train(lr=1)", "python|-c|login(token='[masked]'); train(lr=1)"},
		{"python|-c|os.environ[\"DB_PASSWORD\"] = \"x y z\"", "python|-c|os.environ[\"DB_PASSWORD\"] = \"[masked]\""},
		{"sh|-c|mysql --password hunter2 db", "sh|-c|mysql --password [masked] db"},
		{`--config|{"api_key": "abc", "epochs": 3}`, `--config|{"api_key": "[masked]", "epochs": 3}`},
		{"DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abc==;EndpointSuffix=x", "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=[masked];EndpointSuffix=x"},
		{"ssh|-----BEGIN OPENSSH PRIVATE " + "KEY-----\nabc\n", "ssh|[masked]"},

		// What is none.
		{"train|--lr|0.1|--epochs=3", ""},
		{"train|--max-tokens|512|--tokenizer|bert", ""},
		{"train|--pad-token|x|--eos_token=</s>|--mask-token=[MASK]", ""},
		{"train|--token|512|--auth=false", ""},
		{"train|--key|column|--key-file=x.pem", ""},
		{"train|--password-stdin|data", ""},
		{"train|--password|--lr|3", ""},
		{"git|clone|ssh://git@github.com/a/b", ""},
		{"train|s3://bucket/key|2026-11-01T00:00:00Z", ""},
		{"sha256:" + strings.Repeat("0123456789abcdef", 4), ""},
		{"train|--notes=Passwords are not in here", ""},
		{"", ""},
	} {
		if c.want == "" {
			c.want = c.args
		}
		args := strings.Split(c.args, "|")
		got, n := Mask(args)
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s\nbecomes %s\nwant    %s", c.args, strings.Join(got, "|"), c.want)
		}
		if want := strings.Count(c.want, Masked); n > want || (n == 0) != (want == 0) {
			t.Errorf("%s: %d arguments are masked", c.args, n)
		}
		if again, _ := Mask(got); strings.Join(again, "|") != strings.Join(got, "|") {
			t.Errorf("%s: masked again it becomes %s", c.args, again)
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add("--password", "hunter2")
	f.Add("-c", `{"token": "abcdefgh"} --api-key x https://u:p@h/`)
	f.Fuzz(func(t *testing.T, a, b string) {
		masked, n := Mask([]string{a, b})
		if len(masked) != 2 || n < 0 || n > 2 {
			t.Fatalf("%q, %d", masked, n)
		}
		changed := 0
		for i, arg := range []string{a, b} {
			if masked[i] != arg {
				changed++
				if !strings.Contains(masked[i], Masked) {
					t.Errorf("%q became %q", arg, masked[i])
				}
			}
		}
		if changed != n {
			t.Errorf("%d were masked, and %d counted", changed, n)
		}
	})
}

func TestEnvironment(t *testing.T) {
	env := []string{"RANK=0", "WORLD_SIZE=", "HOME=/home/ada", "GITHUB_TOKEN=" + github, "SEED=7", "GREETING=" + github, "CACHE_KEY=x", "BAD=\xff",
		"SLURM_JOB_ID=https://a:b@c/", "LONG=" + strings.Repeat("x", maxValue+1), "TOKENIZERS_PARALLELISM=true", "PWD=/x"}
	noted, err := Environment(env, []string{"SEED", "TOKENIZERS_PARALLELISM", "PWD"})
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"RANK": "0", "SEED": "7", "TOKENIZERS_PARALLELISM": "true", "PWD": "/x"} {
		if noted[name] != value {
			t.Errorf("%s is noted as %q", name, noted[name])
		}
		delete(noted, name)
	}
	if len(noted) > 0 {
		t.Errorf("noted besides: %v", noted)
	}
	for _, name := range []string{"GITHUB_TOKEN", "GREETING", "CACHE_KEY", "BAD", "LONG", "NONE"} {
		noted, err := Environment(env, []string{name})
		if err == nil {
			t.Errorf("%s is noted: %v", name, noted)
		} else if strings.Contains(err.Error(), github) {
			t.Errorf("%s: the error tells the value: %v", name, err)
		}
	}
}

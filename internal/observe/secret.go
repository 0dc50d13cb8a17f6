package observe

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Masked stands in place of what looks like a secret.
const Masked = "[masked]"

// What looks like a secret is found by the name that stands before it and by
// its form. Neither is complete: a secret under an innocent name that looks
// like any other word is not found. Details can be erased; a ledger cannot.

// secretNames are the last words of a name whose value is a secret, whatever it
// looks like.
var secretNames = [][]string{
	{"password"}, {"passwd"}, {"passphrase"}, {"passcode"}, {"secret"}, {"secrets"}, {"apikey"}, {"credential"}, {"credentials"}, {"bearer"},
	{"authorization"}, {"cookie"}, {"cookies"}, {"accesskey"}, {"secretkey"}, {"privatekey"}, {"authtoken"}, {"accesstoken"}, {"pat"},
	{"api", "key"}, {"access", "key"}, {"secret", "key"}, {"private", "key"}, {"account", "key"}, {"signing", "key"}, {"encryption", "key"},
	{"license", "key"}, {"licence", "key"}, {"auth", "key"}, {"service", "key"}, {"session", "key"}, {"master", "key"}, {"shared", "key"},
	{"key", "id"}, {"connection", "string"}, {"sas"}, {"dsn"},
}

// doubtfulNames are those whose value may be one: not a number, nor what
// machine learning calls a token.
var doubtfulNames = []string{"token", "auth", "pass", "pwd", "session", "jwt", "otp", "pin"}

// wordTokens come before "token" where that is a word of a text.
var wordTokens = []string{"pad", "eos", "bos", "unk", "cls", "sep", "mask", "special", "start", "end", "stop", "begin", "prefix", "suffix",
	"image", "audio", "video", "tool", "new", "next", "first", "last", "max", "min", "num", "n", "per", "trigger", "separator", "bot", "user", "prompt"}

var (
	camel    = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	notWords = regexp.MustCompile(`[^a-z0-9]+`)
)

// wordsOf are the words of a name: --api-key, API_KEY, apiKey.
func wordsOf(name string) []string {
	name = strings.ToLower(camel.ReplaceAllString(name, "${1} ${2}"))
	return strings.Fields(notWords.ReplaceAllString(name, " "))
}

// secretName reports whether a name says that its value is a secret, and where
// it does not say for sure, whether it may be.
func secretName(name string) (sure, doubtful bool) {
	if name == "PWD" || name == "OLDPWD" { // the working directory
		return false, false
	}
	words := wordsOf(name)
	for _, s := range secretNames {
		if n := len(words) - len(s); n >= 0 && slices.Equal(words[n:], s) {
			return true, false
		}
	}
	if len(words) == 0 || !slices.Contains(doubtfulNames, words[len(words)-1]) {
		return false, false
	}
	before := ""
	if len(words) > 1 {
		before = words[len(words)-2]
	}
	return false, !slices.Contains(wordTokens, before)
}

// harmless reports whether a value is no secret under a doubtful name: a
// number, a yes or no, a special token of a text.
func harmless(value string) bool {
	if _, err := strconv.ParseFloat(value, 64); err == nil {
		return true
	}
	switch strings.ToLower(value) {
	case "", "true", "false", "yes", "no", "on", "off", "none", "null", "auto":
		return true
	}
	return strings.ContainsAny(value[:1], "<[|") && strings.ContainsAny(value[len(value)-1:], ">]|")
}

// named reports whether a value is a secret by its name.
func named(name, value string) bool {
	sure, doubtful := secretName(name)
	return sure && value != "" || doubtful && !harmless(value)
}

// forms are secrets by their form alone. Where there is a group, it is what is
// masked; otherwise all of it.
var forms = []*regexp.Regexp{
	regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*`),
	regexp.MustCompile(`\bAGE-SECRET-KEY-1[0-9A-Z]+`),
	regexp.MustCompile(`\b(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}\b`),                   // AWS
	regexp.MustCompile(`\bgh[a-z]_[A-Za-z0-9]{16,}`),                                // GitHub
	regexp.MustCompile(`\bgithub_pat_[A-Za-z0-9_]{16,}`),                            //
	regexp.MustCompile(`\bgl[a-z]{2,5}-[A-Za-z0-9_-]{16,}`),                         // GitLab
	regexp.MustCompile(`\b(?:hf|api_org)_[A-Za-z0-9]{16,}`),                         // Hugging Face
	regexp.MustCompile(`\bsk-[A-Za-z0-9_-]{16,}`),                                   // OpenAI, Anthropic
	regexp.MustCompile(`\bxox[a-z]-[A-Za-z0-9-]{8,}`),                               // Slack
	regexp.MustCompile(`\bAIza[A-Za-z0-9_-]{30,}`),                                  // Google
	regexp.MustCompile(`\bya29\.[A-Za-z0-9_-]+`),                                    //
	regexp.MustCompile(`\bGOCSPX-[A-Za-z0-9_-]+`),                                   //
	regexp.MustCompile(`\b[sr]k_(?:live|test)_[A-Za-z0-9]{8,}`),                     // Stripe
	regexp.MustCompile(`\bnpm_[A-Za-z0-9]{20,}`),                                    //
	regexp.MustCompile(`\bpypi-[A-Za-z0-9_-]{16,}`),                                 //
	regexp.MustCompile(`\bdapi[0-9a-f]{32}\b`),                                      // Databricks
	regexp.MustCompile(`\bdo[opr]_v1_[0-9a-f]{32,}`),                                // DigitalOcean
	regexp.MustCompile(`\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}`),              // SendGrid
	regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*`), // a JSON Web Token
	regexp.MustCompile(`(?i)\b(?:bearer|basic)\s+([A-Za-z0-9._~+/=-]{8,})`),
	regexp.MustCompile(`(?i)\b(?:authorization|proxy-authorization|x-[a-z-]*(?:key|token)|cookie)\s*:\s*(.+)`), // a header of HTTP
	regexp.MustCompile(`(?i)\b(?:https?|ftps?|s3|amqps?|rediss?)://([^/\s@]+)@`),                               // user, password or token before a host
	regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^/\s:@]*:([^/\s@]+)@`),
	regexp.MustCompile(`(?i)[?&](?:sig|signature|x-amz-signature|x-amz-credential|x-amz-security-token|x-goog-signature|x-goog-credential|key|code)=([^&#\s]+)`),
}

// A name and its value within a text: password=x, "token": "x", AccountKey=x;
// and, in what is for a shell, --password x.
var (
	assignment = regexp.MustCompile(`([A-Za-z][A-Za-z0-9_.-]*)["'\]]*\s*[:=]\s*|\s--?([A-Za-z][A-Za-z0-9_.-]*)\s+`)
	assigned   = regexp.MustCompile(`^(?:"([^"]+)"|'([^']+)'|([^\s"',;&()-][^\s"',;&()]*))`)
)

// mask replaces what looks like a secret within a text.
func mask(text string) string {
	for _, form := range forms {
		text = maskGroups(form, text)
	}
	var out strings.Builder
	for {
		m := assignment.FindStringSubmatchIndex(text)
		if m == nil {
			return out.String() + text
		}
		name := text[max(m[2], m[4]):max(m[3], m[5])]
		out.WriteString(text[:m[1]])
		text = text[m[1]:]
		v := assigned.FindStringSubmatchIndex(text)
		if v == nil {
			continue
		}
		from, to := max(v[2], v[4], v[6]), max(v[3], v[5], v[7])
		if !strings.Contains(text[from:to], Masked) && named(name, text[from:to]) {
			out.WriteString(text[:from] + Masked)
			text = text[to:]
		}
	}
}

// maskGroups masks each match of an expression, or its group.
func maskGroups(form *regexp.Regexp, text string) string {
	var out strings.Builder
	at := 0
	for _, m := range form.FindAllStringSubmatchIndex(text, -1) {
		from, to := m[len(m)-2], m[len(m)-1]
		if text[from:to] == Masked {
			continue
		}
		out.WriteString(text[at:from] + Masked)
		at = to
	}
	return out.String() + text[at:]
}

// pairFlags are flags whose value is USER:PASSWORD.
var pairFlags = []string{"-u", "--user", "--proxy-user"}

// Mask returns a command's arguments with what looks like a secret masked, and
// in how many of them that was.
func Mask(args []string) (masked []string, count int) {
	masked = make([]string, len(args))
	for i, arg := range args {
		before := ""
		if i > 0 {
			before = args[i-1]
		}
		masked[i] = maskArgument(before, arg)
		if masked[i] != arg {
			count++
		}
	}
	return masked, count
}

// maskArgument masks one argument, which may be the value of the flag before it.
func maskArgument(before, arg string) string {
	if strings.HasPrefix(before, "-") && !strings.ContainsAny(before, "= ") {
		sure, doubtful := secretName(before)
		flag := strings.HasPrefix(arg, "--")
		if arg != "" && (sure && !flag || doubtful && !flag && !harmless(arg)) {
			return Masked
		}
		if user, _, ok := strings.Cut(arg, ":"); ok && slices.Contains(pairFlags, before) {
			return user + ":" + Masked
		}
	}
	return mask(arg)
}

// IsSecret reports whether a name with that value looks like a secret: what is
// told of its own accord under such a name, or in such a form, is refused.
func IsSecret(name, value string) bool {
	return named(name, value) || mask(value) != value
}

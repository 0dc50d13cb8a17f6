package observe

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// allowed are the environment variables that are noted of every run: what
// decides how it computes, and which job it was. None of them names a person.
var allowed = []string{
	// Which devices, how many threads, which order of computing.
	"CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES",
	"CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "TF_DETERMINISTIC_OPS", "TF_CUDNN_DETERMINISTIC", "XLA_FLAGS",
	"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GOMAXPROCS", "PYTHONHASHSEED",
	// Which process of many.
	"WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT",
	// Which job of a scheduler.
	"SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_CLUSTER_NAME", "SLURM_JOB_NUM_NODES", "SLURM_NTASKS",
	"SLURM_PROCID", "SLURM_RESTART_COUNT", "PBS_JOBID", "LSB_JOBID", "AWS_BATCH_JOB_ID", "AWS_BATCH_JOB_ATTEMPT", "TRAINING_JOB_NAME",
	// Which job of a build system.
	"GITHUB_REPOSITORY", "GITHUB_RUN_ATTEMPT", "GITHUB_RUN_ID", "GITHUB_SHA", "GITHUB_WORKFLOW_REF",
	"CI_COMMIT_SHA", "CI_JOB_ID", "CI_PIPELINE_ID", "CI_PROJECT_PATH", "BUILDKITE_BUILD_ID", "BUILD_TAG", "MLFLOW_RUN_ID", "WANDB_RUN_ID",
}

// maxValue is the longest value of a variable that is noted, in bytes.
const maxValue = 16 << 10

// Environment picks the variables that are noted, and those that were asked for
// by name. One that was asked for is an error if it is not set, or looks like a
// secret: the error says no value.
func Environment(env, asked []string) (map[string]string, error) {
	values := map[string]string{}
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		values[name] = value
	}
	noted := map[string]string{}
	for _, name := range allowed {
		if v, ok := values[name]; ok && v != "" && fits(v) && !IsSecret(name, v) {
			noted[name] = v
		}
	}
	for _, name := range asked {
		v, ok := values[name]
		switch {
		case !ok:
			return nil, fmt.Errorf("the environment has no %s", name)
		case IsSecret(name, v) || secretly(name):
			return nil, fmt.Errorf("the environment variable %s looks like a secret", name)
		case !fits(v):
			return nil, fmt.Errorf("the environment variable %s is not UTF-8, or longer than %d bytes", name, maxValue)
		}
		noted[name] = v
	}
	return noted, nil
}

func fits(value string) bool { return len(value) <= maxValue && utf8.ValidString(value) }

// secretly is stricter than what a command's argument is held to: any word of a
// variable's name may say that it is a secret, wherever it stands.
func secretly(name string) bool {
	return slices.ContainsFunc(wordsOf(name), func(w string) bool {
		switch w {
		case "key", "token", "secret", "secrets", "password", "passwd", "passphrase", "credential", "credentials", "auth", "cookie", "private", "pass":
			return true
		}
		return false
	})
}

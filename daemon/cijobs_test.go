package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/slipway-gateway/slipway/testdata/buildfolder"
	"github.com/slipway-gateway/slipway/testdata/crash"
)

// ciJob is a job as a CI system runs it: lines of a shell that ends at the first that fails, and an environment.
type ciJob struct {
	lines string
	env   map[string]string
}

// inputs are what a person writes into a job.
type inputs struct{ gateway, model, token, ca, folder, env, version string }

var expression = regexp.MustCompile(`\$\{\{\s*inputs\.(\w+)\s*\}\}`)

// githubJob is the composite action with its inputs, as the runner fills it in.
func githubJob(t *testing.T, in inputs) ciJob {
	t.Helper()
	var action struct {
		Inputs map[string]struct {
			Required bool
			Default  string
		}
		Runs struct {
			Using string
			Steps []struct {
				Shell, Run string
				Env        map[string]string
			}
		}
	}
	readYAML(t, "../testdata/ci/github/action.yml", &action)
	if action.Runs.Using != "composite" || len(action.Runs.Steps) != 1 || action.Runs.Steps[0].Shell != "sh" {
		t.Fatalf("%+v", action.Runs)
	}
	given := map[string]string{
		"gateway": in.gateway, "model": in.model, "token": in.token, "ca": in.ca, "folder": in.folder, "env": in.env, "version": in.version,
	}
	for name, input := range action.Inputs {
		if _, known := given[name]; !known {
			t.Errorf("the action takes %s, and the test does not", name)
		}
		if input.Required == (input.Default != "" || name == "env" || name == "version") {
			t.Errorf("input %s: required and a default, or neither", name)
		}
	}
	job := ciJob{action.Runs.Steps[0].Run, map[string]string{}}
	if strings.Contains(job.lines, "${{") {
		t.Error("an expression stands in the text of the script: whoever names a branch could run commands")
	}
	for name, value := range action.Runs.Steps[0].Env {
		job.env[name] = expression.ReplaceAllStringFunc(value, func(e string) string {
			input := expression.FindStringSubmatch(e)[1]
			if _, declared := action.Inputs[input]; !declared {
				t.Errorf("%s is no input", input)
			}
			return given[input]
		})
	}
	return job
}

// gitlabJob is the job that extends the hidden one.
func gitlabJob(t *testing.T, in inputs) ciJob {
	t.Helper()
	type job struct {
		Extends   string
		Script    []string
		Variables map[string]string
	}
	var jobs map[string]job
	readYAML(t, "../testdata/ci/gitlab/slipway.yml", &jobs)
	push := jobs["push"]
	base, ok := jobs[push.Extends]
	if !ok {
		t.Fatalf("push extends %q", push.Extends)
	}
	j := ciJob{strings.Join(base.Script, "\n"), base.Variables}
	for name, value := range push.Variables {
		j.env[name] = value
	}
	for name, value := range map[string]string{
		"SLIPWAY_URL": in.gateway, "SLIPWAY_MODEL": in.model, "SLIPWAY_CA": in.ca, "SLIPWAY_FOLDER": in.folder, "SLIPWAY_ENV": in.env, "SLIPWAY_VERSION": in.version,
	} {
		if _, there := j.env[name]; !there {
			t.Errorf("the job says nothing of %s", name)
		}
		j.env[name] = value
	}
	j.env["SLIPWAY_TOKEN"] = in.token // of the project, and in no file
	return j
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(name)
	must(t, err)
	must(t, yaml.Unmarshal(text, into))
}

// run runs the job in a checkout.
func (j ciJob) run(t *testing.T, folder string) (code int, out string) {
	t.Helper()
	script := filepath.Join(t.TempDir(), "job")
	must(t, os.WriteFile(script, []byte(j.lines), 0o600))
	cmd := exec.Command("sh", "-e", script)
	cmd.Dir = folder
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + folder, "TMPDIR=" + t.TempDir()}
	for name, value := range j.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), string(text)
	}
	must(t, err)
	return 0, string(text)
}

func TestTheJobsOfGitHubAndGitLabPushTheirBuildOrFail(t *testing.T) {
	t.Parallel()
	layouts, err := buildfolder.Layouts()
	must(t, err)
	for system, job := range map[string]func(*testing.T, inputs) ciJob{"GitHub": githubJob, "GitLab": gitlabJob} {
		t.Run(system, func(t *testing.T) {
			c := startCI(t)
			device := c.addDevice("pump")
			token := c.deviceToken(device.Key)
			ca := []byte(c.askAt("https", "/ca.crt"))
			for _, l := range layouts {
				if l.Name != "idf" && l.Name != "arduino_export" && l.Name != "platformio_espidf" {
					continue
				}
				version := map[string]string{"idf": "1.0.0", "platformio_espidf": "1.1.0", "arduino_export": l.Version}[l.Name]
				b, err := crash.Rebuilt(version, "", l.Arduino)
				must(t, err)
				folder := resolved(t)
				must(t, l.Lay(folder, t.TempDir(), t.TempDir(), version, b, b))
				must(t, os.WriteFile(filepath.Join(folder, "ca.crt"), ca, 0o600))
				c.cli("model", "set", "pump", "--project", "") // sketches and others take turns
				good := inputs{c.status().BaseURL, "pump", c.token, "ca.crt", ".", l.Env, l.Version}
				for why, change := range map[string]func(*inputs){
					"a wrong token":       func(in *inputs) { in.token = "wrong" },
					"no CA":               func(in *inputs) { in.ca = "" },
					"nobody answers":      func(in *inputs) { in.gateway = "https://127.0.0.1:1" },
					"another model":       func(in *inputs) { in.model = "pmup" },
					"no such folder":      func(in *inputs) { in.folder = "$(touch pwned)" },
					"no such environment": func(in *inputs) { in.env = "`touch pwned`" },
				} {
					bad := good
					change(&bad)
					code, out := job(t, bad).run(t, folder)
					if code == 0 || strings.Contains(c.builds(), " "+version+" ") || strings.Contains(out, c.token) {
						t.Errorf("%s, %s: exit %d: %s", l.Name, why, code, out)
					}
				}
				if _, err := os.Stat(filepath.Join(folder, "pwned")); err == nil {
					t.Errorf("%s: what was put in was run", l.Name)
				}
				code, out := job(t, good).run(t, folder)
				if code != 0 || !strings.Contains(out, "pump "+version+" pushed, devices are offered it now") || strings.Contains(out, c.token) {
					t.Errorf("%s: exit %d: %s", l.Name, code, out)
				}
				if a := c.ask("GET", "/api/iot/firmware", token, nil); !bytes.Equal(a.body, b.Image) || a.Header.Get("X-Firmware-Version") != version {
					t.Errorf("%s: the device gets %s %q", l.Name, a.Status, a.Header.Get("X-Firmware-Version"))
				}
			}
		})
	}
}

func TestTheWorkflowUsesTheActionAsItIs(t *testing.T) {
	var action struct {
		Inputs map[string]struct{ Required bool }
	}
	readYAML(t, "../testdata/ci/github/action.yml", &action)
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct {
				Uses string
				With map[string]string
			}
		}
	}
	readYAML(t, "../testdata/ci/github/workflow.yml", &workflow)
	used := 0
	for _, job := range workflow.Jobs {
		for _, step := range job.Steps {
			if step.Uses != "./.github/actions/slipway" {
				continue
			}
			used++
			for name := range step.With {
				if _, known := action.Inputs[name]; !known {
					t.Errorf("the action has no input %s", name)
				}
			}
			for name, input := range action.Inputs {
				if input.Required && step.With[name] == "" {
					t.Errorf("the input %s is missing", name)
				}
			}
		}
	}
	if used != 1 {
		t.Errorf("it is used %d times", used)
	}
}

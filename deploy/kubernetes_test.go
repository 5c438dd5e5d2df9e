package deploy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/compozy/schedules/api"
	"github.com/compozy/schedules/config"
)

const kubernetes = "kubernetes"

func TestManifests(t *testing.T) {
	t.Run("Should be what Kubernetes and the Prometheus operator know", func(t *testing.T) {
		for path, text := range manifests(t) {
			for _, object := range objects(t, text) {
				assert.NoError(t, check(t, object), path)
			}
		}
	})
	t.Run("Should be checked strictly", func(t *testing.T) {
		text := read(t, filepath.Join(kubernetes, "deployment.yaml"))
		for _, broken := range [][2]string{
			{"replicas: 2", `replicas: "2"`},
			{"terminationGracePeriodSeconds", "terminationGracePeriod"},
			{"readOnlyRootFilesystem", "readOnlyRootFileSystem"},
			{"- name: http\n", "- nam: http\n"},
			{"apiVersion: apps/v1", "apiVersion: apps/v1beta1"},
		} {
			wrong := strings.Replace(text, broken[0], broken[1], 1)
			require.NotEqual(t, text, wrong)
			assert.Error(t, check(t, objects(t, wrong)[0]), broken[1])
		}
	})
	t.Run("Should be rendered by kustomize, with the monitoring component too", func(t *testing.T) {
		build := kustomize(t)
		dir := filepath.Join(t.TempDir(), kubernetes)
		require.NoError(t, os.CopyFS(dir, os.DirFS(kubernetes)))
		path := filepath.Join(dir, "kustomization.yaml")
		offered := strings.NewReplacer("# components:\n", "components:\n", "#   - monitoring\n", "  - monitoring\n")
		require.NoError(t, os.WriteFile(path, []byte(offered.Replace(read(t, path))), 0o600))
		out, err := exec.Command(build[0], append(build[1:], dir)...).Output()
		require.NoError(t, err)
		var kinds []string
		for _, object := range objects(t, string(out)) {
			assert.NoError(t, check(t, object))
			assert.NotContains(t, object["metadata"], "namespace", "it is the user's choice")
			kinds = append(kinds, fmt.Sprint(object["kind"]))
		}
		slices.Sort(kinds)
		assert.Equal(t, []string{
			"ConfigMap", "ConfigMap", "Deployment", "NetworkPolicy", "NetworkPolicy", "PodDisruptionBudget", "Service",
			"ServiceAccount", "ServiceMonitor",
		}, kinds)
	})
}

func TestDeployment(t *testing.T) {
	var d deployment
	decode(t, filepath.Join(kubernetes, "deployment.yaml"), &d)
	var k kustomization
	decode(t, filepath.Join(kubernetes, "kustomization.yaml"), &k)
	pod := d.Spec.Template.Spec
	container := pod.Containers[0]
	environ := []string{}
	for _, variable := range container.Env {
		environ = append(environ, variable.Name+"="+variable.Value)
	}
	environ = append(environ, lines(read(t, filepath.Join(kubernetes, "settings.env")))...)

	t.Run("Should have only settings that exist", func(t *testing.T) {
		got := settings(t, container.Args, append(environ, apiKey))
		assert.Equal(t, container.VolumeMounts[0].MountPath, got.Project)
		assert.True(t, got.Watch)
	})
	t.Run("Should ask for authentication where it listens", func(t *testing.T) {
		options := api.Options{Settings: settings(t, container.Args, environ), Logger: slog.New(slog.DiscardHandler)}
		_, err := api.New(options)
		assert.ErrorContains(t, err, "is not loopback, and nobody is asked for a key")
		options.Settings = settings(t, container.Args, append(environ, apiKey))
		server, err := api.New(options)
		require.NoError(t, err)
		server.Close()
	})
	t.Run("Should probe and serve what answers", func(t *testing.T) {
		got := settings(t, container.Args, append(environ, apiKey))
		assert.Equal(t, fmt.Sprintf("0.0.0.0:%d", container.Ports[0].ContainerPort), got.Listen)
		server, err := api.New(api.Options{Settings: got, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		defer server.Close()
		for _, p := range []probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
			assert.Equal(t, container.Ports[0].Name, p.HTTPGet.Port)
			// The kubelet calls the pod's address, without a key.
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://10.1.2.3:8080"+p.HTTPGet.Path, nil)
			answer := httptest.NewRecorder()
			server.Handler().ServeHTTP(answer, request)
			assert.Equal(t, http.StatusOK, answer.Code, p.HTTPGet.Path)
		}
		var s service
		decode(t, filepath.Join(kubernetes, "service.yaml"), &s)
		assert.Equal(t, container.Ports[0].Name, s.Spec.Ports[0].TargetPort)
		var m serviceMonitor
		decode(t, filepath.Join(kubernetes, "monitoring/servicemonitor.yaml"), &m)
		assert.Equal(t, s.Spec.Ports[0].Name, m.Spec.Endpoints[0].Port)
	})
	t.Run("Should refer to what is there", func(t *testing.T) {
		generated := map[string]bool{}
		for _, g := range k.ConfigMapGenerator {
			generated[g.Name] = true
		}
		assert.True(t, generated[pod.Volumes[0].ConfigMap.Name])
		assert.True(t, generated[container.EnvFrom[0].ConfigMapRef.Name])
		assert.Equal(t, pod.Volumes[0].Name, container.VolumeMounts[0].Name)
		assert.Empty(t, container.VolumeMounts[0].SubPath, "it would never change")
		assert.Equal(t, k.Images[0].Name, container.Image)
	})
}

func TestProjectMount(t *testing.T) {
	t.Run("Should name every file, and load as Kubernetes mounts it", func(t *testing.T) {
		var k kustomization
		decode(t, filepath.Join(kubernetes, "kustomization.yaml"), &k)
		there, err := filepath.Glob(filepath.Join(kubernetes, "project/*"))
		require.NoError(t, err)
		var named []string
		mount := t.TempDir()
		version := filepath.Join(mount, "..2026_11_23_03_40_59.1234")
		require.NoError(t, os.Mkdir(version, 0o755))
		require.NoError(t, os.Symlink(filepath.Base(version), filepath.Join(mount, "..data")))
		for _, file := range k.ConfigMapGenerator[1].Files {
			path := filepath.Join(kubernetes, file)
			named = append(named, path)
			name := filepath.Base(file)
			require.NoError(t, os.WriteFile(filepath.Join(version, name), []byte(read(t, path)), 0o444))
			require.NoError(t, os.Symlink(filepath.Join("..data", name), filepath.Join(mount, name)))
		}
		assert.ElementsMatch(t, there, named)
		project, err := config.Load(mount)
		require.NoError(t, err)
		assert.Len(t, project.Scheduled(), len(named)-1)
	})
}

// manifests are the texts of all files that Kubernetes itself reads, by path.
func manifests(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*.yaml", "monitoring/*.yaml"} {
		paths, err := filepath.Glob(filepath.Join(kubernetes, pattern))
		require.NoError(t, err)
		for _, path := range paths {
			if filepath.Base(path) != "kustomization.yaml" {
				texts[path] = read(t, path)
			}
		}
	}
	require.Len(t, texts, 7)
	return texts
}

// objects are the documents of a manifest. A key that stands twice is an error.
func objects(t *testing.T, text string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for decoder := yaml.NewDecoder(strings.NewReader(text)); ; {
		var object map[string]any
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			require.NotEmpty(t, found)
			return found
		}
		require.NoError(t, err)
		found = append(found, object)
	}
}

// check looks whether an object fits its kind. See testdata/trim for where the kinds come from.
func check(t *testing.T, object map[string]any) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(read(t, "testdata/kubernetes.schema.json"))))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("kubernetes.json", doc))
	kind := fmt.Sprintf("%v %v", object["apiVersion"], object["kind"])
	schema, err := compiler.Compile("kubernetes.json#/$defs/" + strings.NewReplacer("/", "~1", " ", "%20").Replace(kind))
	if err != nil {
		return err
	}
	return schema.Validate(object)
}

// kustomize is the command that renders a directory. Rendering needs no cluster.
func kustomize(t *testing.T) []string {
	t.Helper()
	for _, command := range [][]string{{"kustomize", "build"}, {"kubectl", "kustomize"}} {
		if _, err := exec.LookPath(command[0]); err == nil {
			return command
		}
	}
	t.Skip("neither kustomize nor kubectl is on PATH")
	return nil
}

func decode(t *testing.T, path string, into any) {
	t.Helper()
	require.NoError(t, yaml.Unmarshal([]byte(read(t, path)), into), path)
}

// What the tests look at; that the rest is right, the schema says.
type (
	deployment struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []container `yaml:"containers"`
					Volumes    []struct {
						Name      string `yaml:"name"`
						ConfigMap named  `yaml:"configMap"`
					} `yaml:"volumes"`
				} `yaml:"spec"`
			} `yaml:"template"`
		} `yaml:"spec"`
	}
	container struct {
		Image string   `yaml:"image"`
		Args  []string `yaml:"args"`
		Env   []struct {
			Name  string `yaml:"name"`
			Value string `yaml:"value"`
		} `yaml:"env"`
		EnvFrom []struct {
			ConfigMapRef named `yaml:"configMapRef"`
		} `yaml:"envFrom"`
		Ports []struct {
			Name          string `yaml:"name"`
			ContainerPort int    `yaml:"containerPort"`
		} `yaml:"ports"`
		StartupProbe   probe `yaml:"startupProbe"`
		LivenessProbe  probe `yaml:"livenessProbe"`
		ReadinessProbe probe `yaml:"readinessProbe"`
		VolumeMounts   []struct {
			Name      string `yaml:"name"`
			MountPath string `yaml:"mountPath"`
			SubPath   string `yaml:"subPath"`
		} `yaml:"volumeMounts"`
	}
	probe struct {
		HTTPGet struct {
			Path string `yaml:"path"`
			Port string `yaml:"port"`
		} `yaml:"httpGet"`
	}
	named struct {
		Name string `yaml:"name"`
	}
	service struct {
		Spec struct {
			Ports []struct {
				Name       string `yaml:"name"`
				TargetPort string `yaml:"targetPort"`
			} `yaml:"ports"`
		} `yaml:"spec"`
	}
	serviceMonitor struct {
		Spec struct {
			Endpoints []struct {
				Port string `yaml:"port"`
			} `yaml:"endpoints"`
		} `yaml:"spec"`
	}
	kustomization struct {
		Images             []named `yaml:"images"`
		ConfigMapGenerator []struct {
			Name  string   `yaml:"name"`
			Files []string `yaml:"files"`
		} `yaml:"configMapGenerator"`
	}
)

// Render the templates of a Helm chart with Go's own template engine and those of Helm's functions that the chart
// uses. Usage: render CHART < VALUES; VALUES is the JSON of {"Values": ..., "Release": ..., "Chart": ...}.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"text/template"
)

func main() {
	if err := render(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func render(chart string) error {
	var values map[string]any
	if err := json.NewDecoder(os.Stdin).Decode(&values); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	if err != nil {
		return err
	}
	root := template.New("chart").Option("missingkey=error")
	root.Funcs(functions(root))
	if _, err := root.ParseFiles(files...); err != nil {
		return err
	}
	for _, file := range files {
		if !strings.HasSuffix(file, ".yaml") {
			continue
		}
		var out bytes.Buffer
		if err := root.ExecuteTemplate(&out, filepath.Base(file), values); err != nil {
			return err
		}
		fmt.Printf("\n---\n%s", out.String())
	}
	return nil
}

func functions(root *template.Template) template.FuncMap {
	return template.FuncMap{
		"include": func(name string, data any) (string, error) {
			var out strings.Builder
			err := root.ExecuteTemplate(&out, name, data)
			return out.String(), err
		},
		"fail":       func(text string) (string, error) { return "", errors.New(text) },
		"default":    func(otherwise, value any) any { return choose(otherwise, value) },
		"quote":      func(value any) string { return fmt.Sprintf("%q", text(value)) },
		"nindent":    func(spaces int, value string) string { return "\n" + indent(spaces, value) },
		"trunc":      func(length int, value string) string { return value[:min(length, len(value))] },
		"trimSuffix": func(suffix, value string) string { return strings.TrimSuffix(value, suffix) },
		"sha256sum":  func(value string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(value))) },
		"int":        func(value any) int { return int(value.(float64)) },
		"add":        func(value any, more int) int { return int(value.(float64)) + more },
		"toYaml": func(value any) (string, error) { // JSON is YAML
			encoded, err := json.MarshalIndent(value, "", "  ")
			return string(encoded), err
		},
	}
}

func choose(otherwise, value any) any {
	if value == nil || reflect.ValueOf(value).IsZero() {
		return otherwise
	}
	return value
}

func text(value any) string {
	if number, ok := value.(float64); ok && number == float64(int64(number)) {
		return fmt.Sprint(int64(number))
	}
	return fmt.Sprint(value)
}

func indent(spaces int, value string) string {
	pad := strings.Repeat(" ", spaces)
	return pad + strings.ReplaceAll(strings.TrimSuffix(value, "\n"), "\n", "\n"+pad)
}

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSecurityPage: the files and fuzz targets that SECURITY.md names exist.
func TestSecurityPage(t *testing.T) {
	page, err := os.ReadFile("../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(string(page), -1) {
		if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
			t.Errorf("SECURITY.md links to what is not there: %v", err)
		}
	}
	found, err := exec.Command("grep", "-rhoE", "--include=*_test.go", `^func Fuzz\w+`, "..").Output()
	if err != nil {
		t.Fatal("list fuzz targets:", err)
	}
	targets := strings.Fields(string(found))
	for _, name := range regexp.MustCompile(`\bFuzz\w+`).FindAllString(string(page), -1) {
		if !slices.Contains(targets, name) {
			t.Errorf("SECURITY.md names %s, which is no fuzz target", name)
		}
	}
}

package peers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// servePage has the server offer the page that plays the scenarios. What the page reports is sent to the channel.
func (s *server) servePage() (reported <-chan string) {
	reports := make(chan string, 1)
	for _, file := range []string{"page.html", "play.mjs"} {
		s.mux.HandleFunc("GET /"+file, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFile(w, r, filepath.Join("testdata", file))
		})
	}
	s.mux.HandleFunc("POST /report", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case reports <- string(body):
		default:
		}
	})
	return reports
}

// waitPage waits for what a page reports.
func (r reports) waitPage(t *testing.T, reported <-chan string) {
	t.Helper()
	select {
	case text := <-reported:
		for line := range strings.Lines(text) {
			if !r.add(strings.TrimSpace(line)) {
				t.Errorf("got line %q from the page, want a report", line)
			}
		}
	case <-time.After(2 * patience): // for all scenarios, and the start of the browser
		t.Error("the page reports nothing")
	}
}

// lookAny returns the path of the first of the programs that is installed.
func lookAny(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, fmt.Errorf("none of %s", strings.Join(names, ", ")))
	return ""
}

func findChromium(t *testing.T) string {
	t.Helper()
	return lookAny(t, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
}

func chromiumVersion(t *testing.T) string { return versionOf(t, 1, findChromium(t), "--version") }

func playChromium(t *testing.T, s *server, r reports) {
	reported := s.servePage()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(findChromium(t)),
		chromedp.DisableGPU,
		// The tests talk to loopback only, and so shall the browser.
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
	)
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's sandbox refuses root
	}
	allocated, release := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(release) // waits for the process and removes its profile
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(func() {
		bounded, stop := context.WithTimeout(ctx, patience)
		defer stop()
		if err := chromedp.Cancel(bounded); err != nil {
			t.Errorf("closing the browser: %v", err)
		}
		cancel()
	})
	late := time.AfterFunc(patience, cancel) // a deadline of the context would end the browser later
	if err := chromedp.Do(ctx, chromedp.Navigate(s.url+"/page.html")); err != nil {
		t.Fatal(err)
	}
	late.Stop()
	r.waitPage(t, reported)
}

func findFirefox(t *testing.T) string {
	t.Helper()
	return lookAny(t, "firefox-esr", "firefox")
}

func firefoxVersion(t *testing.T) string { return versionOf(t, 2, findFirefox(t), "--version") }

// firefoxPreferences keep a fresh profile from opening other pages. All requests to hosts other than loopback go to a
// proxy that there is not.
const firefoxPreferences = `
user_pref("browser.aboutwelcome.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.proxy.type", 1);
user_pref("network.proxy.http", "127.0.0.1");
user_pref("network.proxy.http_port", 9);
user_pref("network.proxy.ssl", "127.0.0.1");
user_pref("network.proxy.ssl_port", 9);
user_pref("toolkit.telemetry.reportingpolicy.firstRun", false);
`

func playFirefox(t *testing.T, s *server, r reports) {
	reported := s.servePage()
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "user.js"), []byte(firefoxPreferences), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, "env", "HOME="+home, "MOZ_CRASHREPORTER_DISABLE=1",
		findFirefox(t), "--headless", "--no-remote", "--profile", home, s.url+"/page.html")
	r.waitPage(t, reported)
}

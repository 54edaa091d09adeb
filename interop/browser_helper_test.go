package interop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// patience bounds every wait for a browser. What is waited for comes within a
// second or two; a busy machine may take much longer.
const patience = 30 * time.Second

// A browser is one headless Chromium with a fresh profile, which ends with the
// test that started it.
type browser struct {
	t   *testing.T
	ctx context.Context
}

// startBrowser skips the test where no Chromium is installed. In CI, which sets
// WEBSOCKET_REQUIRE_BROWSER, that is a failure instead.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := findBrowser()
	if err != nil && os.Getenv("WEBSOCKET_REQUIRE_BROWSER") != "" {
		t.Fatalf("no Chromium found: %v; WEBSOCKET_REQUIRE_BROWSER is set", err)
	}
	if err != nil {
		t.Skipf("no Chromium found: %v; make interop installs it on Debian", err)
	}

	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
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
	ctx := start(t, allocated)
	return &browser{t, ctx}
}

func findBrowser() (path string, err error) {
	names := []string{
		"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
		"/Applications/Chromium.app/Contents/MacOS/Chromium",
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("none of %s is installed", strings.Join(names, ", "))
}

// start makes a chromedp context and lets it start its browser or open its tab,
// which ends with the test.
func start(t *testing.T, parent context.Context, options ...chromedp.ContextOption) context.Context {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, options...)
	t.Cleanup(func() {
		bounded, stop := context.WithTimeout(ctx, patience)
		defer stop()
		// The tab may have been closed by the test, and then there is nothing to cancel.
		if err := chromedp.Cancel(bounded); err != nil && ctx.Err() == nil {
			t.Errorf("closing the browser or tab: %v", err)
		}
		cancel()
	})
	// The first use of a context must not have a deadline: the browser would end with it.
	late := time.AfterFunc(patience, cancel)
	defer late.Stop()
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting the browser or a tab: %v", err)
	}
	return ctx
}

// A tab is one page in a window and a profile of its own, so that it shares no
// localStorage and no cookies with other tabs.
type tab struct {
	t    *testing.T
	name string // says in failures which tab it was
	ctx  context.Context

	mu       sync.Mutex
	messages []chromedp.ConsoleMessage
	arrived  chan struct{} // has a value when messages have come since it was last looked at
}

// open returns when the page at url has loaded.
func (b *browser) open(name, url string) *tab {
	b.t.Helper()
	p := &tab{t: b.t, name: name, arrived: make(chan struct{}, 1)}
	p.ctx = start(b.t, b.ctx, chromedp.WithNewBrowserContext(), chromedp.WithNewWindow(true))

	console := chromedp.Console(p.ctx)
	go func() { // ends with the tab
		for m, err := range console {
			if err != nil {
				return
			}
			p.mu.Lock()
			p.messages = append(p.messages, m)
			p.mu.Unlock()
			select {
			case p.arrived <- struct{}{}:
			default:
			}
		}
	}()
	p.do("load the page", chromedp.Navigate(url))
	return p
}

// close closes the tab as a user does.
func (p *tab) close() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Cancel(ctx); err != nil {
		p.t.Fatalf("%s: closing the tab: %v", p.name, err)
	}
}

// do carries out steps, or ends the test.
func (p *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: cannot %s: %v", p.name, what, err)
	}
}

// wait returns when condition, a JavaScript expression, has become true, or
// ends the test.
func (p *tab) wait(what, condition string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[bool]("Boolean("+condition+")",
		chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(0)))
	if err != nil {
		shown := eval[string](p, "document.body.innerText")
		p.t.Fatalf("%s: not seen: %s: %v; the page shows:\n%s", p.name, what, err, shown)
	}
}

// eval returns the value of a JavaScript expression.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: evaluating %s: %v", p.name, expression, err)
	}
	return v
}

// problems returns the warnings, errors and uncaught exceptions that the page
// has had so far.
func (p *tab) problems() []string {
	p.t.Helper()
	// The console keeps its order: when our own line has come, so has all before it.
	p.mu.Lock()
	mark := fmt.Sprint("end of the console ", len(p.messages))
	p.mu.Unlock()
	eval[bool](p, "console.log("+strconv.Quote(mark)+") || true")
	late := time.After(patience)
	for {
		p.mu.Lock()
		var problems []string
		complete := false
		for _, m := range p.messages {
			complete = complete || m.Text == mark
			if m.IsException() || m.Type == "error" || m.Type == "warning" || m.Type == "assert" {
				problems = append(problems, m.String())
			}
		}
		p.mu.Unlock()
		if complete {
			return problems
		}
		select {
		case <-p.arrived:
		case <-late:
			p.t.Fatalf("%s: the console does not answer", p.name)
		}
	}
}

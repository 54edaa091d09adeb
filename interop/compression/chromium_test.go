package compression

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// A page is an empty one in a headless Chromium.
type page struct{ ctx context.Context }

func startChromium(t *testing.T) *page {
	t.Helper()
	path, err := findChromium()
	if err != nil {
		missing(t, err.Error())
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
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(func() {
		bounded, stop := context.WithTimeout(ctx, patience)
		defer stop()
		if err := chromedp.Cancel(bounded); err != nil { // so that the browser removes its files
			t.Errorf("closing the browser: %v", err)
		}
		cancel()
	})
	// The first use of a context must not have a deadline: the browser would end with it.
	late := time.AfterFunc(patience, cancel)
	defer late.Stop()
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	// A page of loopback may connect to loopback; about:blank may not.
	address := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
	})
	bounded, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if err := chromedp.Do(bounded, chromedp.Navigate("http://"+address+"/")); err != nil {
		t.Fatal(err)
	}
	return &page{ctx}
}

func findChromium() (path string, err error) {
	names := []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("none of %s", strings.Join(names, ", "))
}

// echoScript is an echo, whose value is the code of the end.
const echoScript = `new Promise(resolve => {
	const ws = new WebSocket(%q);
	ws.binaryType = 'arraybuffer';
	ws.onmessage = e => e.data === 'close' ? ws.close(1000, 'done') : ws.send(e.data);
	ws.onclose = e => resolve(e.wasClean ? e.code : -e.code);
})`

// client is the page as an echo client.
func (p *page) client() peer {
	return peer{dial: func(t *testing.T, url string, ended chan<- int) {
		ctx, cancel := context.WithTimeout(p.ctx, 2*patience)
		done := make(chan struct{})
		t.Cleanup(func() {
			cancel()
			<-done
		})
		go func() { // ends with the connection or the test
			defer close(done)
			code, err := chromedp.Run(ctx, chromedp.Evaluate[int](fmt.Sprintf(echoScript, url), chromedp.EvalAwaitPromise))
			if err != nil {
				t.Errorf("the page: %v", err)
			}
			ended <- code
		}()
	}}
}

func TestChromium(t *testing.T) {
	p := startChromium(t)
	const (
		offer = "permessage-deflate; client_max_window_bits"
		none  = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	)
	for _, n := range []negotiation{
		{name: "plain", large: true, offer: offer, answer: none},
		{name: "takeover", options: takeover, offer: offer, answer: "permessage-deflate"},
	} {
		n.peer = p.client()
		n.messages = exchangeOf(n.large)
		t.Run(n.name, n.run)
	}
	for bits := 8; bits <= 15; bits++ {
		n := windowNegotiations(bits, peer{}, p.client())[1]
		t.Run(fmt.Sprint("window ", bits), n.run)
	}
}

//go:build unix

package interop

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var screenshots = flag.Bool("screenshots", false, "write the pictures of the README")

// The page of the chat fits a phone and a desk, by day and by night.
func TestChatPageFits(t *testing.T) {
	b := startBrowser(t)
	server := startChat(t)
	ann := b.open("Ann", server.url+"?name=Ann")
	ann.waitState("connected")
	bob := b.open("Bob", server.url+"?name=Bob")
	bob.waitState("connected")
	ann.say("Shall we meet at five?")
	bob.waitMessage("Ann", "Shall we meet at five?")
	bob.say("Yes, where the tea is. I will bring the plans of the new house, and you the pencils.")
	ann.waitMessage("Bob", "Yes, where the tea is. I will bring the plans of the new house, and you the pencils.")
	ann.say("See you there")
	ann.waitDelivered("See you there")
	ann.checkLayout(t, "chat", 1280)
	server.stop()
}

// checkLayout checks that nothing of the page of an example is beside the window, on a phone and on a desk, by day and
// by night. With -screenshots it takes pictures of one width, which the README shows.
func (p *tab) checkLayout(t *testing.T, example string, pictured int64) {
	t.Helper()
	const right = "Math.max(...[...document.querySelectorAll('body *')].map(e => e.getBoundingClientRect().right))"
	for _, width := range []int64{360, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			p.do("resize", chromedp.EmulateViewport(width, 640))
			p.do("set the scheme", func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
				_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
				})
				return chromedp.Void{}, err
			})
			if got := eval[int64](p, right); got > width {
				t.Errorf("%s: got something of the page at %d, in a window of %d", p.name, got, width)
			}
			if *screenshots && width == pictured {
				p.picture(fmt.Sprintf("../examples/%s/page-%d-%s.png", example, width, scheme))
			}
		}
	}
}

// picture writes what the window shows to a file.
func (p *tab) picture(file string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(file, png, 0o644)
	}
	if err != nil {
		p.t.Fatalf("%s: taking a picture: %v", p.name, err)
	}
}

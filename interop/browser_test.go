//go:build unix

package interop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/switching-protocols/websocket"
)

// A chatServer is examples/chat as its users run it: a process of its own. It
// can be stopped, and started again on the same port. (The go command does not
// know that these tests depend on it: run them with -count=1.)
type chatServer struct {
	t      *testing.T
	binary string
	url    string // set by the first start
	cmd    *exec.Cmd
	rest   chan string // what the process has printed after its first line
}

func startChat(t *testing.T) *chatServer {
	t.Helper()
	s := &chatServer{t: t, binary: filepath.Join(t.TempDir(), "chat")}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", s.binary, "github.com/switching-protocols/websocket/examples/chat")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	s.start()
	return s
}

func (s *chatServer) start() {
	s.t.Helper()
	addr := "127.0.0.1:0"
	if s.url != "" {
		addr = strings.TrimSuffix(strings.TrimPrefix(s.url, "http://"), "/")
	}
	cmd := exec.Command(s.binary, "-addr", addr)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.cmd = cmd
	s.t.Cleanup(func() {
		if cmd.ProcessState == nil { // the test has failed before it stopped the server
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})

	first := make(chan string, 1)
	s.rest = make(chan string, 1)
	go func() { // ends with the process
		lines := bufio.NewReader(stdout)
		line, _ := lines.ReadString('\n')
		first <- line
		rest, _ := io.ReadAll(lines)
		s.rest <- string(rest)
	}()
	select {
	case line := <-first:
		url, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "chat: open ")
		if !ok || s.url != "" && url != s.url {
			s.t.Fatalf("got line %q from the server, want its address %s", line, s.url)
		}
		s.url = url
	case <-time.After(patience):
		s.t.Fatal("the server does not start")
	}
}

// stop asks the server to end, as a service manager does.
func (s *chatServer) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	kill := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	rest := <-s.rest
	if err := s.cmd.Wait(); err != nil {
		s.t.Fatalf("the server after SIGTERM: %v", err)
	}
	if rest != "" {
		s.t.Errorf("got %q from the server after its first line, want nothing", rest)
	}
}

// freeze stops the server's clock: the kernel goes on to take bytes for it.
func (s *chatServer) freeze() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		s.t.Fatal(err)
	}
}

// thaw lets a frozen server go on.
func (s *chatServer) thaw() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		s.t.Fatal(err)
	}
}

// kill ends the server as a crash does.
func (s *chatServer) kill() {
	s.t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	<-s.rest
	if err := s.cmd.Wait(); err == nil {
		s.t.Fatal("the killed server has ended well")
	}
}

// What a test does and sees on the page of the chat.

func (p *tab) waitState(state string) {
	p.t.Helper()
	p.wait("the state "+state, fmt.Sprintf("document.querySelector('#state').dataset.state === %q", state))
}

// messages is an expression for the messages on the page that have these words.
func messages(class, text string) string {
	return fmt.Sprintf("[...document.querySelectorAll('#messages .message%s')]"+
		".filter(m => m.querySelector('.text').textContent === %q)", class, text)
}

// waitMessage waits until what another person wrote is there once, with the name.
func (p *tab) waitMessage(author, text string) {
	p.t.Helper()
	p.wait(fmt.Sprintf("the message %q by %s", text, author),
		fmt.Sprintf("(ms => ms.length === 1 && ms[0].querySelector('.name').textContent === %q && ms[0].querySelector('time'))(%s)",
			author, messages(":not(.own)", text)))
}

// waitDelivered waits until our own message is there once, with the server's time.
func (p *tab) waitDelivered(text string) {
	p.t.Helper()
	p.wait(fmt.Sprintf("the delivery of %q", text),
		fmt.Sprintf("(ms => ms.length === 1 && ms[0].querySelector('time'))(%s)", messages(".own:not(.pending)", text)))
}

func (p *tab) waitNotice(text string) {
	p.t.Helper()
	p.wait(fmt.Sprintf("the notice %q", text),
		fmt.Sprintf("[...document.querySelectorAll('#messages .notice')].some(n => n.textContent === %q)", text))
}

func (p *tab) waitPeople(names ...string) {
	p.t.Helper()
	p.wait(fmt.Sprintf("the people %q", names),
		fmt.Sprintf("[...document.querySelectorAll('#people-list bdi')].map(b => b.textContent).sort().join() === %q", strings.Join(names, ",")))
}

func (p *tab) typeText(text string) {
	p.t.Helper()
	p.do("type "+strconv.Quote(text), chromedp.SendKeys(chromedp.CSS("#text"), text))
}

func (p *tab) say(text string) {
	p.t.Helper()
	p.typeText(text)
	p.do("send it", chromedp.Click(chromedp.CSS("#send")))
}

// pressEnter sends no char event, which chromedp's own KeyEvent would type into
// the page although the page has handled the key.
func (p *tab) pressEnter() {
	p.t.Helper()
	p.do("press Enter", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		var err error
		for _, half := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
			_, one := cdp.Call(ctx, t, input.DispatchKeyEvent, input.DispatchKeyEventParams{
				Type: half, Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 13, NativeVirtualKeyCode: 13,
			})
			err = errors.Join(err, one)
		}
		return chromedp.Void{}, err
	})
}

// talk lets two people write to each other.
func talk(a, b *tab, round string) {
	a.t.Helper()
	for _, way := range []struct{ from, to *tab }{{a, b}, {b, a}} {
		text := fmt.Sprintf("%s to %s, %s", way.from.name, way.to.name, round)
		way.from.say(text)
		way.to.waitMessage(way.from.name, text)
		way.from.waitDelivered(text)
	}
}

// wantConsole checks that p has complained of nothing, except of not reaching
// the server where mayFail says so.
func (p *tab) wantConsole(s *chatServer, mayFail bool) {
	p.t.Helper()
	expected := "WebSocket connection to 'ws" + strings.TrimPrefix(s.url, "http") + "' failed: "
	failures := 0
	for _, problem := range p.problems() {
		if !strings.Contains(problem, expected) || !strings.Contains(problem, "net::ERR_CONNECTION_") {
			p.t.Errorf("%s: got %q in the console", p.name, problem)
			continue
		}
		failures++
	}
	if !mayFail && failures > 0 {
		p.t.Errorf("%s: got %d failed connections in the console, want none", p.name, failures)
	}
}

// Two people in two windows talk, the server is restarted, and they talk again.
func TestChatSurvivesRestart(t *testing.T) {
	b := startBrowser(t)
	server := startChat(t)

	ann := b.open("Ann", server.url+"?name=Ann")
	ann.waitState("connected")
	ann.waitPeople("Ann")
	bob := b.open("Bob", server.url)
	bob.do("choose a name", chromedp.SendKeys(chromedp.CSS("#name"), "Bob"), chromedp.Click(chromedp.CSS("#join")))
	bob.waitState("connected")
	ann.waitNotice("Bob joined")
	ann.waitPeople("Ann", "Bob")
	bob.waitPeople("Ann", "Bob")
	talk(ann, bob, "before")
	ann.wantConsole(server, false)
	bob.wantConsole(server, false)

	ann.typeText("half a")
	server.stop()
	for _, p := range []*tab{ann, bob} {
		p.waitState("reconnecting")
		p.wait("the words about it", "document.querySelector('#lost').checkVisibility() && "+
			"document.querySelector('#state').innerText === 'Reconnecting…'")
	}
	const offline = "written while the server was down"
	bob.say(offline)
	bob.wait("that the message waits", messages(".own.pending", offline)+".length === 1")

	server.start()
	for _, p := range []*tab{ann, bob} {
		p.waitState("connected")
		p.wait("that the words are gone", "!document.querySelector('#lost').checkVisibility()")
		p.waitPeople("Ann", "Bob")
	}
	ann.waitMessage("Bob", offline)
	bob.waitDelivered(offline)
	if got := eval[string](ann, "document.querySelector('#text').value"); got != "half a" {
		t.Errorf("got %q where Ann is writing, want what she had typed before", got)
	}
	ann.say(" sentence")
	bob.waitMessage("Ann", "half a sentence")
	ann.typeText("sent with Enter")
	ann.pressEnter()
	bob.waitMessage("Ann", "sent with Enter")
	ann.wait("an empty box", "document.querySelector('#text').value === ''")
	talk(ann, bob, "after")

	bob.do("load the page again", chromedp.Reload())
	bob.waitState("connected")
	bob.waitMessage("Ann", "half a sentence")
	bob.waitDelivered(offline) // in the history it is still his own
	ann.wantConsole(server, true)
	bob.wantConsole(server, true)

	bob.close()
	ann.waitNotice("Bob left")
	ann.waitPeople("Ann")
	server.stop()
}

// The server dies with a message that it has received and has not read. The
// page does not take the message for delivered, and sends it again.
func TestChatSurvivesCrash(t *testing.T) {
	b := startBrowser(t)
	server := startChat(t)
	ann := b.open("Ann", server.url+"?name=Ann")
	bob := b.open("Bob", server.url+"?name=Bob")
	ann.waitState("connected")
	ann.waitPeople("Ann", "Bob")
	talk(ann, bob, "before")

	const lost = "sent into the void"
	server.freeze()
	ann.say(lost)
	ann.wait("that the message is on its way", messages(".own.pending", lost)+".length === 1")
	server.kill()
	ann.waitState("reconnecting")
	server.start()
	bob.waitMessage("Ann", lost)
	ann.waitDelivered(lost)
	talk(ann, bob, "after")
	server.stop()
}

// The server hangs, and goes on when the page has given the connection up. It
// then gets a message twice, and everyone sees it once.
func TestChatSurvivesHang(t *testing.T) {
	b := startBrowser(t)
	server := startChat(t)
	ann := b.open("Ann", server.url+"?name=Ann")
	bob := b.open("Bob", server.url+"?name=Bob")
	ann.waitState("connected")
	ann.waitPeople("Ann", "Bob")
	talk(ann, bob, "before")

	const twice = "sent twice"
	server.freeze()
	ann.say(twice)
	ann.waitState("reconnecting")
	server.thaw()
	ann.waitState("connected")
	bob.waitState("connected")
	bob.waitMessage("Ann", twice)
	ann.waitDelivered(twice)
	talk(ann, bob, "after")
	for _, p := range []*tab{ann, bob} {
		for _, text := range []string{"Ann to Bob, before", "Bob to Ann, before", twice, "Ann to Bob, after"} {
			if n := eval[int](p, messages("", text)+".length"); n != 1 {
				t.Errorf("%s: got the message %q %d times, want once", p.name, text, n)
			}
		}
	}
	server.stop()
}

// Names and texts are text, whatever they look like.
func TestChatShowsMarkupAsText(t *testing.T) {
	const markup = `<img src=x onerror="document.title='run'"> & <b>bold</b>`
	b := startBrowser(t)
	server := startChat(t)
	ann := b.open("Ann", server.url+"?name=Ann")
	ann.waitState("connected")
	eve := b.open("<i>Eve</i>", server.url+"?name="+url.QueryEscape("<i>Eve</i>"))
	eve.waitState("connected")
	ann.waitNotice("<i>Eve</i> joined")
	ann.waitPeople("<i>Eve</i>", "Ann")
	eve.say(markup)
	ann.waitMessage("<i>Eve</i>", markup)
	eve.waitDelivered(markup)
	for _, p := range []*tab{ann, eve} {
		if n := eval[int](p, "document.querySelectorAll('#log img, #log b, #log i, #people i').length"); n != 0 {
			t.Errorf("%s: got %d elements out of the markup, want none", p.name, n)
		}
		p.wantConsole(server, false)
	}
	server.stop()
}

// A Go program takes part with the library's client.
func TestChatWithGoClient(t *testing.T) {
	b := startBrowser(t)
	server := startChat(t)
	ann := b.open("Ann", server.url+"?name=Ann")
	ann.waitState("connected")

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := websocket.DefaultDialer.DialContext(ctx, server.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, request := range []string{
		`{"type":"join","name":"Gopher","key":"a key"}`,
		`{"type":"say","id":"1","text":"Hello from Go"}`,
	} {
		if err := c.WriteMessage(websocket.TextMessage, []byte(request)); err != nil {
			t.Fatal(err)
		}
	}
	ann.waitMessage("Gopher", "Hello from Go")

	ann.say("Hello from Chromium")
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for {
		_, p, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("got error %v before what Ann said", err)
		}
		if strings.Contains(string(p), "Hello from Chromium") {
			break
		}
	}
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := c.WriteControl(websocket.CloseMessage, bye, time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	ann.waitNotice("Gopher left")
	ann.wantConsole(server, false)
	server.stop()
}

// The other tests trust the console; this one shows that it tells.
func TestConsoleIsSeen(t *testing.T) {
	p := startBrowser(t).open("blank", "about:blank")
	if got := p.problems(); len(got) != 0 {
		t.Fatalf("got problems %q on an empty page, want none", got)
	}
	eval[bool](p, "Boolean(setTimeout(() => { window.thrown = true; throw new Error('deliberate') }))")
	p.wait("the throw", "window.thrown")
	eval[bool](p, "console.error('complaint') || true")
	got := p.problems()
	if len(got) != 2 || !strings.Contains(got[0], "deliberate") || !strings.Contains(got[1], "complaint") {
		t.Errorf("got problems %q, want the exception and the complaint", got)
	}
}

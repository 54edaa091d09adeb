//go:build go1.25

package websocket

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// proxyRelay is the tunnel inside a proxy.
func proxyRelay(client net.Conn, addr string) error {
	far, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer far.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		io.Copy(far, client)
		far.(*net.TCPConn).CloseWrite()
	})
	_, err = io.Copy(client, far)
	wg.Wait()
	return err
}

// eachProxy runs f with a Dialer for a proxy of each scheme on loopback, which alone knows the server, as echo.test:7.
func eachProxy(t *testing.T, server *httptest.Server, f func(t *testing.T, d Dialer)) {
	certified := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(certified.Close)
	connect := []proxyStep{{"CONNECT echo.test:7 HTTP/1.1\r\nHost: echo.test:7\r\n" +
		"Proxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n", proxyOK}}
	for scheme, steps := range map[string][]proxyStep{
		"http":  connect,
		"https": connect,
		"socks5": {
			{"\x05\x02\x00\x02", "\x05\x02"},
			{"\x01\x04user\x04pass", "\x01\x00"},
			{"\x05\x01\x00\x03\x09echo.test\x00\x07", "\x05\x00\x00\x03\x05bound\x00\x07"},
		},
	} {
		t.Run(scheme, func(t *testing.T) {
			serve := func(nc net.Conn) error {
				defer nc.Close()
				nc.SetDeadline(time.Now().Add(patience))
				if scheme == "https" {
					nc = tls.Server(nc, &tls.Config{Certificates: certified.TLS.Certificates})
					defer nc.Close()
				}
				for _, step := range steps {
					b := make([]byte, len(step.want))
					if _, err := io.ReadFull(nc, b); err != nil || string(b) != step.want {
						return fmt.Errorf("got %q and error %v, want %q", b, err, step.want)
					}
					if _, err := io.WriteString(nc, step.answer); err != nil {
						return err
					}
				}
				return proxyRelay(nc, server.Listener.Addr().String())
			}
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				nc, err := ln.Accept() // f dials once
				if err == nil {
					err = serve(nc)
				}
				if err != nil {
					t.Errorf("proxy: %v", err)
				}
			})
			t.Cleanup(func() {
				ln.Close()
				wg.Wait()
			})
			f(t, Dialer{
				Proxy:           http.ProxyURL(proxyURL(t, scheme+"://user:pass@"+ln.Addr().String())),
				TLSClientConfig: trusting(certified),
			})
		})
	}
}

// TLS goes through the tunnel, to the name of the server. The certificate of httptest is
// for example.com, so for echo.test it takes a ServerName.
func TestDialThroughProxies(t *testing.T) {
	plain := httptest.NewServer(echoHandler)
	t.Cleanup(plain.Close)
	secure, _ := tlsServer(t)
	for scheme, srv := range map[string]*httptest.Server{"ws": plain, "wss": secure} {
		t.Run(scheme, func(t *testing.T) {
			eachProxy(t, srv, func(t *testing.T, d Dialer) {
				if srv == secure {
					d.TLSClientConfig.ServerName = "example.com"
				}
				c := dialServer(t, d, scheme+"://echo.test:7/")
				wantEcho(t, c, strings.Repeat("x", 10_000))
				want := srv == secure || strings.HasSuffix(t.Name(), "https")
				if _, isTLS := c.NetConn().(*tls.Conn); isTLS != want {
					t.Errorf("got %T, want TLS to the server, or the connection to the proxy", c.NetConn())
				}
			})
		})
	}
}

// The certificate is verified for the server, not for the proxy, through which it came
// (CVE-2020-11050, CVE-2020-15133).
func TestAttackHostNameThroughProxy(t *testing.T) {
	srv, _ := tlsServer(t)
	eachProxy(t, srv, func(t *testing.T, d Dialer) { wantNoTrust(t, d, "wss://echo.test:7/", "echo.test") })
}

// The certificate of an https proxy is verified too, for the proxy's name. TLSClientConfig.ServerName is the
// server's.
func TestAttackHostNameOfProxy(t *testing.T) {
	certified, dial := tlsServer(t)
	for _, serverName := range []string{"", "example.com"} {
		d := Dialer{TLSClientConfig: trusting(certified), NetDial: dial}
		d.Proxy = http.ProxyURL(proxyURL(t, "https://proxy.test"))
		d.TLSClientConfig.ServerName = serverName
		wantNoTrust(t, d, "ws://example.com/", "proxy.test")
	}
}

// The proxy is dialed in place of the server, with TLS where its scheme says so, or refused before.
func TestDialProxyAddress(t *testing.T) {
	for _, tt := range []struct{ proxy, how, addr, err string }{
		{"http://p", "plain tcp", "p:80", ""},
		{"https://p", "TLS tcp", "p:443", ""},
		{"socks5://p", "plain tcp", "p:1080", ""},
		{"socks5h://p", "plain tcp", "p:1080", ""},
		{"http://u:secret@p:3128/x?y", "plain tcp", "p:3128", ""},
		{"http://p:", "plain tcp", "p:80", ""},
		{"https://[2001:db8::1]", "TLS tcp", "[2001:db8::1]:443", ""},
		{"socks5://[fe80::1%25eth0]:9", "plain tcp", "[fe80::1%eth0]:9", ""},
		{"socks4://u:secret@p", "", "", `websocket: proxy scheme "socks4" is not supported`},
		{"//p", "", "", `websocket: proxy scheme "" is not supported`},
		{"http://:3128", "", "", "websocket: proxy URL has no host"},
		{"http:p", "", "", "websocket: proxy URL has no host"},
	} {
		for _, url := range []string{"ws://a.example/", "wss://a.example/"} {
			var got dialed
			d := Dialer{
				Proxy:             http.ProxyURL(proxyURL(t, tt.proxy)),
				NetDialContext:    got.dial("plain", nil, errMine),
				NetDialTLSContext: got.dial("TLS", nil, errMine),
			}
			_, _, err := d.Dial(url, nil)
			want := cmp.Or(tt.err, errMine.Error())
			if got.how != tt.how || got.addr != tt.addr || err.Error() != want {
				t.Errorf("%s via %s: got %s %s, %v, want %s %s, %s", url, tt.proxy, got.how, got.addr, err, tt.how, tt.addr, want)
			}
		}
	}
}

// A proxy gets an international name as DNS would; TestAttackHostName has the server's TLS.
func TestDialInternationalName(t *testing.T) {
	const url, name = "wss://b\u00fccher.example/", "xn--bcher-kva.example"
	// What the proxy refuses is not taken for the server's answer.
	d := Dialer{Proxy: http.ProxyURL(proxyURL(t, "http://p"))}
	got := dialPipe(t, d, url, nil, func(string) string { return "HTTP/1.1 407 \r\nContent-Length: 2\r\n\r\nno" })
	if want := "CONNECT " + name + ":443 HTTP/1.1\r\nHost: " + name + ":443\r\n\r\n"; got.request != want {
		t.Errorf("got %q at the proxy, want %q", got.request, want)
	}
	const refused = "websocket: proxy refused CONNECT: 407 Proxy Authentication Required"
	if got.resp != nil || got.err.Error() != refused {
		t.Errorf("got answer %v and error %v, want %s", got.resp, got.err, refused)
	}
}

// proxyStep is one exchange: what the client must have written, in one Write, when it reads
// the answer.
type proxyStep struct{ want, answer string }

// proxyConn is the client's end of a scripted proxy. It never blocks: when the script is
// over, Read returns end.
type proxyConn struct {
	net.Conn // nil: nothing but Read and Write may be used
	steps    []proxyStep
	chunk    int   // most bytes that one Read returns; 0 means no limit
	end      error // of the last Read
	writeErr error

	wrote  []string // since the last answer
	wrong  error    // the first departure from the script
	answer string   // what is left of the current one
	read   int
}

func (c *proxyConn) Write(p []byte) (int, error) {
	if c.writeErr != nil {
		return 0, c.writeErr
	}
	c.wrote = append(c.wrote, string(p))
	return len(p), nil
}

func (c *proxyConn) Read(p []byte) (int, error) {
	if c.answer == "" && len(c.steps) > 0 {
		step := c.steps[0]
		if step.want != "" && c.wrong == nil && !slices.Equal(c.wrote, []string{step.want}) {
			c.wrong = fmt.Errorf("wrote %q, want one write of %q", c.wrote, step.want)
		}
		c.wrote, c.answer, c.steps = nil, step.answer, c.steps[1:]
	}
	if c.answer == "" {
		return 0, c.end
	}
	if c.chunk > 0 {
		p = p[:min(len(p), c.chunk)]
	}
	n := copy(p, c.answer)
	c.answer = c.answer[n:]
	c.read += n
	return n, nil
}

func proxyURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

const proxyOK = "HTTP/1.1 200 Connection established\r\n\r\n"

// proxyCase is a case of a file of testdata/proxy. It has a setting with the URL of the proxy and the target of
// the tunnel; for each exchange a section of what the client asks for, where that matters, and one of what the
// proxy answers, from the second on with a number; and the error, if there is one.
type proxyCase struct {
	name  string
	url   *url.URL
	addr  string
	steps []proxyStep
	err   string // the rest is net/http's where it ends in "..."
}

func proxyCases(t testing.TB, file string) (cases []proxyCase) {
	for _, c := range parseCases(t, "testdata/proxy/"+file) {
		proxy, addr, _ := strings.Cut(expandBraces(t, c.settings["proxy"], ""), " ")
		p := proxyCase{name: c.name, url: proxyURL(t, proxy), addr: addr, err: strings.Join(c.lines(t, "error"), "\n")}
		for _, number := range []string{"", " 2", " 3"} {
			if answer := c.wire(t, "answers"+number, ""); answer != "" {
				p.steps = append(p.steps, proxyStep{c.wire(t, "asks"+number, ""), answer})
			}
		}
		cases = append(cases, p)
	}
	return cases
}

// open asks for the tunnel of the case.
func (c proxyCase) open(conn *proxyConn) error {
	conn.steps = slices.Clone(c.steps)
	return proxyTunnel(conn, c.url, c.addr)
}

// A proxy that stops at any byte, by hanging up or by falling silent until the deadline, which may pass in a
// Write as well.
func TestProxyTunnelTruncated(t *testing.T) {
	for _, tt := range proxyCases(t, "opens.txt") {
		check := func(c *proxyConn, want error) {
			t.Helper()
			err := tt.open(c)
			text, isProxys := strings.CutPrefix(err.Error(), "websocket: proxy: ")
			// What http.ReadResponse says of a head in part stands before the end.
			if !errors.Is(err, want) || !isProxys || text != want.Error() && !strings.HasSuffix(text, ": "+want.Error()) {
				t.Errorf("%s, of which there is %q: got %v, want %v", tt.name, tt.steps, err, want)
			}
		}
		check(&proxyConn{writeErr: os.ErrDeadlineExceeded}, os.ErrDeadlineExceeded)
		steps := tt.steps
		for i, step := range steps {
			for n := range step.answer {
				if n >= 300 && n < len(step.answer)-5 {
					continue // all of a long answer is the same in the middle
				}
				tt.steps = append(slices.Clone(steps[:i]), proxyStep{step.want, step.answer[:n]})
				check(&proxyConn{end: io.EOF}, io.ErrUnexpectedEOF)
				check(&proxyConn{end: os.ErrDeadlineExceeded}, os.ErrDeadlineExceeded)
			}
		}
	}
}

// What is asked of a proxy, byte for byte, and every verdict on what it says, with its text. What cannot be asked is
// refused before anything is written. A hostile proxy whose head never ends is left after maxResponseHead bytes.
func TestProxyTunnel(t *testing.T) {
	for _, file := range []string{"opens.txt", "refused.txt", "unsayable.txt"} {
		for _, tt := range proxyCases(t, file) {
			for _, chunk := range []int{0, 1, 1000} {
				if chunk > 0 && strings.Contains(tt.err, "before the tunnel was used") {
					continue // the tunnel is open when it comes
				}
				c := &proxyConn{chunk: chunk, end: io.EOF}
				text := ""
				if err := tt.open(c); err != nil {
					text = err.Error()
				}
				want, more := strings.CutSuffix(tt.err, "...")
				if text != want && !(more && strings.HasPrefix(text, want)) || c.wrong != nil || c.read > maxResponseHead {
					t.Errorf("%s by %d: got %q, %v after %d bytes, want %q", tt.name, chunk, text, c.wrong, c.read, tt.err)
				}
				if left := len(c.steps) > 0 || c.answer != "" || len(c.wrote) > 0; left && file != "refused.txt" {
					t.Errorf("%s: got %q and %q left, %q written after them, want nothing", tt.name, c.steps, c.answer, c.wrote)
				}
			}
		}
	}
}

// No byte but visible ASCII gets from a target into the request.
func TestAttackProxyTarget(t *testing.T) {
	for b := range 256 {
		if b > ' ' && b < 0x7f {
			continue
		}
		for _, proxy := range []string{"http://p", "socks5://p"} {
			for _, format := range []string{"a%sb:80", "[fe80::1%%%s]:80", "a:8%s0"} {
				addr := fmt.Sprintf(format, string([]byte{byte(b)}))
				c := &proxyConn{end: io.EOF}
				err := proxyTunnel(c, proxyURL(t, proxy), addr)
				want := fmt.Sprintf("websocket: proxy target %q has a byte that is not visible ASCII", addr)
				if fmt.Sprint(err) != want || len(c.wrote) > 0 {
					t.Errorf("%s to %q: got %v after %q, want %s after nothing", proxy, addr, err, c.wrote, want)
				}
			}
		}
	}
}

// referenceTunnel is another reading of RFC 1928, 1929 and 9110: whether the answers open a tunnel, and where it
// begins in them.
func referenceTunnel(socks, user bool, answers []byte) (size int, open bool) {
	r := bytes.NewReader(answers)
	if socks {
		next := func(n int) string {
			b := make([]byte, n)
			if _, err := io.ReadFull(r, b); err != nil {
				return ""
			}
			return string(b)
		}
		switch method := next(2); {
		case method == "\x05\x02" && user:
			if next(2) != "\x01\x00" {
				return 0, false
			}
		case method != "\x05\x00":
			return 0, false
		}
		length := 0
		switch next(4) {
		case "\x05\x00\x00\x01":
			length = 4
		case "\x05\x00\x00\x04":
			length = 16
		case "\x05\x00\x00\x03":
			if b := next(1); b != "" {
				length = int(b[0])
				break
			}
			return 0, false
		default:
			return 0, false
		}
		open = next(length+2) != ""
		return len(answers) - r.Len(), open
	}
	br := bufio.NewReader(r)
	for range maxInterimResponses + 1 {
		resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect})
		switch {
		case err != nil:
			return 0, false
		case resp.StatusCode < 200 && resp.StatusCode >= 100 && resp.StatusCode != 101:
			continue
		}
		size = len(answers) - r.Len() - br.Buffered()
		return size, resp.ProtoMajor == 1 && resp.StatusCode/100 == 2 && size <= maxResponseHead
	}
	return 0, false
}

// Whatever the proxy sends, and however it arrives, the tunnel opens where another reading of the RFCs has it
// open; it takes nothing that is not its own, and reads no more than its bound.
func FuzzProxyTunnel(f *testing.F) {
	for _, tt := range proxyCases(f, "opens.txt") {
		var answers string
		for _, step := range tt.steps {
			answers += step.answer
		}
		if len(answers) > 1024 {
			continue // the fuzzer would spend its time on shortening it
		}
		for _, rest := range []string{"", "x"} {
			f.Add(strings.HasPrefix(tt.url.Scheme, "socks"), tt.url.User != nil, []byte(answers+rest))
		}
	}
	f.Fuzz(func(t *testing.T, socks, user bool, answers []byte) {
		u := &url.URL{Scheme: "http", Host: "p"}
		if socks {
			u.Scheme = "socks5"
		}
		if user {
			u.User = url.UserPassword("user", "pass")
		}
		var errs [2]error
		var taken [2]int
		for i, chunk := range []int{0, 1} {
			c := &proxyConn{answer: string(answers), chunk: chunk, end: io.EOF}
			errs[i] = proxyTunnel(c, u, "example.com:80")
			taken[i] = c.read
			if err := errs[i]; err != nil && !strings.HasPrefix(err.Error(), "websocket: proxy") {
				t.Errorf("got error %q, want one of the proxy", err)
			}
			if c.read > maxResponseHead {
				t.Errorf("read %d bytes, want at most %d", c.read, maxResponseHead)
			}
		}
		size, open := referenceTunnel(socks, user, answers)
		if (errs[1] == nil) != open || open && taken[1] != size {
			t.Errorf("got error %v and %d bytes taken, want a tunnel: %v, behind %d bytes", errs[1], taken[1], open, size)
		}
		early := !socks && errs[0] != nil && errs[1] == nil && taken[1] < len(answers)
		if early && errs[0].Error() == "websocket: proxy sent data before the tunnel was used" {
			return
		}
		if fmt.Sprint(errs[0]) != fmt.Sprint(errs[1]) {
			t.Errorf("got %v at once and %v byte by byte, want the same", errs[0], errs[1])
		}
		if errs[0] == nil && taken[0] != taken[1] {
			t.Errorf("took %d bytes at once and %d byte by byte, want the same", taken[0], taken[1])
		}
	})
}

// Package proxies starts the proxies of DEPLOYING.md with the configurations that stand there, and tests the library
// through them.
package proxies

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// proxy is a proxy of DEPLOYING.md.
type proxy struct {
	name    string // the language of its configuration's block in the document
	program string
	file    string                                               // of the configuration
	command func(dir, file string) []string                      // the arguments
	adapt   func(t *testing.T, dir, configuration string) string // what a test needs beside the addresses and names in it
	idle    func(configuration string) string                    // shortens the idle timeout to idleTimeout; nil where there is none
}

// idleTimeout is the idle timeout of the proxies here, which is a minute in the document.
const idleTimeout = 2 * time.Second

var proxies = []proxy{
	{
		name: "nginx", program: "nginx", file: "nginx.conf",
		command: func(dir, file string) []string {
			return []string{"-p", dir, "-c", file, "-g", "daemon off; pid nginx.pid; error_log stderr;"}
		},
		adapt: func(t *testing.T, dir, configuration string) string {
			// Where a user who is not root may write.
			paths := "http {\n\taccess_log off;\n"
			for _, name := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
				paths += fmt.Sprintf("\t%s_temp_path %s;\n", name, filepath.Join(dir, name))
			}
			return replace(configuration, "http {\n", paths)
		},
		idle: func(configuration string) string {
			return replace(configuration, "proxy_read_timeout 60s", "proxy_read_timeout 2s")
		},
	},
	{
		name: "haproxy", program: "haproxy", file: "haproxy.cfg",
		command: func(_, file string) []string { return []string{"-db", "-f", file} },
		adapt:   func(_ *testing.T, _, configuration string) string { return configuration },
		idle: func(configuration string) string {
			return replace(configuration, "timeout tunnel 60s", "timeout tunnel 2s")
		},
	},
	{
		name: "caddy", program: "caddy", file: "Caddyfile",
		command: func(_, file string) []string { return []string{"run", "--adapter", "caddyfile", "--config", file} },
		adapt: func(t *testing.T, dir, configuration string) string {
			global := "{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system " + dir + "\n}\n"
			return global + replace(configuration, "{\n\treverse_proxy", "{\n\ttls /etc/ssl/example.com.pem /etc/ssl/example.com.key\n\treverse_proxy")
		},
	},
	{
		name: "apache", program: "apache2", file: "apache.conf",
		command: func(dir, file string) []string { return []string{"-d", dir, "-f", file, "-D", "FOREGROUND"} },
		adapt: func(t *testing.T, dir, configuration string) string {
			// Debian has the first two enabled, and enables proxy together with proxy_http.
			modules := append([]string{"mpm_event", "authz_core", "proxy"}, apacheModules(t)...)
			more := ""
			for _, module := range modules {
				more += fmt.Sprintf("LoadModule %s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", module)
			}
			more += "Listen 443\nPidFile apache.pid\nDefaultRuntimeDir " + dir + "\nErrorLog /dev/stderr\nServerName example.com\nMutex pthread default\n"
			if os.Getuid() == 0 {
				more += "User www-data\nGroup www-data\n"
			}
			return more + configuration
		},
	},
}

// replace replaces what a configuration must have.
func replace(configuration, old, new string) string {
	if !strings.Contains(configuration, old) {
		panic(fmt.Sprintf("the configuration has no %q", old))
	}
	return strings.ReplaceAll(configuration, old, new)
}

// configuration returns the block of DEPLOYING.md in the language.
func configuration(t *testing.T, language string) string {
	t.Helper()
	return between(t, "\n```"+language+"\n", "\n```\n") + "\n"
}

// apacheModules returns the modules that DEPLOYING.md has enabled for its site.
func apacheModules(t *testing.T) []string {
	t.Helper()
	return strings.Fields(between(t, "\n    a2enmod ", "\n"))
}

// between returns what DEPLOYING.md has between the two texts.
func between(t *testing.T, before, after string) string {
	t.Helper()
	document, err := os.ReadFile("../../DEPLOYING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(document), before)
	text, _, closed := strings.Cut(rest, after)
	if !ok || !closed {
		t.Fatalf("got no text between %q and %q in DEPLOYING.md", before, after)
	}
	return text
}

// start starts the proxy in front of the server at the address, and returns its own address. It ends with the test.
func (p proxy) start(t *testing.T, server string) (address string) {
	t.Helper()
	program, err := exec.LookPath(p.program)
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} { // which not every user searches
		if err != nil {
			program, err = exec.LookPath(filepath.Join(dir, p.program))
		}
	}
	if err != nil && os.Getenv("WEBSOCKET_REQUIRE_PEERS") != "" {
		t.Fatalf("%s is not installed; WEBSOCKET_REQUIRE_PEERS is set", p.program)
	}
	if err != nil {
		t.Skipf("%s is not installed; make interop installs it on Debian", p.program)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // for the proxy's own user
		t.Fatal(err)
	}
	text := p.adapt(t, dir, configuration(t, p.name))
	if p.idle != nil {
		text = p.idle(text)
	}
	address = freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	text = replace(text, "127.0.0.1:8080", server)
	switch p.name {
	case "caddy":
		text = replace(text, "example.com {", "example.com:"+port+" {")
	case "haproxy":
		text = replace(text, "bind :443", "bind "+address)
	case "nginx":
		text = replace(text, "listen 443", "listen "+address)
	case "apache":
		text = replace(replace(text, "Listen 443", "Listen "+address), "*:443", "*:"+port) // the first is adapt's
	}
	text = strings.ReplaceAll(text, "/etc/ssl/", dir+"/")
	file := filepath.Join(dir, p.file)
	for name, content := range map[string]string{
		file:                                  text,
		filepath.Join(dir, "example.com.pem"): certificate.chain + certificate.key, // HAProxy wants both in one
		filepath.Join(dir, "example.com.key"): certificate.key,
	} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	cmd := exec.Command(program, p.command(dir, file)...)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its workers end with it
	var output lockedBuffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		if t.Failed() {
			t.Logf("%s has printed:\n%s", p.program, output.String())
		}
	})
	deadline := time.Now().Add(patience)
	for {
		nc, err := tls.Dial("tcp", address, clientTLS())
		if err == nil {
			nc.Close()
			return address
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s has ended: %v\n%s", p.program, err, output.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer: %v", p.program, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// freeAddress returns an address at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// certificate is for example.com, and signs itself.
var certificate = func() (c struct {
	chain, key string
	pool       *x509.CertPool
}) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "example.com"},
		DNSNames:              []string{"example.com"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	c.chain = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	c.key = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	c.pool = x509.NewCertPool()
	c.pool.AddCert(parsed)
	return c
}()

func clientTLS() *tls.Config {
	return &tls.Config{RootCAs: certificate.pool, ServerName: "example.com"}
}

package dial

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// greet greets the user whose session it is.
func greet(w http.ResponseWriter, r *http.Request) {
	session, err := r.Cookie("session")
	if err != nil {
		http.Error(w, "log in first", http.StatusUnauthorized)
		return
	}
	upgrader := websocket.Upgrader{}
	c, err := upgrader.Upgrade(w, r, http.Header{"Set-Cookie": {"visited=yes"}})
	if err != nil {
		return
	}
	defer c.Close()
	c.WriteJSON("hello " + session.Value)
}

func TestLoggedIn(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if user := r.FormValue("user"); user != "" {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: user, Path: "/"})
		}
	})
	mux.HandleFunc("/ws", greet)
	s := httptest.NewServer(mux)
	defer s.Close()

	c, err := LoggedIn(t.Context(), s.URL, "gopher")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got string
	if err := c.ReadJSON(&got); err != nil || got != "hello gopher" {
		t.Errorf("got %q, %v, want hello gopher", got, err)
	}

	if _, err := LoggedIn(t.Context(), s.URL, ""); err == nil || err.Error() != "401 Unauthorized: log in first" {
		t.Errorf("got %v, want 401 Unauthorized: log in first", err)
	}
}

func tlsServer(t *testing.T) (url string, cert *x509.Certificate) {
	upgrader := websocket.Upgrader{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		if messageType, p, err := c.ReadMessage(); err == nil {
			c.WriteMessage(messageType, p)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that clients break off
	s.StartTLS()
	t.Cleanup(s.Close)
	return "wss" + strings.TrimPrefix(s.URL, "https"), s.Certificate()
}

func wantEcho(t *testing.T, c *websocket.Conn) {
	t.Helper()
	if _, ok := c.NetConn().(*tls.Conn); !ok {
		t.Errorf("NetConn: got a %T, want a *tls.Conn", c.NetConn())
	}
	if err := c.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.ReadMessage(); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v, want hello", got, err)
	}
}

func TestTrusting(t *testing.T) {
	url, cert := tlsServer(t)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	c, err := Trusting(t.Context(), url, roots)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wantEcho(t, c)
}

func TestPinned(t *testing.T) {
	url, cert := tlsServer(t)
	c, err := Pinned(t.Context(), url, cert)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wantEcho(t, c)

	if _, err := Pinned(t.Context(), url, otherCertificate(t)); err == nil || !strings.Contains(err.Error(), "another certificate") {
		t.Errorf("got %v, want another certificate", err)
	}
}

func otherCertificate(t *testing.T) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

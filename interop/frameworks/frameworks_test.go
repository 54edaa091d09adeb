// Package frameworks tests the library behind the routers, and within the middleware, that Go services use. A
// WebSocket works there, or is refused with an answer that names the wrapper in its way and the remedy.
package frameworks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/gorilla/mux"
	"github.com/julienschmidt/httprouter"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/cors"
	"github.com/switching-protocols/websocket"
	"github.com/urfave/negroni/v3"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// patience bounds the waits of a test, which are short unless something is wrong.
const patience = 20 * time.Second

var upgrader websocket.Upgrader

// echoRoom sends every message back, behind the name of the room.
func echoRoom(c *websocket.Conn, room func() string) {
	for {
		_, p, err := c.ReadMessage()
		if err != nil {
			return
		}
		if err := c.WriteMessage(websocket.TextMessage, append([]byte(room()+": "), p...)); err != nil {
			return
		}
	}
}

// inRoom returns a handler that runs echoRoom with the room that the request has for the router.
func inRoom(room func(r *http.Request) string) http.HandlerFunc {
	return upgrader.HandlerFunc(func(c *websocket.Conn, r *http.Request) {
		echoRoom(c, func() string { return room(r) })
	})
}

// upgradeInRoom is inRoom for a handler that calls Upgrade and stays.
func upgradeInRoom(w http.ResponseWriter, r *http.Request, room func() string) {
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	echoRoom(c, room)
}

// routers are handlers for the path /rooms/NAME, with HandlerFunc and with Upgrade.
var routers = map[string]func() (handlerFunc, upgrade http.Handler){
	"http.ServeMux": func() (_, _ http.Handler) {
		room := func(r *http.Request) string { return r.PathValue("room") }
		a, b := http.NewServeMux(), http.NewServeMux()
		a.Handle("GET /rooms/{room}", inRoom(room))
		b.HandleFunc("GET /rooms/{room}", func(w http.ResponseWriter, r *http.Request) {
			upgradeInRoom(w, r, func() string { return room(r) })
		})
		return a, b
	},
	"chi": func() (_, _ http.Handler) {
		room := func(r *http.Request) string { return chi.URLParam(r, "room") }
		a, b := chi.NewRouter(), chi.NewRouter()
		a.Get("/rooms/{room}", inRoom(room))
		b.Get("/rooms/{room}", func(w http.ResponseWriter, r *http.Request) {
			upgradeInRoom(w, r, func() string { return room(r) })
		})
		return a, b
	},
	"chi with a sub-router and a context that can be cancelled": func() (_, _ http.Handler) {
		room := func(r *http.Request) string { return chi.URLParam(r, "room") }
		cancel := func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, cancel := context.WithCancel(r.Context())
				defer cancel()
				next.ServeHTTP(w, r.WithContext(ctx))
			})
		}
		a, b := chi.NewRouter(), chi.NewRouter()
		a.With(cancel).Route("/rooms", func(r chi.Router) { r.With(cancel).Get("/{room}", inRoom(room)) })
		b.With(cancel).Get("/rooms/{room}", func(w http.ResponseWriter, r *http.Request) {
			upgradeInRoom(w, r, func() string { return room(r) })
		})
		return a, b
	},
	"gorilla/mux": func() (_, _ http.Handler) {
		room := func(r *http.Request) string { return mux.Vars(r)["room"] }
		a, b := mux.NewRouter(), mux.NewRouter()
		a.Handle("/rooms/{room}", inRoom(room))
		b.HandleFunc("/rooms/{room}", func(w http.ResponseWriter, r *http.Request) {
			upgradeInRoom(w, r, func() string { return room(r) })
		})
		return a, b
	},
	"httprouter": func() (_, _ http.Handler) {
		room := func(r *http.Request) string { return httprouter.ParamsFromContext(r.Context()).ByName("room") }
		a, b := httprouter.New(), httprouter.New()
		a.Handler(http.MethodGet, "/rooms/:room", inRoom(room))
		b.GET("/rooms/:room", func(w http.ResponseWriter, r *http.Request, params httprouter.Params) {
			upgradeInRoom(w, r, func() string { return params.ByName("room") })
		})
		return a, b
	},
	"gin": func() (_, _ http.Handler) {
		gin.SetMode(gin.ReleaseMode)
		a, b := gin.New(), gin.New()
		a.Use(gin.LoggerWithWriter(io.Discard), gin.Recovery())
		a.GET("/rooms/:room", func(c *gin.Context) {
			room := c.Param("room") // gin reuses c when this function returns
			upgrader.HandlerFunc(func(c *websocket.Conn, _ *http.Request) {
				echoRoom(c, func() string { return room })
			})(c.Writer, c.Request)
		})
		b.GET("/rooms/:room", func(c *gin.Context) {
			upgradeInRoom(c.Writer, c.Request, func() string { return c.Param("room") })
		})
		return a, b
	},
	"echo": func() (_, _ http.Handler) {
		a, b := echo.New(), echo.New()
		a.Use(echomiddleware.Recover(), echomiddleware.GzipWithConfig(echomiddleware.DefaultGzipConfig))
		a.GET("/rooms/:room", func(c echo.Context) error {
			room := c.Param("room") // echo reuses c when this function returns
			upgrader.HandlerFunc(func(c *websocket.Conn, _ *http.Request) {
				echoRoom(c, func() string { return room })
			})(c.Response(), c.Request())
			return nil
		})
		b.GET("/rooms/:room", func(c echo.Context) error {
			upgradeInRoom(c.Response(), c.Request(), func() string { return c.Param("room") })
			return nil
		})
		return a, b
	},
}

// Each connection has the parameters of its own request, as long as it lives, however many requests come later.
func TestRouters(t *testing.T) {
	for name, router := range routers {
		handlerFunc, upgrade := router()
		for way, h := range map[string]http.Handler{"HandlerFunc": handlerFunc, "Upgrade": upgrade} {
			t.Run(name+"/"+way, func(t *testing.T) {
				srv := serve(t, h)
				first := srv.dial(t, "/rooms/first")
				for range 20 {
					srv.wantEcho(t, srv.dial(t, "/rooms/other"), "other")
				}
				srv.wantEcho(t, first, "first")
				srv.wantClosing(t, first)
			})
		}
	}
}

// middlewares are what services put around their handlers. With refused set, the request is refused with a text that
// has it.
var middlewares = map[string]struct {
	wrap    func(http.Handler) http.Handler
	refused string
}{
	"chi: Logger":     {wrap: middleware.RequestLogger(&middleware.DefaultLogFormatter{Logger: log.New(io.Discard, "", 0)})},
	"chi: Recoverer":  {wrap: middleware.Recoverer},
	"chi: RequestID":  {wrap: middleware.RequestID},
	"chi: Compress":   {wrap: middleware.Compress(5)},
	"chi: Timeout":    {wrap: middleware.Timeout(time.Minute)},
	"chi: Throttle":   {wrap: middleware.Throttle(100)},
	"chi: NoCache":    {wrap: middleware.NoCache},
	"gorilla: logs":   {wrap: func(h http.Handler) http.Handler { return handlers.CombinedLoggingHandler(io.Discard, h) }},
	"gorilla: gzip":   {wrap: handlers.CompressHandler},
	"gorilla: panics": {wrap: handlers.RecoveryHandler()},
	"gorilla: proxy":  {wrap: handlers.ProxyHeaders},
	"gzhttp":          {wrap: func(h http.Handler) http.Handler { return gzhttp.GzipHandler(h) }},
	"cors":            {wrap: cors.AllowAll().Handler},
	"negroni": {wrap: func(h http.Handler) http.Handler {
		n := negroni.New(negroni.NewRecovery())
		n.UseHandler(h)
		return n
	}},
	"scs: sessions": {wrap: scs.New().LoadAndSave},
	"OpenTelemetry": {wrap: func(h http.Handler) http.Handler { return otelhttp.NewHandler(h, "websocket") }},
	"Prometheus":    {wrap: instrument},
	"MaxBytes":      {wrap: func(h http.Handler) http.Handler { return http.MaxBytesHandler(h, 1<<20) }},
	"StripPrefix":   {wrap: func(h http.Handler) http.Handler { return http.StripPrefix("/", h) }},
	"all of net/http's": {wrap: func(h http.Handler) http.Handler {
		return http.AllowQuerySemicolons(http.MaxBytesHandler(http.StripPrefix("/", h), 1<<20))
	}},
	"CrossOriginProtection": {wrap: http.NewCrossOriginProtection().Handler},
	"TimeoutHandler": {
		wrap:    func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") },
		refused: "The handler's ResponseWriter is a *http.timeoutWriter, which has no Hijack method.",
	},
	"a wrapper with Unwrap": {wrap: func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(unwrapping{w}, r) })
	}},
	"a wrapper without Unwrap": {
		wrap: func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(hiding{w}, r) })
		},
		refused: "The handler's ResponseWriter is a frameworks.hiding, which has no Hijack method. If it wraps another one, " +
			"it needs an Unwrap method, which http.ResponseController uses.",
	},
}

type unwrapping struct{ http.ResponseWriter }

func (w unwrapping) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type hiding struct{ http.ResponseWriter }

// instrument counts and times requests.
func instrument(h http.Handler) http.Handler {
	labels := []string{"code", "method"}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests"}, labels)
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "seconds"}, labels)
	sizes := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sizes"}, labels)
	h = promhttp.InstrumentHandlerResponseSize(sizes, promhttp.InstrumentHandlerDuration(seconds, h))
	return promhttp.InstrumentHandlerCounter(requests, h)
}

func TestMiddleware(t *testing.T) {
	room := func(*http.Request) string { return "room" }
	ways := map[string]http.Handler{
		"HandlerFunc": inRoom(room),
		"Upgrade": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			upgradeInRoom(w, r, func() string { return room(r) })
		}),
	}
	for name, m := range middlewares {
		for way, h := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				srv := serve(t, m.wrap(h))
				if m.refused == "" {
					c := srv.dial(t, "/")
					srv.wantEcho(t, c, "room")
					srv.wantClosing(t, c)
					return
				}
				_, resp, err := websocket.DefaultDialer.Dial(srv.URL, nil)
				if !errors.Is(err, websocket.ErrBadHandshake) {
					t.Fatalf("got error %v, want %v", err, websocket.ErrBadHandshake)
				}
				body, _ := io.ReadAll(resp.Body)
				if resp.StatusCode != http.StatusInternalServerError || !strings.Contains(string(body), m.refused) {
					t.Errorf("got %s with body %q, want 500 with %q", resp.Status, body, m.refused)
				}
			})
		}
	}
}

// httputil.ReverseProxy passes the upgrade, the Host and the closing on, and a page of the proxy's host may connect.
func TestReverseProxy(t *testing.T) {
	backend := serve(t, inRoom(func(*http.Request) string { return "room" }))
	target, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		proxy  *httputil.ReverseProxy
		status int // of the answer to a page of the proxy's host
	}{
		"Host passed on": {
			&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				r.Out.Host = r.In.Host
			}},
			http.StatusSwitchingProtocols,
		},
		"Host replaced": {
			&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }},
			http.StatusForbidden,
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, test.proxy)
			c := srv.dial(t, "/")
			srv.wantEcho(t, c, "room")
			srv.wantClosing(t, c)
			c, resp, err := websocket.DefaultDialer.Dial(srv.URL, http.Header{"Origin": {srv.URL}})
			if resp == nil || resp.StatusCode != test.status {
				t.Fatalf("got answer %v and error %v, want %d", resp, err, test.status)
			}
			if err == nil {
				defer c.Close()
				srv.wantEcho(t, c, "room")
			}
		})
	}
}

// server is a server that logs nothing: no middleware writes to a connection that it has no longer.
type server struct {
	*httptest.Server
	log lockedBuffer
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

func serve(t *testing.T, h http.Handler) *server {
	s := &server{Server: httptest.NewUnstartedServer(h)}
	s.Config.ErrorLog = log.New(&s.log, "", 0)
	s.Start()
	t.Cleanup(func() {
		s.Close()
		s.log.mu.Lock()
		defer s.log.mu.Unlock()
		if s.log.b.Len() > 0 {
			t.Errorf("got log %q, want nothing", s.log.b.Bytes())
		}
	})
	return s
}

func (s *server) dial(t *testing.T, path string) *websocket.Conn {
	t.Helper()
	// A client like a browser, which also accepts gzip.
	header := http.Header{"Origin": {s.URL}, "Accept-Encoding": {"gzip"}}
	if _, isProxy := s.Config.Handler.(*httputil.ReverseProxy); isProxy {
		header.Del("Origin")
	}
	c, _, err := websocket.DefaultDialer.Dial(s.URL+path, header)
	if err != nil {
		t.Fatalf("got error %v, want a connection", err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(patience))
	return c
}

func (s *server) wantEcho(t *testing.T, c *websocket.Conn, room string) {
	t.Helper()
	for _, text := range []string{"Hello", strings.Repeat("long ", 1<<15)} {
		if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
		want := room + ": " + text
		if _, p, err := c.ReadMessage(); string(p) != want {
			t.Fatalf("got %.40q and error %v, want %.40q", p, err, want)
		}
	}
}

func (s *server) wantClosing(t *testing.T, c *websocket.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Shutdown(ctx, websocket.CloseNormalClosure, "bye"); err != nil {
		t.Errorf("got error %v, want the server's answer to the Close frame", err)
	}
}

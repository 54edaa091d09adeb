module github.com/switching-protocols/websocket/interop/transcripts

go 1.26

require (
	github.com/coder/websocket v1.8.15
	github.com/gobwas/httphead v0.1.0
	github.com/gobwas/ws v1.5.0
	github.com/gorilla/websocket v1.5.3
	github.com/lxzan/gws v1.9.1
	github.com/switching-protocols/websocket v0.0.0
)

require github.com/klauspost/compress v1.17.9 // indirect

replace github.com/switching-protocols/websocket => ../..

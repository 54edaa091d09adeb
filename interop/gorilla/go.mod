module github.com/switching-protocols/websocket/interop/gorilla

go 1.25

require (
	github.com/gorilla/websocket v1.5.3
	github.com/switching-protocols/websocket v0.0.0
)

replace github.com/switching-protocols/websocket => ../../

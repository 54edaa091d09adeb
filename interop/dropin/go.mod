module github.com/switching-protocols/websocket/interop/dropin

go 1.25

require github.com/gorilla/websocket v1.5.3

replace github.com/gorilla/websocket => ../../

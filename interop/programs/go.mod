module github.com/switching-protocols/websocket/interop/programs

go 1.26.0

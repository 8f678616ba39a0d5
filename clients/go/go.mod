module realtime

go 1.23
